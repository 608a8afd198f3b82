//! What the leader mends and tidies beside its ticks: a Redis that hangs, or thousands of lanes, must not make what has
//! run out late.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use shared::domain::EventId;
use shared::queue::Partition;
use shared::queue::standby::Turn;
use shared::shop::{Fault, Sweeps};

use crate::tick::warn;

/// How often those who stand by, or the next thousands of them, are asked again, whether or not anything came free.
const RECALL: Duration = Duration::from_secs(5);
/// How often old rows are forgotten.
const FORGET: Duration = Duration::from_mins(1);

/// What one round needs to know of those before.
#[derive(Default)]
pub(crate) struct Mending {
    epochs: HashMap<Partition, String>,
    recalled: Option<Instant>,
    /// How far those who stand by were asked again, where not all were yet.
    turns: HashMap<EventId, Turn>,
    forgot: Option<Instant>,
}

impl Mending {
    /// One round: Redis' side, and what has time.
    pub(crate) async fn round(&mut self, sweeps: &Sweeps, audit_keep_days: i32) {
        if let Err(error) = sweeps.copy_controls().await {
            warn("pauses could not be copied", &error);
        }
        if let Err(error) = self.rebuild(sweeps).await {
            warn("reservation keys could not be rebuilt", &error);
        }
        if self.recalled.is_none_or(|last| last.elapsed() > RECALL) {
            // Before it: a round that is cut short must not begin with the same again and again.
            self.recalled = Some(Instant::now());
            if let Err(error) = sweeps.recall_standby(&mut self.turns).await {
                warn("those who stand by could not be asked again", &error);
            }
        }
        if self.forgot.is_none_or(|last| last.elapsed() > FORGET) {
            self.forgot = Some(Instant::now());
            match sweeps.forget_old(audit_keep_days).await {
                Ok(rows) if rows > 0 => tracing::info!(rows, "{rows} old rows forgotten"),
                Ok(_) => {}
                Err(error) => warn("old rows could not be forgotten", &error),
            }
        }
    }

    /// Redis may have lost reservation keys where an epoch is new.
    async fn rebuild(&mut self, sweeps: &Sweeps) -> Result<(), Fault> {
        for (partition, epoch) in sweeps.epochs().await? {
            if self.epochs.get(&partition) == Some(&epoch) {
                continue;
            }
            let written = sweeps.rebuild_reservations(partition).await?;
            self.epochs.insert(partition, epoch);
            if written > 0 {
                tracing::info!(
                    partition = partition.index(),
                    keys = written,
                    "{written} reservations are shown in Redis again"
                );
            }
        }
        Ok(())
    }
}
