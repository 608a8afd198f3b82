//! Lanes of named queues: what rests, what is due later, and limits.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use shared::domain::EventId;
use shared::queue::claim::{Batch, Claim};
use shared::queue::control::{Controls, Pause, Rate};
use shared::queue::inspect::Finished;
use shared::queue::jobs::{Job, JobAdded, JobEnding, JobToAdd, lane, partition};
use shared::queue::lease::{GiveBack, LeaseLost};
use shared::queue::take_out::Ended;
use shared::queue::{Partition, Queue};
use uuid::Uuid;

use super::{QueueLab, Site};
use crate::lab::TestResult;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn job(payload: &str, run_at_ms: Option<i64>) -> JobToAdd {
    JobToAdd { id: Uuid::now_v7(), payload: payload.as_bytes().to_vec(), run_at_ms }
}

async fn named(lab: &QueueLab, controls: &Controls) -> Fallible<Queue> {
    let queue = lab.queue.named("mail");
    queue.copy_controls(partition(), controls).await?;
    Ok(queue)
}

async fn claim(queue: &Queue, of: EventId, most: usize) -> Fallible<Claim<Job>> {
    Ok(queue.claim_as(of, "w", most).await?)
}

async fn batch(queue: &Queue, most: usize) -> Fallible<Batch<Job>> {
    match claim(queue, lane(0), most).await? {
        Claim::Batch(batch) => Ok(batch),
        other @ (Claim::Empty
        | Claim::Paused
        | Claim::NotBefore(_)
        | Claim::Recovering(_)
        | Claim::NoControls(_)
        | Claim::NoEpoch
        | Claim::Restarted(_)) => Err(format!("{other:?}").into()),
    }
}

fn payloads(batch: &Batch<Job>) -> Vec<String> {
    batch.jobs.iter().map(|job| String::from_utf8_lossy(&job.payload).into_owned()).collect()
}

async fn add(queue: &Queue, names: &[&str]) -> Fallible<Vec<JobToAdd>> {
    let jobs: Vec<JobToAdd> = names.iter().map(|name| job(name, None)).collect();
    let added = queue.add_jobs(lane(0), &jobs).await?.ok_or("an epoch")?;
    assert!(added.iter().all(|added| matches!(added, JobAdded::Queued(_))));
    Ok(jobs)
}

fn all(batch: &Batch<Job>, ending: &JobEnding) -> Vec<(u64, JobEnding)> {
    batch.jobs.iter().map(|job| (job.number, ending.clone())).collect()
}

pub(super) async fn redis_ms(queue: &Queue) -> Fallible<i64> {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut queue.connection()).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}

