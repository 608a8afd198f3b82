//! Jobs added a second.

use std::time::Instant;

use anyhow::{Result, ensure};
use bullmq::Queue;

use crate::parallel::in_parallel;
use crate::queue::{add_chunk, chunks_of, payload, with_queue};
use crate::report::{pace, report, tell};
use crate::settings::Settings;

const ADDERS: usize = 50;
/// So that Redis has work while the next chunk is prepared.
const BULK_ADDERS: usize = 2;
/// Jobs before the clock starts, so that scripts are loaded.
const WARM_UP: usize = 2_000;

/// Jobs one by one, from many adders at once.
pub(crate) async fn add(settings: &Settings) -> Result<()> {
    let count = settings.jobs();
    let seconds = with_queue(settings, async |queue| {
        add_singly(queue, WARM_UP).await?;
        let started = Instant::now();
        add_singly(queue, count).await?;
        let seconds = started.elapsed().as_secs_f64();
        check_waiting(queue, WARM_UP + count).await?;
        Ok(seconds)
    })
    .await?;
    let mut told = pace(count, seconds);
    tell(&mut told, "adders", ADDERS);
    report(&settings.name, told);
    Ok(())
}

/// Jobs in chunks.
pub(crate) async fn add_bulk(settings: &Settings) -> Result<()> {
    let count = settings.jobs();
    let seconds = with_queue(settings, async |queue| {
        add_in_chunks(queue, WARM_UP).await?;
        let started = Instant::now();
        add_in_chunks(queue, count).await?;
        let seconds = started.elapsed().as_secs_f64();
        check_waiting(queue, WARM_UP + count).await?;
        Ok(seconds)
    })
    .await?;
    let mut told = pace(count, seconds);
    tell(&mut told, "adders", BULK_ADDERS);
    report(&settings.name, told);
    Ok(())
}

async fn add_singly(queue: &Queue, count: usize) -> Result<()> {
    let queue = queue.clone();
    in_parallel(ADDERS, 0..count, move |nth| {
        let queue = queue.clone();
        async move {
            queue.add("booking", payload(nth)).await?;
            Ok(())
        }
    })
    .await
}

async fn add_in_chunks(queue: &Queue, count: usize) -> Result<()> {
    let queue = queue.clone();
    in_parallel(BULK_ADDERS, 0..chunks_of(count), move |chunk| {
        let queue = queue.clone();
        async move {
            add_chunk(&queue, chunk, &(0..count), payload).await?;
            Ok(())
        }
    })
    .await
}

async fn check_waiting(queue: &Queue, expected: usize) -> Result<()> {
    let waiting = queue.get_waiting_count().await?;
    ensure!(waiting == expected as u64, "{waiting} jobs wait instead of {expected}");
    Ok(())
}
