//! What a gateway does when Redis may have lost something: it puts back, at their own numbers, the jobs that it
//! knows of and that PostgreSQL has no outcome for.

use super::{Fault, Lane, Lanes};
use crate::domain::Envelope;
use crate::queue::Partition;
use crate::queue::board::JobState;
use crate::store::{STATEMENT, in_time};

/// Jobs asked for and put back at once.
const PAGE: usize = 500;

/// Puts back the jobs of a partition that this gateway added or found waiting; returns how many were missing.
///
/// # Errors
/// A store is away; doing it again is safe.
pub async fn reenter_issued(lanes: &Lanes, partition: Partition) -> Result<u64, Fault> {
    reenter_those(lanes, partition, |_, _| true).await
}

/// The same for those jobs only that neither wait nor have ended, as far as this process knows.
///
/// # Errors
/// A store is away; doing it again is safe.
pub async fn reenter_unknown(lanes: &Lanes, partition: Partition) -> Result<u64, Fault> {
    reenter_those(lanes, partition, |lane, number| lane.board.read().state(number) == JobState::Unknown).await
}

async fn reenter_those(
    lanes: &Lanes,
    partition: Partition,
    is_meant: impl Fn(&Lane, u64) -> bool,
) -> Result<u64, Fault> {
    let mut back = 0;
    for lane in lanes.of_partition(partition) {
        let mut after = 0;
        loop {
            let mut page = lane.issued_after(after, PAGE);
            let Some((last, _)) = page.last() else { break };
            after = *last;
            page.retain(|(number, _)| is_meant(&lane, *number));
            if !page.is_empty() {
                back += reenter(lanes, &lane, page).await?;
            }
        }
    }
    Ok(back)
}

/// Puts back those of these jobs that have no outcome; notes the outcomes of the others.
///
/// # Errors
/// A store is away; doing it again is safe.
pub async fn reenter(lanes: &Lanes, lane: &Lane, mut jobs: Vec<(u64, Envelope)>) -> Result<u64, Fault> {
    let numbers: Vec<(u64, u64)> = jobs.iter().map(|(number, job)| (*number, job.nonce)).collect();
    let outcomes = in_time(STATEMENT, lanes.store().outcomes(lane.event, &numbers)).await?;
    jobs.retain(|(number, _)| !outcomes.contains_key(number));
    if !outcomes.is_empty() {
        lanes.note_outcomes(lane, outcomes);
    }
    if jobs.is_empty() {
        return Ok(0);
    }
    Ok(lanes.queue().reenter(lane.event, &jobs).await?)
}