#[rstest]
#[tokio::test]
async fn a_job_added_twice_is_one_and_queues_do_not_mix(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let other = lab.queue.named("refunds");
    assert!(other.add_jobs(lane(0), &[job("x", None)]).await?.is_none(), "it has no epoch yet");
    other.copy_controls(partition(), &Controls::default()).await?;
    let jobs = add(&queue, &["1", "2"]).await?;
    queue.add_jobs(lane(0), &jobs).await?;
    let first = batch(&queue, 10).await?;
    assert_eq!(payloads(&first), ["1", "2"]);
    assert_eq!(first.jobs[0].id, jobs[0].id);
    assert_eq!(queue.settle_jobs(&first, &all(&first, &JobEnding::Completed), Duration::ZERO).await?, Ok(0));
    queue.add_jobs(lane(0), &jobs).await?;
    assert!(matches!(claim(&queue, lane(0), 1).await?, Claim::Empty), "what is finished does not come back");
    assert!(matches!(claim(&other, lane(0), 1).await?, Claim::Empty));
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_failed_job_rests_without_holding_up_others_and_comes_back_to_its_place(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    add(&queue, &["1", "2", "3", "4"]).await?;
    let first = batch(&queue, 2).await?;
    let rest = Duration::from_millis(400);
    let endings = vec![
        (first.jobs[0].number, JobEnding::Later(rest, "mail server\nis away".to_owned())),
        (first.jobs[1].number, JobEnding::Completed),
    ];
    assert_eq!(queue.settle_jobs(&first, &endings, Duration::ZERO).await?, Ok(2));
    assert_eq!(queue.settle_jobs(&first, &endings, Duration::ZERO).await?, Ok(2), "told twice");
    let second = batch(&queue, 1).await?;
    assert_eq!(payloads(&second), ["3"], "the others go on");
    queue.settle_jobs(&second, &all(&second, &JobEnding::Completed), Duration::ZERO).await??;
    assert_eq!(queue.settle_jobs(&first, &endings, Duration::ZERO).await?, Err(LeaseLost), "too late");
    tokio::time::sleep(rest + Duration::from_millis(50)).await;
    let third = batch(&queue, 5).await?;
    assert_eq!(payloads(&third), ["1", "4"], "in its own place, before all that came after it");
    assert_eq!((third.jobs[0].attempts, third.jobs[1].attempts), (1, 0));
    let endings = vec![
        (third.jobs[0].number, JobEnding::Failed("no such address".to_owned())),
        (third.jobs[1].number, JobEnding::Later(Duration::from_mins(1), "busy".to_owned())),
    ];
    assert_eq!(queue.settle_jobs(&third, &endings, Duration::ZERO).await?, Ok(0));
    let kept: Vec<String> = redis::cmd("LRANGE")
        .arg(queue.keys().failed(lane(0)))
        .arg(&[0, 10])
        .query_async(&mut queue.connection())
        .await?;
    let [failed] = kept.as_slice() else { return Err("one failed job".into()) };
    assert!(failed.contains("no such address") && failed.contains("mail server is away"), "{failed}");
    assert!(matches!(claim(&queue, lane(0), 5).await?, Claim::NotBefore(_)), "the last one rests");
    assert_eq!(queue.due_lanes(partition(), 10).await?, []);
    add(&queue, &["5"]).await?;
    let due = queue.due_lanes(partition(), 10).await?;
    assert_eq!(due, [lane(0)], "who comes meanwhile is found without having been heard of");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_job_for_later_gets_its_number_when_it_is_due(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &["--queue-max-waiting=3"]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let now = redis_ms(&queue).await?;
    let mut later = [job("second", Some(now + 600)), job("first", Some(now + 300))];
    later[0].id = Uuid::from_u128(0x0000_0a25_2500_7000_8000_5d5e_2400_00ff);
    let ids = later.clone().map(|job| job.id);
    queue.add_jobs(lane(0), &later).await?;
    queue.add_jobs(lane(0), &later).await?;
    assert_eq!(queue.numbers(lane(0), &ids).await?, [None, None]);
    let far = job("far", Some(now + 60_000));
    let one_too_many = job("one too many", Some(now + 60_000));
    let added = queue.add_jobs(lane(0), &[far, one_too_many]).await?.ok_or("an epoch")?;
    assert_eq!(
        added,
        [JobAdded::Queued(None), JobAdded::Full],
        "a lane is bounded in what it keeps for later too"
    );
    assert!(
        matches!(claim(&queue, lane(0), 5).await?, Claim::NotBefore(at) if at == u64::try_from(now + 300)?)
    );
    add(&queue, &["now"]).await?;
    let first = batch(&queue, 5).await?;
    assert_eq!(payloads(&first), ["now"]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    queue.settle_jobs(&first, &all(&first, &JobEnding::Completed), Duration::ZERO).await??;
    assert_eq!(queue.due_lanes(partition(), 10).await?, [lane(0)], "a worker looks when it is due");
    let due = batch(&queue, 1).await?;
    assert_eq!(payloads(&due), ["first"]);
    let place = async || -> Fallible<_> {
        let [Some(number), Some(_)] = queue.numbers(lane(0), &ids).await?[..] else {
            return Err("both have their numbers".into());
        };
        Ok(queue.places(lane(0), &[number]).await?)
    };
    // It may be that the one claim numbered one of them, and the next one the other.
    queue.give_back(&due.lease, &GiveBack::default()).await??;
    let due = batch(&queue, 1).await?;
    assert_eq!(place().await?, [Some(1)], "behind the one that is at hand");
    queue.give_back(&due.lease, &GiveBack::default()).await??;
    assert_eq!(place().await?, [Some(2)]);
    let due = batch(&queue, 5).await?;
    assert_eq!(payloads(&due), ["first", "second"]);
    assert_eq!(place().await?, [Some(0)]);
    assert!(due.jobs.iter().all(|job| job.number > first.jobs[0].number));
    assert_eq!(due.jobs[0].id, later[1].id);
    Ok(())
}

/// A batch of one job that rests for five minutes: all that the lane has.
async fn let_one_rest(queue: &Queue) -> TestResult {
    add(queue, &["rests"]).await?;
    let first = batch(queue, 1).await?;
    let later = JobEnding::Later(Duration::from_mins(5), "not now".to_owned());
    queue.settle_jobs(&first, &all(&first, &later), Duration::ZERO).await??;
    assert_eq!(queue.due_lanes(partition(), 10).await?, [], "nobody looks before it is due");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_lane_whose_jobs_all_rest_is_due_at_once_when_one_comes_that_does_not(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let due = async || queue.due_lanes(partition(), 10).await;
    let_one_rest(&queue).await?;
    add(&queue, &["new"]).await?;
    assert_eq!(due().await?, [lane(0)], "whoever missed the wake-up finds it");
    let taken = batch(&queue, 5).await?;
    assert_eq!(payloads(&taken), ["new"]);
    let now = redis_ms(&queue).await?;
    add(&queue, &["behind"]).await?;
    queue.add_jobs(lane(0), &[job("for later", Some(now - 1))]).await?;
    queue.copy_controls(partition(), &Controls::default()).await?;
    assert_eq!(due().await?, [], "nobody looks while it is leased");
    let rest = Duration::from_secs(2);
    let how = GiveBack { delay: rest, ..GiveBack::default() };
    queue.give_back(&taken.lease, &how).await??;
    add(&queue, &["last"]).await?;
    queue.add_jobs(lane(0), &[job("for later too", Some(now - 1))]).await?;
    queue.copy_controls(partition(), &Controls::default()).await?;
    assert_eq!(due().await?, [], "nor while the lane rests");
    tokio::time::sleep(rest + Duration::from_millis(50)).await;
    assert_eq!(due().await?, [lane(0)]);
    let after = batch(&queue, 10).await?;
    assert_eq!(payloads(&after), ["new", "behind", "last", "for later", "for later too"]);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn who_came_during_a_pause_is_looked_at_after_it_though_others_rest(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let_one_rest(&queue).await?;
    let pause = Pause { paused: true, message: String::new() };
    let paused = Controls { queue: pause, ..Controls::default() };
    queue.copy_controls(partition(), &paused).await?;
    add(&queue, &["new"]).await?;
    assert_eq!(queue.due_lanes(partition(), 10).await?, []);
    queue.copy_controls(partition(), &Controls::default()).await?;
    assert_eq!(queue.due_lanes(partition(), 10).await?, [lane(0)]);
    assert_eq!(payloads(&batch(&queue, 5).await?), ["new"]);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn limits_hold_for_a_lane_and_for_a_queue(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let rate = |max| Some(Rate { max, window_ms: 500 });
    let limited = Controls {
        rate: rate(3),
        lanes_at_once: Some(1),
        lane_rates: rate(2).map(|rate| (lane(0), rate)).into_iter().collect(),
        ..Controls::default()
    };
    let queue = named(&lab, &limited).await?;
    assert!(matches!(claim(&queue, lane(0), 5).await?, Claim::Empty));
    let windows: (Option<u64>, Option<u64>) = redis::pipe()
        .cmd("HGET")
        .arg(queue.keys().meta(lane(0)))
        .arg("rate_from")
        .cmd("HGET")
        .arg(queue.keys().partition(partition()))
        .arg("rate_from")
        .query_async(&mut queue.connection())
        .await?;
    assert_eq!(windows, (None, None), "no window begins with a claim that finds nobody");
    add(&queue, &["1", "2", "3", "4"]).await?;
    queue.add_jobs(lane(1), &[job("a", None), job("b", None)]).await?;
    queue.copy_controls(partition(), &limited).await?;
    let undone = batch(&queue, 10).await?;
    assert_eq!(payloads(&undone), ["1", "2"], "two a window of this lane");
    queue.give_back(&undone.lease, &GiveBack::default()).await??;
    let first = batch(&queue, 10).await?;
    assert_eq!(payloads(&first), ["1", "2"], "what was given back undone does not count");
    assert!(queue.extend(&first.lease, first.jobs[1].number, 5).await?.is_none());
    assert!(matches!(claim(&queue, lane(1), 5).await?, Claim::NotBefore(_)), "one lane at a time");
    queue.settle_jobs(&first, &all(&first, &JobEnding::Completed), Duration::ZERO).await??;
    assert!(matches!(claim(&queue, lane(0), 5).await?, Claim::NotBefore(_)), "its window is used up");
    let Claim::Batch(second) = claim(&queue, lane(1), 5).await? else { return Err("a batch".into()) };
    assert_eq!(payloads(&second), ["a"], "three a window of the whole queue");
    queue.settle_jobs(&second, &all(&second, &JobEnding::Completed), Duration::ZERO).await??;
    tokio::time::sleep(Duration::from_millis(550)).await;
    assert_eq!(payloads(&batch(&queue, 10).await?), ["3", "4"], "another window");
    queue.copy_controls(partition(), &Controls::default()).await?;
    let Claim::Batch(third) = claim(&queue, lane(1), 5).await? else { return Err("a batch".into()) };
    assert_eq!(payloads(&third), ["b"], "limits are lifted");
    assert_eq!(Partition::of(lane(0)), Partition::of(lane(1)));
    Ok(())
}

#[rstest]
#[tokio::test]
async fn what_is_due_during_a_pause_is_looked_at_after_it(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let now = redis_ms(&queue).await?;
    queue.add_jobs(lane(0), &[job("1", Some(now + 100))]).await?;
    let pause = Pause { paused: true, message: String::new() };
    let paused = Controls { queue: pause, ..Controls::default() };
    queue.copy_controls(partition(), &paused).await?;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(matches!(claim(&queue, lane(0), 5).await?, Claim::Paused));
    assert_eq!(queue.due_lanes(partition(), 10).await?, []);
    queue.copy_controls(partition(), &Controls::default()).await?;
    assert_eq!(queue.due_lanes(partition(), 10).await?, [lane(0)]);
    assert_eq!(payloads(&batch(&queue, 5).await?), ["1"]);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn what_was_taken_without_a_limit_is_not_given_back_to_one(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let limited = Controls { rate: Some(Rate { max: 2, window_ms: 60_000 }), ..Controls::default() };
    let queue = named(&lab, &limited).await?;
    add(&queue, &["1", "2", "3", "4", "5", "6", "7"]).await?;
    let first = batch(&queue, 1).await?;
    queue.settle_jobs(&first, &all(&first, &JobEnding::Completed), Duration::ZERO).await??;
    queue.copy_controls(partition(), &Controls::default()).await?;
    let unlimited = batch(&queue, 5).await?;
    queue.copy_controls(partition(), &limited).await?;
    queue.give_back(&unlimited.lease, &GiveBack::default()).await??;
    assert_eq!(payloads(&batch(&queue, 5).await?), ["2"], "one of two is left in this window");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_job_that_rests_and_is_promoted_comes_back_to_its_own_place_at_once(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let jobs = add(&queue, &["rests", "behind"]).await?;
    let first = batch(&queue, 1).await?;
    let number = first.jobs[0].number;
    assert!(!queue.promote(lane(0), &jobs[0], Some(number)).await?, "it is active");
    assert!(!queue.promote(lane(0), &jobs[1], None).await?, "it waits");
    let later = JobEnding::Later(Duration::from_mins(5), "not now".to_owned());
    queue.settle_jobs(&first, &all(&first, &later), Duration::ZERO).await??;
    let second = batch(&queue, 1).await?;
    assert_eq!(payloads(&second), ["behind"]);
    assert!(!queue.promote(lane(0), &jobs[0], None).await?, "without its number it is not found");
    assert!(queue.promote(lane(0), &jobs[0], Some(number)).await?);
    assert!(queue.promote(lane(0), &jobs[0], Some(number)).await?, "told twice");
    assert_eq!(queue.due_lanes(partition(), 10).await?, [], "a lease keeps its own end");
    queue.give_back(&second.lease, &GiveBack::default()).await??;
    let third = batch(&queue, 5).await?;
    assert_eq!(payloads(&third), ["rests", "behind"], "in its own place");
    assert_eq!((third.jobs[0].number, third.jobs[0].attempts), (number, 1));
    queue.settle_jobs(&third, &all(&third, &JobEnding::Completed), Duration::ZERO).await??;
    assert!(!queue.promote(lane(0), &jobs[0], Some(number)).await?, "it is not here any more");
    assert!(matches!(claim(&queue, lane(0), 5).await?, Claim::Empty));
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_lane_whose_jobs_are_all_put_off_is_due_at_once_when_one_is_promoted(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let now = redis_ms(&queue).await?;
    let later = [job("first", Some(now + 60_000)), job("second", Some(now + 70_000))];
    queue.add_jobs(lane(0), &later).await?;
    assert!(queue.promote(lane(0), &later[1], None).await?);
    assert!(!queue.promote(lane(0), &later[1], None).await?, "it has its number by now");
    queue.add_jobs(lane(0), &later).await?;
    add(&queue, &["new"]).await?;
    assert_eq!(queue.due_lanes(partition(), 10).await?, [lane(0)]);
    let taken = batch(&queue, 5).await?;
    assert_eq!(payloads(&taken), ["second", "new"], "it got its number when it was promoted");
    assert_eq!(taken.jobs[0].id, later[1].id);
    queue.settle_jobs(&taken, &all(&taken, &JobEnding::Completed), Duration::ZERO).await??;
    assert_eq!(queue.due_lanes(partition(), 10).await?, []);
    let pause = Pause { paused: true, message: String::new() };
    let paused = Controls { queue: pause, ..Controls::default() };
    queue.copy_controls(partition(), &paused).await?;
    assert!(matches!(claim(&queue, lane(0), 5).await?, Claim::Paused));
    assert!(queue.promote(lane(0), &later[0], None).await?);
    assert_eq!(queue.due_lanes(partition(), 10).await?, [], "nobody looks during a pause");
    queue.copy_controls(partition(), &Controls::default()).await?;
    assert_eq!(queue.due_lanes(partition(), 10).await?, [lane(0)]);
    assert_eq!(payloads(&batch(&queue, 5).await?), ["first"]);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn what_is_kept_of_finished_jobs_is_forgotten_by_age(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    add(&queue, &["1"]).await?;
    let first = batch(&queue, 1).await?;
    let later = JobEnding::Later(Duration::ZERO, "not now".to_owned());
    queue.settle_jobs(&first, &all(&first, &later), Duration::ZERO).await??;
    let again = batch(&queue, 1).await?;
    let failed = JobEnding::Failed("never".to_owned());
    queue.settle_jobs(&again, &all(&again, &failed), Duration::ZERO).await??;
    let clean = async |seconds| {
        queue.clean(lane(0), Finished::Failed, Duration::from_secs(seconds), usize::MAX).await
    };
    assert_eq!(clean(3_600).await?, 0, "it is young, whatever failed before");
    assert_eq!(clean(0).await?, 1);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn jobs_are_taken_out_of_a_lane_but_for_those_that_a_worker_has_at_hand(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let queue = named(&lab, &Controls::default()).await?;
    let jobs = add(&queue, &["rests", "at hand", "waits"]).await?;
    assert!(queue.at_hand(lane(0)).await?.is_empty());
    let first = batch(&queue, 1).await?;
    let later = JobEnding::Later(Duration::from_mins(5), "not now".to_owned());
    queue.settle_jobs(&first, &all(&first, &later), Duration::ZERO).await??;
    let active = batch(&queue, 1).await?;
    let for_later = job("for later", Some(redis_ms(&queue).await? + 60_000));
    queue.add_jobs(lane(0), std::slice::from_ref(&for_later)).await?;
    assert_eq!(queue.at_hand(lane(0)).await?, [jobs[1].id]);
    assert!(queue.jobs_in(lane(0), 0).await?.is_empty());
    assert_eq!(queue.jobs_in(lane(0), 1).await?.len(), 2, "one that has its turn, and one that rests");
    let removed = |(id, member)| Ended { member, id, status: "removed".to_owned() };
    let present: Vec<Ended> = queue.jobs_in(lane(0), 10).await?.into_iter().map(removed).collect();
    assert_eq!(present.len(), 4);
    let before = queue.feed_end(partition()).await?;
    assert_eq!(queue.take_out(lane(0), &present).await?, 3);
    assert_eq!(queue.take_out(lane(0), &present).await?, 0, "told twice");
    let told = queue.feed_page(partition(), Some(&before), 10).await?.entries;
    let [told] = told.as_slice() else { return Err(format!("one entry, not {told:?}").into()) };
    assert_eq!((told.event, told.kind.as_str()), (lane(0), "done"));
    let told: Value = serde_json::from_str(&told.data)?;
    let number = |at: usize| queue.numbers(lane(0), std::slice::from_ref(&jobs[at].id));
    let (rests, waits) = (number(0).await?, number(2).await?);
    let expected = [
        json!([rests[0], jobs[0].id, "removed"]),
        json!([waits[0], jobs[2].id, "removed"]),
        json!([0, for_later.id, "removed"]),
    ];
    let sorted = |jobs: &[Value]| {
        let mut jobs: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        jobs.sort_unstable();
        jobs
    };
    assert_eq!(sorted(told["j"].as_array().ok_or("jobs")?), sorted(&expected));
    let kept = [(jobs[1].id, active.jobs[0].member.clone())];
    assert_eq!(queue.jobs_in(lane(0), 10).await?, kept);
    assert_eq!(queue.errors_so_far(lane(0), &[first.jobs[0].number]).await?, [Vec::<String>::new()]);
    assert!(!queue.obliterate(lane(0)).await?, "somebody works on it");
    let done = all(&active, &JobEnding::Completed);
    assert_eq!(queue.settle_jobs(&active, &done, Duration::ZERO).await?, Ok(0));
    assert!(matches!(claim(&queue, lane(0), 5).await?, Claim::Empty));
    for _ in 0..2 {
        assert!(queue.obliterate(lane(0)).await?, "told twice, there is nothing left to forget");
        assert_eq!(queue.lane_counts().await?, []);
    }
    add(&queue, &["new"]).await?;
    let next = batch(&queue, 1).await?;
    assert_eq!(next.lease.fence, active.lease.fence + 1, "an older lease is not taken for the new one");
    assert_eq!(queue.settle_jobs(&active, &done, Duration::ZERO).await?, Err(LeaseLost));
    Ok(())
}
