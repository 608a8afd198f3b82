//! Jobs done a second by one worker.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bullmq::types::RemoveOnFinish;
use bullmq::worker::{CancellationToken, ProcessorFn, WorkerEvent};
use bullmq::{IntoProcessor as _, Job, Queue, Worker, WorkerOptions};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::database::{Rows, book, check_booked, empty_tables, open_pool, remove_tables};
use crate::queue::{fill, payload, with_queue};
use crate::report::{Told, pace, report, tell};
use crate::settings::{Settings, connection};

const CONCURRENCIES: [usize; 5] = [1, 10, 50, 100, 300];
/// Jobs by which the concurrencies are compared.
const TRIAL: usize = 5_000;
/// For a worker's farewell, in ms.
const CLOSE_MS: u64 = 10_000;

/// Jobs that do nothing.
pub(crate) async fn process_nothing(settings: &Settings) -> Result<()> {
    let processor = (|_job: Job, _token: CancellationToken| do_nothing()).into_processor();
    let told = with_queue(settings, async |queue| {
        best(settings.jobs(), async |concurrency, count| {
            fill(queue, 0..count, payload).await?;
            drain(settings, queue, concurrency, count, processor.clone()).await
        })
        .await
    })
    .await?;
    report(&settings.name, told);
    Ok(())
}

/// Jobs that each write some rows.
pub(crate) async fn process_postgres(settings: &Settings, rows: Rows) -> Result<()> {
    let database = settings.database.clone().with_context(|| format!("{:?} needs --database", settings.name))?;
    let pool = open_pool(database).await?;
    let of_jobs = pool.clone();
    let processor =
        (move |job: Job, _token: CancellationToken| write_booking(of_jobs.clone(), job, rows))
            .into_processor();
    let told = with_queue(settings, async |queue| {
        best(settings.jobs(), async |concurrency, count| {
            empty_tables(&pool).await?;
            fill(queue, 0..count, seat_payload).await?;
            let seconds = drain(settings, queue, concurrency, count, processor.clone()).await?;
            check_booked(&pool, rows, count).await?;
            Ok(seconds)
        })
        .await
    })
    .await;
    remove_tables(&pool).await?;
    report(&settings.name, told?);
    Ok(())
}

fn seat_payload(nth: usize) -> Value {
    json!({"event": 1, "user": nth + 1, "quantity": 1, "seat": nth + 1})
}

async fn do_nothing() -> bullmq::Result<Value> {
    Ok(Value::Null)
}

async fn write_booking(pool: PgPool, job: Job, rows: Rows) -> bullmq::Result<Value> {
    let booked = book(&pool, &job, rows).await;
    booked.map_err(|error| bullmq::Error::Unrecoverable(format!("{error:#}")))?;
    Ok(Value::Null)
}

/// The pace of the concurrency that was best in a trial of each; `round` does so many jobs with so much concurrency
/// and tells how many seconds it took.
async fn best(count: usize, round: impl AsyncFn(usize, usize) -> Result<f64>) -> Result<Told> {
    let trial = count.min(TRIAL);
    let (mut tried, mut chosen, mut most) = (Told::new(), 0, 0.0);
    for concurrency in CONCURRENCIES {
        let per_second = trial as f64 / round(concurrency, trial).await?;
        tell(&mut tried, &concurrency.to_string(), per_second.round() as u64);
        if per_second > most {
            (chosen, most) = (concurrency, per_second);
        }
    }
    let mut told = pace(count, round(chosen, count).await?);
    tell(&mut told, "concurrency", chosen);
    tell(&mut told, "tried", tried);
    Ok(told)
}

/// Lets one worker, started on a full queue, do all of it; in how many seconds it did.
async fn drain(
    settings: &Settings,
    queue: &Queue,
    concurrency: usize,
    count: usize,
    processor: ProcessorFn,
) -> Result<f64> {
    let options = WorkerOptions {
        connection: connection(&settings.redis),
        concurrency,
        remove_on_complete: Some(RemoveOnFinish::Count(0)),
        // So that it ends soon once there is nothing more.
        drain_delay: 1,
        autorun: false,
        ..WorkerOptions::default()
    };
    let worker = Worker::with_options(queue.name(), processor, options).await.context("open a worker")?;
    worker.run().await?;
    let seconds = completions(&worker, count).await;
    worker.close(CLOSE_MS).await?;
    seconds
}

/// Seconds from the first completion to that of the last of `count` jobs.
async fn completions(worker: &Worker, count: usize) -> Result<f64> {
    let (mut done, mut first) = (0, None);
    while let Some(event) = worker.next_event().await {
        match event {
            WorkerEvent::Completed { .. } => {
                done += 1;
                let first: Instant = *first.get_or_insert_with(Instant::now);
                if done == count {
                    return Ok(first.elapsed().as_secs_f64());
                }
            }
            WorkerEvent::Failed { error, .. } => bail!("a job failed: {error}"),
            WorkerEvent::Error(error) => bail!("the worker failed: {error}"),
            _ => {}
        }
    }
    bail!("the worker ended with {done} of {count} jobs")
}
