//! Jobs that have ended, as they are kept for inspection.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rstest::rstest;
use shared::domain::{BookingId, Outcome, Refusal, Reservation};
use shared::queue::claim::Claim;
use shared::queue::inspect::Finished;
use shared::queue::settle::{Decided, Ending};

use super::{LANE, QueueLab, Site};
use crate::lab::TestResult;

fn won() -> Outcome {
    Outcome::Completed(Reservation {
        booking: BookingId::new(),
        seats: Vec::new(),
        slots: Vec::new(),
        expires_at_ms: 0,
    })
}

fn refused() -> Outcome {
    Outcome::Failed(Refusal::SoldOut)
}

/// A job of each of these owners, all decided in one batch; their numbers.
async fn decide(
    lab: &QueueLab,
    owners: RangeInclusive<i64>,
    outcome: fn() -> Outcome,
) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let mut numbers = Vec::new();
    for owner in owners {
        numbers.push(lab.add(owner, 1).await?);
    }
    let Claim::Batch(batch) = lab.queue.claim(LANE, "w", numbers.len()).await? else {
        return Err("nothing was claimed".into());
    };
    let endings = numbers.iter().map(|number| (*number, Ending::Decided(outcome()))).collect();
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    lab.queue.settle(&batch, &Decided { endings, now_ms, ..Decided::default() }, true).await??;
    Ok(numbers)
}

#[rstest]
#[tokio::test]
async fn the_latest_fifty_that_won_and_hundred_that_did_not_are_kept(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let (mut winners, mut losers) = (Vec::new(), Vec::new());
    for part in 0..2 {
        let first = part * 200 + 1;
        winners.extend(decide(&lab, first..=first + 39, won).await?);
        losers.extend(decide(&lab, first + 40..=first + 109, refused).await?);
    }
    for (which, numbers, kept) in [(Finished::Completed, &winners, 50), (Finished::Failed, &losers, 100)] {
        let jobs = lab.queue.finished_jobs(LANE, which).await?;
        let told: Vec<u64> = jobs.iter().map(|job| job.number).collect();
        let latest: Vec<u64> = numbers.iter().rev().take(kept).copied().collect();
        assert_eq!(told, latest, "{which:?}, newest first");
    }
    let state = lab.queue.lane_state(LANE).await?;
    assert_eq!((state.completed, state.failed), (80, 140), "all are counted");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn the_oldest_finished_jobs_are_forgotten_and_those_that_cannot_be_read(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let numbers = decide(&lab, 1..=3, refused).await?;
    let () = redis::cmd("RPUSH")
        .arg(lab.queue.keys().failed(LANE))
        .arg("{")
        .arg("an older one")
        .query_async(&mut lab.queue.connection())
        .await?;
    let clean = async |seconds: u64, limit: usize| {
        lab.queue.clean(LANE, Finished::Failed, Duration::from_secs(seconds), limit).await
    };
    assert_eq!(clean(3_600, 1).await?, 1);
    assert_eq!(clean(3_600, 100).await?, 1, "those that are younger stay");
    assert_eq!(clean(0, 2).await?, 2);
    let kept: Vec<u64> =
        lab.queue.finished_jobs(LANE, Finished::Failed).await?.iter().map(|job| job.number).collect();
    assert_eq!(kept, numbers[2..], "the youngest");
    assert_eq!((clean(0, 100).await?, clean(0, 100).await?), (1, 0));
    Ok(())
}
