//! Jobs of named queues: written with the fact they follow from, run to their end whatever happens in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::queue::Queue;
use shared::queue::jobs::{Job, lane, partition};
use shared::shop::Sweeps;
use shared::store::{NewNamedJob, Store, insert_job};
use standalone::settings::{Part, Settings};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use worker::progress::Progress;
use worker::run_jobs::{Backoff, Handler, JobError, Policy};

use crate::lab::{Lab, PATIENCE, Site, TestResult, eventually};

pub(super) const QUEUE: &str = "post";

/// Notes who came, and does what the payload says.
#[derive(Default)]
pub(super) struct Office {
    runs: Mutex<Vec<(Uuid, String)>>,
    /// When each job was begun.
    tries: Mutex<HashMap<Uuid, Vec<Instant>>>,
    /// What takes long goes on.
    pub(super) goes_on: Notify,
}

impl Office {
    pub(super) fn runs(&self) -> Vec<String> {
        self.runs.lock().map(|runs| runs.iter().map(|(_, word)| word.clone()).collect()).unwrap_or_default()
    }

    pub(super) fn tries(&self, job: Uuid) -> usize {
        self.begun(job).len()
    }

    pub(super) fn begun(&self, job: Uuid) -> Vec<Instant> {
        self.tries.lock().ok().and_then(|tries| tries.get(&job).cloned()).unwrap_or_default()
    }
}

impl Handler for Office {
    fn run<'a>(&'a self, job: &'a Job, progress: &'a Progress) -> BoxFuture<'a, Result<(), JobError>> {
        async move {
            let word: String = serde_json::from_slice(&job.payload).unwrap_or_default();
            let tries = self.tries.lock().map_or(0, |mut tries| {
                let tries = tries.entry(job.id).or_default();
                tries.push(Instant::now());
                tries.len()
            });
            match word.split_once(' ').map_or(word.as_str(), |(verb, _)| verb) {
                "flaky" if tries < 3 => return Err(JobError::Retry(format!("not on try {tries}"))),
                "hopeless" => return Err(JobError::Retry("never".to_owned())),
                "fatal" => return Err(JobError::Fatal("no such address".to_owned())),
                "panic" => panic!("as it was told"),
                "slow" => tokio::time::sleep(Duration::from_secs(5)).await,
                "long" => {
                    progress.report(40).await;
                    progress.report(41).await;
                    self.goes_on.notified().await;
                    if tries < 2 {
                        return Err(JobError::Retry("from the beginning".to_owned()));
                    }
                }
                "brief" => tokio::time::sleep(Duration::from_millis(20)).await,
                "pause" => tokio::time::sleep(Duration::from_millis(300)).await,
                _ => {}
            }
            if let Ok(mut runs) = self.runs.lock() {
                runs.push((job.id, word));
            }
            Ok(())
        }
        .boxed()
    }
}

/// The good end of one job cannot be written, twice. A sequence counts on although the transaction is undone.
const UNWRITTEN: &str = "
    create sequence ends;
    create function refuse_end() returns trigger language plpgsql as $$ begin
        if new.status = 'completed' and new.payload #>> '{}' = 'flaky unwritten' then
            if nextval('ends') <= 2 then raise exception 'not now'; end if;
        end if;
        return new;
    end $$;
    create trigger refuse_end before update on jobs for each row execute function refuse_end();";

pub(super) fn policy() -> Policy {
    Policy {
        lanes: 2,
        at_once: 4,
        attempts: 3,
        backoff: Backoff::Fixed(Duration::from_millis(100)),
        timeout: Duration::from_secs(1),
    }
}

