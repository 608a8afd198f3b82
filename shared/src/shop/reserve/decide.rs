//! Writing what was proposed, and what to do when it cannot be.

use std::collections::HashSet;

use super::propose::{Proposal, Proposed};
use super::run::{FOREIGN_LOCK, Phase, Run, Turn, count};
use super::{LONGEST_REST, ReserveError};
use crate::domain::{Outcome, Refusal};
use crate::queue::claim::{ClaimedJob, Lease};
use crate::queue::feed::SeatsChanged;
use crate::queue::settle::{Decided, Ending};
use crate::seen::{self, Part};
use crate::shop::carts::{note_free, note_told};
use crate::store::{ClaimedPlace, Commit, Freed, JobWrite};

/// Times that a batch is decided anew because something was not as believed. One is usual after another worker
/// had the lane; more than a few mean that belief and store do not meet.
const ROUNDS: u32 = 12;
/// After so many rounds what is believed is read anew as a whole.
const RELOAD: u32 = 2;

impl Run<'_> {
    /// Decides part by part: a part that fails by itself is halved until one job fails alone.
    pub(super) async fn decide_all(&mut self, turn: &mut Turn) -> Result<(), ReserveError> {
        let Turn { batch, proposal, decided, next } = turn;
        let mut parts: Vec<&[ClaimedJob]> = vec![&batch.jobs];
        while let Some(part) = parts.pop() {
            let mut writing = Writing { jobs: part, proposal: proposal.take(), decided, next: None };
            if part.len() == batch.jobs.len() {
                writing.next = Some(next);
            }
            match self.decide(&mut writing).await {
                Ok(count) if count == part.len() => {}
                Ok(count) => parts.push(&part[count..]),
                // What was decided so far is settled; the jobs behind the locked seat wait.
                Err(ReserveError::ForeignLock) if !decided.endings.is_empty() => {
                    decided.delay = FOREIGN_LOCK;
                    return Ok(());
                }
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    self.belief = None;
                    if let [job] = part {
                        let is_over = job.attempts + 1 >= self.reserver.max_attempts;
                        log_failure(&self.lease, job, &error, is_over);
                        if is_over {
                            self.end(std::slice::from_ref(job), Refusal::Internal, decided).await?;
                            continue;
                        }
                        decided.stuck = Some(job.number);
                        decided.delay = self.reserver.rest(job.attempts, LONGEST_REST);
                        return Ok(());
                    }
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// Decides jobs in one transaction; how many of them, from the first. The rest must be decided after them.
    async fn decide(&mut self, writing: &mut Writing<'_>) -> Result<usize, ReserveError> {
        let mut jobs = writing.jobs;
        for round in 0..ROUNDS {
            if round == RELOAD {
                // Other workers have taken more than a proposal at a time would tell.
                self.belief = None;
            }
            let proposal = match writing.proposal.take() {
                Some(ready) => ready,
                None => match self.propose(jobs, None, &mut writing.decided.locks).await? {
                    Proposed::Made(proposal) => *proposal,
                    Proposed::KeptOut(0) => return Err(ReserveError::ForeignLock),
                    Proposed::KeptOut(at) => {
                        jobs = &jobs[..at];
                        continue;
                    }
                    Proposed::LayoutChanged => continue,
                    Proposed::EventGone => {
                        self.end(jobs, Refusal::SaleClosed, writing.decided).await?;
                        return Ok(jobs.len());
                    }
                },
            };
            match self.write(&proposal, writing).await? {
                Commit::Done(freed) => {
                    note_freed(writing.decided, &freed);
                    self.call_back_for(&freed, &proposal);
                    note_endings(writing.decided, proposal);
                    return Ok(jobs.len());
                }
                Commit::Stale { fence } => return Err(ReserveError::Stale(fence)),
                Commit::Conflict { .. } => metrics::counter!("usher_batch_conflicts_total").increment(1),
            }
        }
        Err(ReserveError::Unsettled)
    }

    /// Calls those back who stand by for what came free with places that were taken over.
    fn call_back_for(&self, freed: &[Freed], proposal: &Proposal) {
        let taken: HashSet<ClaimedPlace> = proposal.plan.places.iter().flatten().copied().collect();
        let mut left = SeatsChanged::default();
        for place in freed.iter().map(|one| one.place).filter(|place| !taken.contains(place)) {
            note_free(&mut left, place);
        }
        if left.is_nothing_freed() {
            return;
        }
        let (queue, event) = (self.reserver.queue.clone(), self.lease.event);
        // The sweeper asks everybody in turn where this fails.
        tokio::spawn(async move {
            queue.note_freed(event).await?;
            queue.recall_for(event, &left).await
        });
    }

    /// Writes a proposal, and meanwhile proposes the batch after it; when it is not written, neither is believed.
    async fn write(
        &mut self,
        proposal: &Proposal,
        writing: &mut Writing<'_>,
    ) -> Result<Commit, ReserveError> {
        let mut phase = Phase::begin();
        let (store, lease) = (&self.reserver.store, self.lease.clone());
        let batch = proposal.write(&lease);
        let write = async {
            let commit = store.commit_batch(&batch).await;
            (commit, phase.end("commit"))
        };
        let (commit, took) = match &mut writing.next {
            Some(next) if next.is_none() && proposal.count == writing.jobs.len() => {
                let (written, ahead) = tokio::join!(write, self.look_ahead(proposal));
                **next = ahead;
                written
            }
            _ => write.await,
        };
        self.size.note(proposal.count, took);
        let is_written = matches!(commit, Ok(Commit::Done(_)));
        if !is_written {
            self.undo_ahead(writing.next.as_mut().and_then(|next| next.as_deref_mut()));
        }
        // Nothing is believed any more when the look ahead has found that it should not be.
        let Some(mine) = &mut self.belief else { return Ok(commit?) };
        if !is_written {
            // What the look ahead has read of freed places was meant to come after this, so it is read again.
            mine.look_again_from(&proposal.prepared.freed);
        }
        match &commit {
            Ok(Commit::Done(_)) => mine.done(&proposal.plan),
            Ok(Commit::Conflict { free, expired, taken }) => {
                mine.undo(&proposal.plan);
                mine.note_freed(free, None);
                mine.note_expired(expired);
                mine.note_taken(taken);
            }
            Ok(Commit::Stale { .. }) | Err(_) => mine.undo(&proposal.plan),
        }
        Ok(commit?)
    }

    /// Ends jobs that nothing can be reserved for.
    async fn end(
        &self,
        jobs: &[ClaimedJob],
        refusal: Refusal,
        decided: &mut Decided,
    ) -> Result<(), ReserveError> {
        let (store, event) = (&self.reserver.store, self.lease.event);
        for job in jobs {
            let outcome = match &job.envelope {
                Some(envelope) => store.end_job(event, job.number, envelope, refusal).await?,
                None => Outcome::Failed(refusal),
            };
            let ending = Ending::Decided(outcome);
            count(std::iter::once(&ending));
            decided.endings.insert(job.number, ending);
        }
        Ok(())
    }
}

/// Jobs that are to be decided in one transaction.
struct Writing<'a> {
    jobs: &'a [ClaimedJob],
    proposal: Option<Proposal>,
    decided: &'a mut Decided,
    /// Where the batch after these jobs goes; `None` when they are only a part of theirs.
    next: Option<&'a mut Option<Box<Turn>>>,
}

fn note_freed(decided: &mut Decided, freed: &[Freed]) {
    for one in freed {
        note_told(&mut decided.told, one, true);
    }
}

fn note_endings(decided: &mut Decided, proposal: Proposal) {
    decided.now_ms = proposal.prepared.now_ms;
    for (number, outcome) in proposal.plan.known {
        decided.endings.insert(number, Ending::Decided(outcome));
    }
    let ending = |job: JobWrite| (job.number, job.outcome.map_or(Ending::StandsBy, Ending::Decided));
    let written: Vec<_> = proposal.plan.writes.into_iter().map(ending).collect();
    count(written.iter().map(|(_, ending)| ending));
    decided.endings.extend(written);
}

fn log_failure(lease: &Lease, job: &ClaimedJob, error: &ReserveError, is_over: bool) {
    seen::error(Part::Worker, "job_failed_by_itself", None);
    tracing::error!(
        event.id = lease.event.0,
        job.number = job.number,
        job.attempts = job.attempts + 1,
        error = crate::telemetry::chain(error),
        "job failed by itself{}",
        if is_over { " for the last time" } else { "; it will be tried again in its place" }
    );
}
