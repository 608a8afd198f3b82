//! The lane as a state machine: whatever happens to it, the scripts do what a small model says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::domain::{Outcome, Refusal};
use shared::queue::claim::{Batch, Claim};
use shared::queue::enqueue::Added;
use shared::queue::lease::GiveBack;
use shared::queue::settle::{Decided, Ending};

use super::{LANE, QueueLab, Site, job};
use crate::lab::TestResult;

#[derive(Debug, Clone)]
enum Step {
    Add(i64),
    Claim(usize),
    Settle,
    GiveBack,
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1i64..30).prop_map(Step::Add),
        2 => (1usize..6).prop_map(Step::Claim),
        2 => Just(Step::Settle),
        1 => Just(Step::GiveBack),
        1 => (0usize..10).prop_map(Step::Leave),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What a lane is, without Redis: numbers by owner, ascending, and the batch that is out.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<u64, i64>,
    batch: Option<Batch>,
}

async fn run(lab: &QueueLab, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let fail = |error: &dyn std::fmt::Display| TestCaseError::fail(error.to_string());
    let () = redis::cmd("FLUSHALL")
        .query_async(&mut lab.queue.connection())
        .await
        .map_err(|error| fail(&error))?;
    lab.ready().await.map_err(|error| fail(&error))?;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Add(owner) => {
                let new = job(owner, 1).map_err(|error| fail(&error))?;
                let added = lab.queue.enqueue(LANE, &[new]).await.map_err(|error| fail(&error))?;
                let known =
                    model.waiting.iter().find(|(_, known)| **known == owner).map(|(number, _)| *number);
                let Some(Added::Queued { number, is_new, place, .. }) =
                    added.and_then(|added| added.jobs.into_iter().next())
                else {
                    return Err(TestCaseError::fail("not queued"));
                };
                prop_assert_eq!(is_new, known.is_none());
                if let Some(known) = known {
                    prop_assert_eq!(number, known);
                } else {
                    prop_assert!(model.waiting.keys().next_back().is_none_or(|last| *last < number));
                    model.waiting.insert(number, owner);
                }
                let active = model.batch.as_ref().map_or(0, |batch| batch.jobs.len());
                let ahead = model.waiting.range(..number).count();
                prop_assert_eq!(place, (ahead + 1).saturating_sub(active) as u64);
            }
            Step::Claim(most) => {
                let claimed = lab.queue.claim(LANE, "w", most).await.map_err(|error| fail(&error))?;
                match (claimed, &model.batch) {
                    (Claim::Batch(batch), None) => {
                        let expected: Vec<u64> = model.waiting.keys().copied().take(most).collect();
                        let got: Vec<u64> = batch.jobs.iter().map(|job| job.number).collect();
                        prop_assert_eq!(got, expected);
                        model.batch = Some(batch);
                    }
                    (Claim::Empty, None) => prop_assert!(model.waiting.is_empty()),
                    (Claim::NotBefore(_), Some(_)) => {}
                    (other, _) => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
            Step::Settle => {
                let Some(batch) = model.batch.take() else { continue };
                let ending = || Ending::Decided(Outcome::Failed(Refusal::SoldOut));
                let endings = batch.jobs.iter().map(|job| (job.number, ending())).collect();
                let decided = Decided { endings, ..Decided::default() };
                let left = lab.queue.settle(&batch, &decided, true).await.map_err(|error| fail(&error))?;
                for job in &batch.jobs {
                    model.waiting.remove(&job.number);
                }
                prop_assert_eq!(left, Ok(model.waiting.len() as u64));
            }
            Step::GiveBack => {
                let Some(batch) = model.batch.take() else { continue };
                let back = lab
                    .queue
                    .give_back(&batch.lease, &GiveBack::default())
                    .await
                    .map_err(|error| fail(&error))?;
                prop_assert!(back.is_ok());
            }
            Step::Leave(at) => {
                // Only those who wait leave here; an active one is decided by the outcome row in PostgreSQL.
                let active = model.batch.as_ref().map_or(0, |batch| batch.jobs.len());
                let Some((number, owner)) = model.waiting.iter().nth(active + at).map(|(n, o)| (*n, *o))
                else {
                    continue;
                };
                let envelope = job(owner, 1).map_err(|error| fail(&error))?.envelope;
                let left = [(number, envelope, Outcome::Failed(Refusal::Left))];
                prop_assert_eq!(lab.queue.leave(LANE, &left).await.map_err(|error| fail(&error))?, 1);
                model.waiting.remove(&number);
            }
        }
    }
    Ok(())
}

#[test]
fn a_lane_does_what_a_small_model_says() -> TestResult {
    let runtime = tokio::runtime::Runtime::new()?;
    let lab = runtime.block_on(QueueLab::start(Site::Single, &[]))?;
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    runner.run(&steps(), |steps| runtime.block_on(run(&lab, steps)))?;
    Ok(())
}