/// A worker on the queue; it ends with the token.
fn start(
    lab: &Lab,
    office: &Arc<Office>,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, Box<dyn std::error::Error>> {
    start_by(lab, office, policy(), stop)
}

pub(super) fn start_by(
    lab: &Lab,
    office: &Arc<Office>,
    policy: Policy,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, Box<dyn std::error::Error>> {
    let config = Settings::from_words(["--worker-shutdown-ms=2000"])?.worker;
    let (office, stop) = (Arc::clone(office) as Arc<dyn Handler>, stop.clone());
    let (store, queue) = (lab.store().clone(), lab.system.queue.clone());
    Ok(tokio::spawn(async move {
        let ended = worker::run_queue(QUEUE, office, policy, config, (store, &queue), stop).await;
        assert!(ended.is_ok(), "{ended:?}");
    }))
}

pub(super) fn job(word: &str) -> NewNamedJob<String> {
    NewNamedJob { queue: QUEUE, lane: 0, payload: word.to_owned(), run_at: None }
}

async fn states(lab: &Lab) -> Result<HashMap<String, (String, i32, Option<String>)>, sqlx::Error> {
    let rows: Vec<(String, String, i32, Option<String>)> =
        sqlx::query_as("select payload #>> '{}', status, attempts, error from jobs")
            .fetch_all(lab.store().pool())
            .await?;
    Ok(rows.into_iter().map(|(word, status, attempts, error)| (word, (status, attempts, error))).collect())
}

pub(super) async fn until_finished(lab: &Lab) {
    eventually("all jobs are finished", async || {
        sqlx::query_scalar::<_, i64>("select count(*) from jobs where finished_at is null")
            .fetch_one(lab.store().pool())
            .await
            .is_ok_and(|left| left == 0)
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn a_job_is_run_when_its_fact_was_committed_and_only_then(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[Part::Sweeper], &[]).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let worker = start(&lab, &office, &stop)?;
    let mut lost = lab.store().pool().begin().await?;
    insert_job(&mut lost, &job("never committed")).await?;
    lost.rollback().await?;
    let mut kept = lab.store().pool().begin().await?;
    for word in ["1", "2", "3"] {
        insert_job(&mut kept, &job(word)).await?;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(office.runs().is_empty(), "not before the fact");
    kept.commit().await?;
    until_finished(&lab).await;
    let mut runs = office.runs();
    runs.sort();
    assert_eq!(runs, ["1", "2", "3"]);
    stop.cancel();
    worker.await?;
    Ok(())
}

#[rstest]
#[tokio::test]
async fn failures_rest_and_end_and_hold_nobody_up(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[Part::Sweeper], &[]).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    sqlx::raw_sql(UNWRITTEN).execute(lab.store().pool()).await?;
    for word in ["hopeless", "fatal", "panic", "slow", "flaky", "flaky unwritten", "plain"] {
        lab.store().add_job(&job(word)).await?;
    }
    // As if its worker had died in the middle of it, three times.
    let deadly = lab.store().add_job(&job("deadly")).await?;
    sqlx::query("update jobs set attempts = 3 where id = $1")
        .bind(deadly)
        .execute(lab.store().pool())
        .await?;
    let worker = start(&lab, &office, &stop)?;
    until_finished(&lab).await;
    let states = states(&lab).await?;
    let is = |word: &str, status: &str, attempts: i32, error: &str| {
        let (known, tries, why) = &states[word];
        assert_eq!((known.as_str(), *tries), (status, attempts), "{word}");
        assert!(why.as_deref().unwrap_or_default().contains(error), "{word}: {why:?}");
    };
    is("hopeless", "failed", 3, "never");
    is("fatal", "failed", 1, "no such address");
    is("panic", "failed", 3, "panicked");
    is("slow", "failed", 3, "longer than 1s");
    is("flaky", "completed", 3, "not on try 2");
    is("flaky unwritten", "completed", 5, "not on try 2");
    let runs = office.runs().into_iter().filter(|word| word == "flaky unwritten").count();
    assert_eq!(runs, 1, "what its last attempt did is written later, and neither fails nor is done again");
    is("plain", "completed", 1, "");
    is("deadly", "failed", 4, "ended with their worker");
    assert_eq!(office.runs().first().map(String::as_str), Some("plain"), "nobody waits for those who rest");
    stop.cancel();
    worker.await?;
    Ok(())
}

#[tokio::test]
async fn jobs_survive_a_redis_that_comes_back_empty() -> TestResult {
    let mut lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    for nth in 0..200 {
        lab.store().add_job(&job(&format!("job {nth}"))).await?;
    }
    eventually("they are queued", async || {
        sqlx::query_scalar::<_, i64>("select count(*) from jobs where queued_in is null")
            .fetch_one(lab.store().pool())
            .await
            .is_ok_and(|left| left == 0)
    })
    .await;
    lab.servers.redis.restart_empty().await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let worker = start(&lab, &office, &stop)?;
    until_finished(&lab).await;
    let runs = office.runs();
    let told: std::collections::HashSet<&String> = runs.iter().collect();
    assert_eq!((runs.len(), told.len()), (200, 200), "each of them, once");
    stop.cancel();
    worker.await?;
    Ok(())
}

#[tokio::test]
async fn what_redis_has_still_is_queued_once_though_its_key_is_not_kept_any_more() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let queue = lab.system.queue.named(QUEUE);
    let sweeps = Sweeps::new(lab.store().clone(), lab.system.queue.clone());
    let in_half_an_hour = Some(chrono::Utc::now() + chrono::Duration::minutes(30));
    for run_at in [None, None, in_half_an_hour] {
        lab.store().add_job(&NewNamedJob { run_at, ..job("once") }).await?;
    }
    queue.begin_epoch(partition(), "", 0).await?;
    assert_eq!(sweeps.queue_jobs().await?, 3);
    let numbers = "select array_agg(number order by created_at) from jobs";
    let numbers =
        async || sqlx::query_scalar::<_, Vec<Option<i64>>>(numbers).fetch_one(lab.store().pool()).await;
    let before = numbers().await?;
    assert_eq!(before.iter().filter(|number| number.is_some()).count(), 2, "{before:?}");
    let state = queue.partition_state(partition()).await?;
    queue.begin_epoch(partition(), &state.epoch, 0).await?;
    for kept in [queue.keys().idem(lane(0)), queue.keys().idem_old(lane(0))] {
        let () = redis::cmd("DEL").arg(kept).query_async(&mut queue.connection()).await?;
    }
    // One of them was lost.
    let () = redis::cmd("ZREMRANGEBYRANK")
        .arg(queue.keys().wait(lane(0)))
        .arg(0)
        .arg(0)
        .query_async(&mut queue.connection())
        .await?;
    assert_eq!(sweeps.queue_jobs().await?, 3);
    let counts = &queue.lane_counts().await?[0];
    assert_eq!((counts.waiting, counts.resting), (2, 1), "none is there twice, and none is missing");
    let after = numbers().await?;
    assert!(after[0] > before[1], "it comes after those that are there: {before:?}, {after:?}");
    assert_eq!(after[1..], before[1..]);
    Ok(())
}

/// Tasks that end with it, wherever they are, as those of a process do.
struct Apart(Option<Runtime>);

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A worker on connections of its own, which may end with its runtime.
async fn run_apart(
    settings: Settings,
    office: Arc<Office>,
    policy: Policy,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let store = Store::connect(&settings.store).await?;
    let queue = Queue::connect(&settings.queue).await?;
    Ok(worker::run_queue(QUEUE, office, policy, settings.worker, (store, &queue), stop).await?)
}

/// How long a worker takes to end when it is told to.
pub(super) async fn stopped(
    stop: &CancellationToken,
    worker: JoinHandle<()>,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let stopping = Instant::now();
    stop.cancel();
    tokio::time::timeout(PATIENCE, worker).await??;
    Ok(stopping.elapsed())
}

#[rstest]
#[tokio::test]
async fn a_worker_stops_in_time_and_the_next_one_goes_on(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    const LIMIT: Duration = Duration::from_secs(2);
    let words =
        ["--queue-lease-ms=1500", "--database-statement-timeout-ms=1200", "--database-lock-timeout-ms=1200"];
    let lab = Lab::start_at(site, &[Part::Sweeper], &words).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let resting = Policy { backoff: Backoff::Fixed(Duration::from_secs(8)), ..policy() };
    let worker = start_by(&lab, &office, resting, &stop)?;
    let flaky = lab.store().add_job(&job("flaky")).await?;
    eventually("it rests", async || {
        let states = states(&lab).await.unwrap_or_default();
        states.get("flaky").is_some_and(|(_, attempts, error)| *attempts == 1 && error.is_some())
    })
    .await;
    for nth in 0..20 {
        lab.store().add_job(&job(&format!("pause {nth}"))).await?;
    }
    eventually("some are run", async || !office.runs().is_empty()).await;
    let took = stopped(&stop, worker).await?;
    assert!(took < LIMIT, "what is at hand ends sooner, and nobody waits for what rests: {took:?}");
    assert!(office.runs().len() < 20, "it was stopped in the middle");
    assert_eq!(office.tries(flaky), 1, "it rests still");

    // A job that outlasts the limit is left behind.
    let settings = lab.settings(&["--worker-shutdown-ms=2000"])?;
    let (apart, stop) = (Apart(Some(Runtime::new()?)), CancellationToken::new());
    let patient = Policy { timeout: Duration::from_mins(1), ..policy() };
    let running = run_apart(settings, Arc::clone(&office), patient, stop.clone());
    let worker = apart.0.as_ref().ok_or("a runtime")?.spawn(async move {
        let ended = running.await;
        assert!(ended.is_ok(), "{ended:?}");
    });
    let long = lab.store().add_job(&job("long")).await?;
    eventually("it is at hand", async || office.tries(long) == 1).await;
    let took = stopped(&stop, worker).await?;
    drop(apart);
    assert!((LIMIT..LIMIT + Duration::from_secs(1)).contains(&took), "{took:?}");

    let stop = CancellationToken::new();
    let worker = start(&lab, &office, &stop)?;
    eventually("the next one is at it", async || office.tries(long) == 2).await;
    office.goes_on.notify_one();
    until_finished(&lab).await;
    let mut runs = office.runs();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), 22);
    stop.cancel();
    worker.await?;
    Ok(())
}

#[tokio::test]
async fn a_job_waits_for_its_time() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let worker = start(&lab, &office, &stop)?;
    let due = lab.store().now().await? + chrono::Duration::milliseconds(1_500);
    lab.store().add_job(&NewNamedJob { run_at: Some(due), ..job("later") }).await?;
    lab.store().add_job(&job("now")).await?;
    until_finished(&lab).await;
    assert_eq!(office.runs(), ["now", "later"]);
    let early: bool =
        sqlx::query_scalar("select bool_or(finished_at < run_at) from jobs where run_at is not null")
            .fetch_one(lab.store().pool())
            .await?;
    assert!(!early, "{}", json!({ "due": due }));
    stop.cancel();
    worker.await?;
    Ok(())
}

