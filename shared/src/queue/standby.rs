//! Those who stand by, and asking them again.
//!
//! When something comes free only those are asked whom it concerns, and of those who ask for the same no more than as many
//! as there are places that came free: whoever could use what was free before has it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::feed::SeatsChanged;
use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{AreaId, BookingRequest, EventId, SeatId, UserId, Wanted};

/// Jobs that are looked at, or called back, with one call: a millisecond or two in which Redis serves nobody else.
const PAGE: usize = 500;
/// Jobs that are called back for what came free at most, lowest first, beside [`FOR_EACH`]: deciding them keeps all others
/// waiting.
const CALLED_BACK: usize = 2_000;
/// The same for each place that came free.
const FOR_EACH: usize = 8;
/// How often it is looked anew when another process has called some of those back who were found.
const LOOKS: usize = 10;
/// After a look of a lane its process looks no more for this many times as long as it took.
const PAUSE: u32 = 3;
/// No longer than this, however slow Redis was.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long whoever tells what came free waits for the look: it goes on without them.
const WAIT: Duration = Duration::from_millis(250);

/// Lanes in which somebody looks for those whom what came free concerns, with what has come free since they began.
#[derive(Default)]
pub(super) struct Recalls(Mutex<HashMap<EventId, SeatsChanged>>);

impl Recalls {
    /// Whether the caller is to look; otherwise whoever does so already goes on with it.
    fn begin(&self, event: EventId, freed: &SeatsChanged) -> bool {
        let mut lanes = self.0.lock();
        if let Some(since) = lanes.get_mut(&event) {
            since.seats.extend_from_slice(&freed.seats);
            since.slots.extend_from_slice(&freed.slots);
            return false;
        }
        lanes.insert(event, SeatsChanged::default());
        true
    }

    /// What has come free since; the lane is nobody's any more when nothing has.
    fn go_on(&self, event: EventId) -> Option<SeatsChanged> {
        let mut lanes = self.0.lock();
        let since = lanes.get_mut(&event).map(std::mem::take).filter(|since| !since.is_nothing_freed());
        if since.is_none() {
            lanes.remove(&event);
        }
        since
    }
}

/// Whom some places that came free concern.
struct Concerned {
    seats: HashSet<SeatId>,
    areas: HashSet<AreaId>,
    /// So many of those who ask for the same.
    each: usize,
    /// How many of them there were already, by the fingerprint of what they ask for.
    found: HashMap<[u8; 8], usize>,
}

impl Concerned {
    fn by(freed: &SeatsChanged) -> Self {
        let seats: HashSet<SeatId> = freed.seats.iter().copied().collect();
        let slots: HashSet<(AreaId, u32)> = freed.slots.iter().copied().collect();
        let each = seats.len() + slots.len();
        Self { seats, areas: slots.iter().map(|(area, _)| *area).collect(), each, found: HashMap::new() }
    }

    /// Whether to ask the next one, who asks for this. They come in their order.
    fn is_next(&mut self, request: &BookingRequest) -> bool {
        let may_want = match &request.wanted {
            Wanted::Named { seats, or_best } => {
                (*or_best && !self.seats.is_empty()) || seats.iter().any(|seat| self.seats.contains(seat))
            }
            Wanted::Best { .. } => true,
            Wanted::Area { area, .. } => self.areas.contains(area),
        };
        if !may_want {
            return false;
        }
        // The same for everybody.
        let found = self.found.entry(request.fingerprint(UserId(0))).or_default();
        *found += 1;
        *found <= self.each
    }
}

/// How far those who stand by have been asked again, whether or not anything came free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Up to this number.
    asked: u64,
    /// The highest one that stood by when the turn began.
    last: u64,
}

