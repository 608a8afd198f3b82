//! Copying pauses from PostgreSQL, where they live, to Redis, where they work.

use std::collections::HashMap;

use super::script::{arg, script};
use super::{BOOKINGS, PARTITIONS, Partition, Queue, QueueError};
use crate::domain::EventId;

/// Whether something is paused, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pause {
    /// Whether.
    pub paused: bool,
    /// What those who wait are told; may be empty, and there without a pause.
    pub message: String,
}

impl Pause {
    /// What holds in a lane: its own pause, else that of the whole queue; without either the lane's own message, else
    /// that of the whole queue.
    pub fn of_lane<'a>(own: &'a Self, whole: &'a Self) -> &'a Self {
        let is_own = own.paused || (!whole.paused && !own.message.is_empty());
        if is_own { own } else { whole }
    }
}

/// At most so many jobs in a window, which begins with its first job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Jobs.
    pub max: u32,
    /// The window, in ms.
    pub window_ms: u32,
}

/// The pauses and limits of the whole queue and of some lanes.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    /// Of everything.
    pub queue: Pause,
    /// Of single lanes; a lane that is missing is not paused.
    pub lanes: HashMap<EventId, Pause>,
    /// How fast the whole queue may go. The booking queue's is shared out evenly among its partitions.
    pub rate: Option<Rate>,
    /// How many lanes may be worked on at the same time; shared out likewise.
    pub lanes_at_once: Option<u32>,
    /// How fast single lanes may go.
    pub lane_rates: HashMap<EventId, Rate>,
    /// Rises with every change: what was read before a change is not copied after it.
    pub version: i64,
}

impl Controls {
    /// The share of one of so many partitions: all together no more than the whole, and one at least in each.
    fn share(&self, of: u32) -> (Option<Rate>, Option<u32>) {
        let share = |whole: u32| (whole / of).max(1);
        let rate = self.rate.map(|rate| Rate { max: share(rate.max), ..rate });
        (rate, self.lanes_at_once.map(share))
    }
}

/// `max` and `window_ms` for a script; empty without a limit.
fn rate_args(rate: Option<Rate>) -> [Vec<u8>; 2] {
    rate.map_or_else(|| [Vec::new(), Vec::new()], |rate| [arg(rate.max), arg(rate.window_ms)])
}

impl Queue {
    /// The lanes of a partition.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn lanes(&self, partition: Partition) -> Result<Vec<EventId>, QueueError> {
        let mut lanes = Vec::new();
        let mut cursor = 0u64;
        loop {
            let (next, page): (u64, Vec<i64>) = redis::cmd("SSCAN")
                .arg(self.keys().lanes(partition))
                .arg(cursor)
                .arg("COUNT")
                .arg(1_000)
                .query_async(&mut self.connection())
                .await?;
            lanes.extend(page.into_iter().map(EventId));
            if next == 0 {
                lanes.sort_unstable();
                lanes.dedup();
                return Ok(lanes);
            }
            cursor = next;
        }
    }

    /// Copies pauses to a partition, for the epoch that it has; also puts lanes back that somebody waits in and
    /// that no worker would look at. Returns how many pauses changed.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn copy_controls(&self, partition: Partition, controls: &Controls) -> Result<u64, QueueError> {
        let state = self.partition_state(partition).await?;
        let epoch =
            if state.epoch.is_empty() { self.begin_epoch(partition, "", 0).await? } else { state.epoch };
        let mut lanes = self.lanes(partition).await?;
        let known = controls.lanes.keys().chain(controls.lane_rates.keys());
        lanes.extend(known.filter(|event| Partition::of(**event) == partition));
        lanes.sort_unstable();
        lanes.dedup();
        let keys = self.keys();
        let mut names = vec![keys.partition(partition), keys.ready(partition), keys.feed(partition)];
        let mut args = vec![
            arg(keys.wake()),
            arg(epoch),
            arg(u8::from(controls.queue.paused)),
            arg(&controls.queue.message),
        ];
        let partitions = if self.name() == BOOKINGS { u32::from(PARTITIONS) } else { 1 };
        let (rate, lanes_at_once) = controls.share(partitions);
        args.extend(rate_args(rate));
        args.push(lanes_at_once.map(arg).unwrap_or_default());
        args.push(arg(controls.version));
        let not_paused = Pause::default();
        for event in lanes {
            let pause = controls.lanes.get(&event).unwrap_or(&not_paused);
            names.extend([keys.meta(event), keys.wait(event), keys.delayed(event)]);
            args.extend([arg(event), arg(u8::from(pause.paused)), arg(&pause.message)]);
            args.extend(rate_args(controls.lane_rates.get(&event).copied()));
        }
        let mut reply = self.call(script!("control"), &names, &args).await?;
        match reply.word.as_str() {
            "copied" => reply.next(),
            // Somebody began another epoch meanwhile; the next tick copies for that one.
            "epoch" => Ok(0),
            "older" => {
                tracing::warn!(
                    partition = partition.index(),
                    version = controls.version,
                    "pauses and limits were not copied, as later ones were; if this does not end, PostgreSQL has lost \
                     changes that Redis knows"
                );
                Ok(0)
            }
            _ => Err(reply.unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_partitions_are_no_more_than_the_whole() {
        for whole in [8, 9, 15, 16, 1_000] {
            let rate = Some(Rate { max: whole, window_ms: 1_000 });
            let controls = Controls { rate, lanes_at_once: Some(whole), ..Controls::default() };
            let (rate, lanes) = controls.share(u32::from(PARTITIONS));
            let (rate, lanes) = (rate.expect("a rate"), lanes.expect("a number of lanes"));
            assert_eq!((rate.max, lanes, rate.window_ms), (whole / 8, whole / 8, 1_000));
            assert_eq!(controls.share(1), (controls.rate, controls.lanes_at_once), "a named queue has one");
        }
        assert_eq!(Controls::default().share(8), (None, None));
    }

    #[test]
    fn a_pause_holds_before_a_message_and_the_lane_before_the_whole_queue() {
        let pause = |paused, message: &str| Pause { paused, message: message.to_owned() };
        for (own, whole, held) in [
            (pause(true, "own"), pause(true, "whole"), "own"),
            (pause(false, "own"), pause(true, "whole"), "whole"),
            (pause(false, "own"), pause(false, "whole"), "own"),
            (pause(false, ""), pause(false, "whole"), "whole"),
            (pause(true, ""), pause(false, "whole"), ""),
        ] {
            assert_eq!(Pause::of_lane(&own, &whole).message, held, "{own:?} {whole:?}");
        }
    }
}