#[tokio::test]
async fn how_far_an_attempt_has_come_is_shown_while_it_runs() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &[]).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let backoff = Backoff::Fixed(Duration::from_millis(1_500));
    let patient = Policy { timeout: Duration::from_mins(1), backoff, ..policy() };
    let worker = start_by(&lab, &office, patient, &stop)?;
    let job = lab.store().add_job(&job("long")).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shown = async |status: &str| -> Value {
        let jobs = operator.get(&format!("/api/admin/queue/jobs?queue={QUEUE}&status={status}")).await;
        jobs.map(|(_, jobs)| jobs["items"][0].clone()).unwrap_or_default()
    };
    eventually("it is shown", async || !shown("waiting").await["progress"].is_null()).await;
    let first = shown("waiting").await;
    assert_eq!(
        (&first["progress"], &first["attempts"]),
        (&json!(40), &json!(1)),
        "what comes within a second is left out"
    );
    assert!(first["progressAt"].is_string(), "{first}");
    office.goes_on.notify_one();
    eventually("nothing is shown of what rests", async || shown("waiting").await["progress"].is_null()).await;
    eventually("it is tried again", async || shown("waiting").await["attempts"] == 2).await;
    eventually("it is shown", async || shown("waiting").await["progress"] == 40).await;
    lab.store().note_progress(job, 1, 99).await?;
    assert_eq!(shown("waiting").await["progress"], 40, "an attempt that is over says nothing any more");
    office.goes_on.notify_one();
    until_finished(&lab).await;
    let done = shown("completed").await;
    assert_eq!(
        (&done["id"], &done["progress"], &done["progressAt"]),
        (&json!(job), &Value::Null, &Value::Null)
    );
    stop.cancel();
    worker.await?;
    Ok(())
}