impl Queue {
    /// Calls those who stand by for what came free back to the head of the lane; returns how many. Where somebody of this
    /// process looks for those of this lane already, they go on with it, and it returns 0, as when it takes longer than
    /// a quarter of a second.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn recall_for(&self, event: EventId, freed: &SeatsChanged) -> Result<u64, QueueError> {
        if freed.is_nothing_freed() || !self.recalls.begin(event, freed) {
            return Ok(0);
        }
        let (done, first) = oneshot::channel();
        let (queue, freed) = (self.clone(), freed.clone());
        // To its end, even if the caller hangs up: others rely on it.
        tokio::spawn(async move { queue.look_for(event, freed, done).await });
        match tokio::time::timeout(WAIT, first).await {
            Ok(first) => first.unwrap_or(Err(QueueError::Closed)),
            Err(_) => Ok(0),
        }
    }

    /// Notes that something came free under the lease that holds: who is put on stand-by under it is decided once more.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn note_freed(&self, event: EventId) -> Result<(), QueueError> {
        self.call_recall(event, &[]).await.map(|_| ())
    }

    /// Looks for those whom what came free concerns, and again as long as something has come free meanwhile; most of the
    /// time it pauses, however much does.
    async fn look_for(
        &self,
        event: EventId,
        freed: SeatsChanged,
        done: oneshot::Sender<Result<u64, QueueError>>,
    ) {
        let (mut freed, mut done) = (Some(freed), Some(done));
        while let Some(now) = freed {
            let began = Instant::now();
            let called = self.call_back(event, &now).await;
            if let Err(error) = &called {
                tracing::warn!(
                    event.id = event.0,
                    error = crate::telemetry::chain(error),
                    "those who stand by could not be called back; the sweeper asks them in their turn"
                );
            }
            if let Some(done) = done.take() {
                let _ = done.send(called);
            }
            tokio::time::sleep((began.elapsed() * PAUSE).min(LONGEST_PAUSE)).await;
            freed = self.recalls.go_on(event);
        }
    }

    async fn call_back(&self, event: EventId, freed: &SeatsChanged) -> Result<u64, QueueError> {
        let mut recalled = 0;
        for _ in 0..LOOKS {
            let found = self.concerned(event, freed).await?;
            let mut called = 0;
            for numbers in found.chunks(PAGE) {
                called += self.recall(event, numbers).await?;
            }
            recalled += called;
            // Somebody else has called some of them back, for other places: further ones may have these.
            if called == found.len() as u64 {
                break;
            }
        }
        Ok(recalled)
    }

    /// Who stands by for what came free, lowest first.
    async fn concerned(&self, event: EventId, freed: &SeatsChanged) -> Result<Vec<u64>, QueueError> {
        let (mut concerned, mut numbers, mut after) = (Concerned::by(freed), Vec::new(), 0);
        let most = CALLED_BACK + FOR_EACH * concerned.each;
        loop {
            let page = self.waiting_after(event, after, PAGE, true).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let is_end = page.len() < PAGE;
            numbers
                .extend(page.into_iter().filter_map(|(number, envelope)| {
                    concerned.is_next(&envelope?.request).then_some(number)
                }));
            if is_end || numbers.len() >= most {
                break;
            }
        }
        numbers.truncate(most);
        Ok(numbers)
    }

    /// Asks the next of those who stand by again, so many hundreds, whether or not anything came free: in their order, each
    /// once in a turn, which ends when all who stood by as it began were asked. Nobody is asked while somebody who was asked
    /// before is not decided yet, so that a slow lane is there for others too. Returns how many.
    ///
    /// # Errors
    /// Redis is away; `turn` says how far it came.
    pub async fn recall_standby(
        &self,
        event: EventId,
        turn: &mut Option<Turn>,
        pages: usize,
    ) -> Result<u64, QueueError> {
        let Some(mut now) = (match *turn {
            None => self.last_standing_by(event).await?.map(|last| Turn { asked: 0, last }),
            under_way => under_way,
        }) else {
            return Ok(0);
        };
        let upto = if now.asked == 0 { now.last } else { now.asked };
        if self.waits_upto(event, upto).await? {
            return Ok(0);
        }
        let mut recalled = 0;
        for _ in 0..pages {
            let page = self.waiting_after(event, now.asked, PAGE, true).await?;
            let numbers: Vec<u64> =
                page.iter().map(|(number, _)| *number).filter(|number| *number <= now.last).collect();
            recalled += self.recall(event, &numbers).await?;
            *turn =
                numbers.last().filter(|asked| **asked < now.last).map(|asked| Turn { asked: *asked, ..now });
            match *turn {
                Some(further) => now = further,
                None => break,
            }
        }
        Ok(recalled)
    }

    /// The highest number that stands by.
    async fn last_standing_by(&self, event: EventId) -> Result<Option<u64>, QueueError> {
        let last: Vec<(redis::Value, u64)> = redis::cmd("ZRANGE")
            .arg(self.keys().standby(event))
            .arg(-1)
            .arg(-1)
            .arg("WITHSCORES")
            .query_async(&mut self.connection())
            .await?;
        Ok(last.into_iter().next().map(|(_, last)| last))
    }

    /// Whether somebody with this number or a lower one waits or is being decided.
    async fn waits_upto(&self, event: EventId, number: u64) -> Result<bool, QueueError> {
        let waiting: u64 = redis::cmd("ZCOUNT")
            .arg(self.keys().wait(event))
            .arg("-inf")
            .arg(number)
            .query_async(&mut self.connection())
            .await?;
        Ok(waiting > 0)
    }

    /// Brings these back to the head, as far as they stand by; returns how many.
    async fn recall(&self, event: EventId, numbers: &[u64]) -> Result<u64, QueueError> {
        if numbers.is_empty() { Ok(0) } else { self.call_recall(event, numbers).await }
    }

    async fn call_recall(&self, event: EventId, numbers: &[u64]) -> Result<u64, QueueError> {
        let (keys, partition) = (self.keys(), Partition::of(event));
        let names = [
            keys.partition(partition),
            keys.ready(partition),
            keys.feed(partition),
            keys.standby(event),
            keys.wait(event),
            keys.meta(event),
        ];
        let mut args = vec![arg(event), arg(keys.wake())];
        args.extend(numbers.iter().map(arg));
        let mut reply = self.call(script!("recall"), &names, &args).await?;
        match reply.word.as_str() {
            "recalled" => reply.next(),
            _ => Err(reply.unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(ids: &[i64]) -> Vec<SeatId> {
        ids.iter().map(|id| SeatId(*id)).collect()
    }

    #[test]
    fn only_those_are_asked_whom_it_concerns_and_of_the_same_as_many_as_came_free()
    -> Result<(), Box<dyn std::error::Error>> {
        let best =
            |quantity| Wanted::Best { quantity, tier: None, section: None, adjacent: true, or_any: false };
        let area = |area| BookingRequest::chosen(Wanted::Area { area: AreaId(area), quantity: 1 });
        let line = [
            BookingRequest::named(seats(&[2, 3]), false)?,
            BookingRequest::named(seats(&[3, 258]), false)?,
            BookingRequest::named(seats(&[3]), true)?,
            BookingRequest::chosen(best(1))?,
            BookingRequest::chosen(best(2))?,
            BookingRequest::chosen(best(1))?,
            area(1)?,
            area(2)?,
            BookingRequest::named(seats(&[2, 3]), false)?,
        ];
        let asked = |freed: &SeatsChanged| {
            let mut concerned = Concerned::by(freed);
            let mut is_next = |nth: &usize| concerned.is_next(&line[*nth]);
            (0..line.len()).filter(|nth| is_next(nth)).collect::<Vec<_>>()
        };
        let by_seats = |ids| SeatsChanged { seats: seats(ids), ..SeatsChanged::default() };
        assert_eq!(asked(&by_seats(&[2])), [0, 2, 3, 4]);
        assert_eq!(asked(&by_seats(&[2, 2])), [0, 2, 3, 4], "one seat that is told twice is one");
        assert_eq!(asked(&by_seats(&[7, 8])), [2, 3, 4, 5]);
        assert_eq!(asked(&by_seats(&[2, 8])), [0, 2, 3, 4, 5, 8]);
        let slot = SeatsChanged { slots: vec![(AreaId(1), 7)], ..SeatsChanged::default() };
        assert_eq!(asked(&slot), [3, 4, 6]);
        Ok(())
    }

    #[test]
    fn whoever_looks_goes_on_with_what_came_free_meanwhile() {
        let (recalls, event) = (Recalls::default(), EventId(1));
        let freed = |ids| SeatsChanged { seats: seats(ids), ..SeatsChanged::default() };
        assert!(recalls.begin(event, &freed(&[1])));
        assert!(!recalls.begin(event, &freed(&[2])) && !recalls.begin(event, &freed(&[3])));
        assert!(recalls.begin(EventId(2), &freed(&[4])), "another lane is another matter");
        assert_eq!(recalls.go_on(event).map(|since| since.seats), Some(seats(&[2, 3])));
        assert!(recalls.go_on(event).is_none());
        assert!(recalls.begin(event, &freed(&[5])), "it is over");
    }
}
