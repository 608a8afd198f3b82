//! What a gateway does when Redis may have lost something: it puts back, at their own numbers, the jobs that it
//! knows of and that PostgreSQL has no outcome for.

use super::{Fault, Lane, Lanes};
use super::lanes::now_s;
use crate::domain::Envelope;
use crate::queue::Partition;


/// Jobs asked for and put back at once.
const PAGE: usize = 500;

/// Puts back the jobs that this gateway added to a partition; returns how many were missing.
///
/// # Errors
/// A store is away; doing it again is safe.
pub async fn reenter_issued(lanes: &Lanes, partition: Partition) -> Result<u64, Fault> {
    let mut back = 0;
    for lane in lanes.of_partition(partition) {
        let mut after = 0;
        loop {
            let page = lane.issued_after(after, PAGE);
            let Some((last, _)) = page.last() else { break };
            after = *last;
            back += reenter(lanes, &lane, page).await?;
        }
    }
    Ok(back)
}

/// Puts back those of these jobs that have no outcome; notes the outcomes of the others.
///
/// # Errors
/// A store is away; doing it again is safe.
pub async fn reenter(lanes: &Lanes, lane: &Lane, mut jobs: Vec<(u64, Envelope)>) -> Result<u64, Fault> {
    let numbers: Vec<u64> = jobs.iter().map(|(number, _)| *number).collect();
    let outcomes = lanes.store().outcomes(lane.event, &numbers).await?;
    for (number, (owner, outcome)) in &outcomes {
        lane.board.write().note_outcome(*number, *owner, outcome.clone(), now_s());
        lane.forget_issued(*number);
    }
    jobs.retain(|(number, _)| !outcomes.contains_key(number));
    if jobs.is_empty() {
        return Ok(0);
    }
    Ok(lanes.queue().reenter(lane.event, &jobs).await?)
}