#[tokio::test]
async fn a_job_counts_as_retrying_once_it_has_failed_and_not_in_its_first_attempt() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &[]).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let backoff = Backoff::Fixed(Duration::from_millis(1_500));
    let patient = Policy { timeout: Duration::from_mins(1), backoff, ..policy() };
    let worker = start_by(&lab, &office, patient, &stop)?;
    let operator = lab.with_role(Role::Operator).await?;
    let told = async || -> Value {
        let (_, queues) = operator.get("/api/admin/queue/named").await.unwrap_or_default();
        let mut items = queues["items"].as_array().into_iter().flatten();
        let queue = items.find(|queue| queue["queue"] == QUEUE);
        queue.map(|queue| json!([queue["waiting"], queue["retrying"]])).unwrap_or_default()
    };
    let long = lab.store().add_job(&job("long")).await?;
    eventually("it is tried", async || office.tries(long) == 1).await;
    assert_eq!(told().await, json!([1, 0]));
    office.goes_on.notify_one();
    eventually("it has failed and rests", async || told().await == json!([1, 1])).await;
    eventually("it is tried again", async || office.tries(long) == 2).await;
    assert_eq!(told().await, json!([1, 1]));
    office.goes_on.notify_one();
    until_finished(&lab).await;
    assert_eq!(told().await, json!([0, 0]));

    // As if a worker had died in the midst of its first attempt, and the next one were at it.
    let in_two_hours = Some(chrono::Utc::now() + chrono::Duration::hours(2));
    let orphan = lab.store().add_job(&NewNamedJob { run_at: in_two_hours, ..job("orphan") }).await?;
    for (attempts, retrying) in [(0, 0), (1, 0), (2, 1)] {
        sqlx::query("update jobs set attempts = $2 where id = $1")
            .bind(orphan)
            .bind(attempts)
            .execute(lab.store().pool())
            .await?;
        assert_eq!(told().await, json!([1, retrying]), "{attempts} attempts");
    }
    stop.cancel();
    worker.await?;
    Ok(())
}

#[tokio::test]
async fn a_job_that_rests_is_tried_as_soon_as_it_is_promoted() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &[]).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let backoff = Backoff::Fixed(Duration::from_mins(5));
    let worker = start_by(&lab, &office, Policy { backoff, ..policy() }, &stop)?;
    let job = lab.store().add_job(&job("flaky")).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let promote = json!({"queue": QUEUE, "id": job});
    for tries in 1..=2 {
        eventually("it was tried and rests", async || {
            let path = format!("/api/admin/queue/jobs?queue={QUEUE}&status=waiting");
            let told = operator.get(&path).await.map(|(_, jobs)| jobs["items"][0]["errors"].clone());
            told.is_ok_and(|errors| errors.as_array().is_some_and(|errors| errors.len() == tries))
        })
        .await;
        let (status, problem) = operator.post("/api/admin/queue/jobs/promote", promote.clone()).await?;
        assert_eq!(status, StatusCode::NO_CONTENT, "{problem}");
    }
    until_finished(&lab).await;
    assert_eq!(states(&lab).await?["flaky"].0, "completed");
    assert_eq!(office.tries(job), 3);
    stop.cancel();
    worker.await?;
    Ok(())
}
