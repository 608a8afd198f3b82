//! Proposing: what a batch would do, and the locks for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::plan::{Belief, Plan};
use super::run::{Phase, Run};
use super::{Fault, ReserveError};
use crate::domain::UserId;
use crate::queue::claim::{ClaimedJob, Lease};
use crate::queue::lock::Locked;
use crate::store::{BatchWrite, ClaimedPlace, Prepared};

/// What is to be written: a plan, and what it was made on.
pub(super) struct Proposal {
    pub(super) prepared: Prepared,
    pub(super) plan: Plan,
    /// How many jobs it covers, from the first.
    pub(super) count: usize,
}

/// What became of proposing.
pub(super) enum Proposed {
    /// It can be written; its locks are taken.
    Made(Box<Proposal>),
    /// A foreign lock keeps the job at this index out, and so those after it.
    KeptOut(usize),
    /// The layout is another one than was believed.
    LayoutChanged,
    /// There is no such event any more.
    EventGone,
}

impl Proposed {
    /// The proposal, when there is one.
    pub(super) fn made(self) -> Option<Proposal> {
        match self {
            Self::Made(proposal) => Some(*proposal),
            Self::KeptOut(_) | Self::LayoutChanged | Self::EventGone => None,
        }
    }
}

impl Proposal {
    /// What is written of it.
    pub(super) fn write<'a>(&'a self, lease: &'a Lease) -> BatchWrite<'a> {
        let plan = &self.plan;
        BatchWrite {
            lease,
            prepared: &self.prepared,
            jobs: &plan.writes,
            refused_seats: plan.refused_seats.clone(),
            is_short: plan.is_short,
            taken_over: plan.taken_over.clone(),
            known_expired: plan.known_expired.clone(),
            limited: plan.limited.clone(),
        }
    }
}

impl Run<'_> {
    /// Decides jobs on what is believed and takes the locks; on top of `before`, when that is still being written.
    /// Every lock that was tried is added to `locks`.
    pub(super) async fn propose(
        &mut self,
        jobs: &[ClaimedJob],
        before: Option<&Proposal>,
        locks: &mut Vec<String>,
    ) -> Result<Proposed, ReserveError> {
        if !self.believe().await? {
            return Ok(Proposed::EventGone);
        }
        let mut phase = Phase::begin();
        let Some(prepared) = self.prepare(jobs, before).await? else {
            self.belief = None;
            return Ok(Proposed::LayoutChanged);
        };
        phase.end("prepare");
        let most = self.reserver.max_attempts;
        let Some(mine) = &mut self.belief else { return Ok(Proposed::LayoutChanged) };
        let plan = match caught(|| mine.plan(jobs, &prepared, most)) {
            Ok(plan) => plan,
            Err(panicked) => {
                // Nobody knows what it had taken by then.
                self.belief = None;
                return Err(panicked);
            }
        };
        phase.end("plan");
        let kept_out = self.lock(&plan, locks).await;
        phase.end("lock");
        if let (Ok(Some(_)) | Err(_), Some(mine)) = (&kept_out, &mut self.belief) {
            mine.undo(&plan);
        }
        Ok(match kept_out? {
            // Jobs before it that have an outcome already are not in the plan, but are in the batch.
            Some(first) => Proposed::KeptOut(jobs.iter().position(|job| job.number == first).unwrap_or(0)),
            None => Proposed::Made(Box::new(Proposal { prepared, plan, count: jobs.len() })),
        })
    }

    /// Reads the event when nothing is believed of it; false when it is gone.
    async fn believe(&mut self) -> Result<bool, ReserveError> {
        if self.belief.is_none() {
            let (store, event) = (&self.reserver.store, self.lease.event);
            let Some(layout) = store.layout(event).await? else { return Ok(false) };
            let claims = store.live_claims(event).await?;
            self.belief = Some(Belief::new(Arc::new(layout), claims));
        }
        Ok(true)
    }

    /// Reads what jobs are decided on and believes what came free; `None` when the layout has changed.
    async fn prepare(
        &mut self,
        jobs: &[ClaimedJob],
        before: Option<&Proposal>,
    ) -> Result<Option<Prepared>, ReserveError> {
        let Some(mine) = &mut self.belief else { return Ok(None) };
        let nonce = |job: &ClaimedJob| job.envelope.as_ref().map_or(0, |envelope| envelope.nonce);
        let numbers: Vec<(u64, u64)> = jobs.iter().map(|job| (job.number, nonce(job))).collect();
        let mut users: Vec<UserId> =
            jobs.iter().filter_map(|job| job.envelope.as_ref()).map(|job| job.owner).collect();
        users.sort_unstable();
        users.dedup();
        let store = &self.reserver.store;
        let read = store.prepare_batch(self.lease.event, &numbers, &users, &mine.xmin, &mine.seen).await?;
        let Some(mut prepared) = read.filter(|read| read.layout_version == mine.layout.version) else {
            return Ok(None);
        };
        // Once that is written, what came free later is free. A place wrongly believed free costs one conflict; one wrongly
        // believed taken would never be looked at again.
        let unwritten = before.filter(|before| prepared.version == before.prepared.version);
        mine.note_sold(&prepared.freed.sold);
        mine.note_freed(&prepared.freed.places, unwritten.map(|before| &before.plan));
        mine.look_again_from(&prepared.freed);
        mine.looked = Instant::now();
        if let Some(before) = before {
            // Whether it was written by the time of this reading or not, it is before this is.
            prepared.version = before.prepared.version + 1;
            prepared.usage.extend(&before.plan.usage);
        }
        Ok(Some(prepared))
    }

    /// Takes the locks of a plan; the number of the first job that a foreign lock keeps out.
    async fn lock(&self, plan: &Plan, locks: &mut Vec<String>) -> Result<Option<u64>, ReserveError> {
        let (queue, event) = (&self.reserver.queue, self.lease.event);
        let keys = queue.keys();
        let wanted: Vec<Vec<String>> = plan
            .places
            .iter()
            .map(|places| {
                let key = |place: &ClaimedPlace| match place {
                    ClaimedPlace::Seat(seat) => keys.seat_lock(event, *seat),
                    ClaimedPlace::Slot(area, slot) => keys.slot_lock(event, *area, *slot),
                };
                places.iter().map(key).collect()
            })
            .collect();
        let locked = queue.lock(&self.lease, &wanted).await.map_err(Fault::from)?;
        locks.extend(wanted.into_iter().flatten());
        match locked {
            Locked::Stale => Err(ReserveError::LeaseLost),
            Locked::Except(kept_out) => {
                Ok(kept_out.into_iter().min().and_then(|at| plan.writes.get(at)).map(|job| job.number))
            }
        }
    }
}

/// Does it; a panic ends what was to be decided, not the worker.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, ReserveError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| ReserveError::Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_that_panics_is_a_failure_of_its_own_jobs() {
        let panicked = caught(|| -> u32 { panic!("a fault of ours") });
        assert!(matches!(panicked, Err(ReserveError::Panicked)));
        assert!(!ReserveError::Panicked.is_passing(), "its batch is halved until the one to blame is alone");
        assert!(matches!(caught(|| 7), Ok(7)));
    }
}
