//! Positions told a second.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bullmq::Queue;

use crate::queue::{fill, payload, with_queue};
use crate::report::{Told, pace, report, tell};
use crate::settings::Settings;

const TIME: Duration = Duration::from_secs(3);

/// The way of the port's API: ids of all waiting jobs, and a search among them.
pub(crate) async fn position(settings: &Settings) -> Result<()> {
    let told = with_queue(settings, async |queue| {
        let ids = fill(queue, 0..settings.jobs(), payload).await?;
        ask(&ids, "get_ranges", async |id| {
            let waiting = queue.get_ranges(&["waiting"], 0, -1, true).await?;
            waiting.iter().position(|waits| waits == id).context("a job does not wait")
        })
        .await
    })
    .await?;
    report(&settings.name, told);
    Ok(())
}

/// Past the port's API: Redis searches the list of waiting jobs from its end, which is the front of the queue.
pub(crate) async fn position_by_lpos(settings: &Settings) -> Result<()> {
    let told = with_queue(settings, async |queue| {
        let ids = fill(queue, 0..settings.jobs(), payload).await?;
        ask(&ids, "LPOS", async |id| search(queue, id).await).await
    })
    .await?;
    report(&settings.name, told);
    Ok(())
}

async fn search(queue: &Queue, id: &str) -> Result<usize> {
    let (list, connection) = (queue.keys().wait(), queue.connection());
    let (mut position, mut length) = (redis::cmd("LPOS"), redis::cmd("LLEN"));
    position.arg(&list).arg(id).arg("RANK").arg(-1);
    length.arg(&list);
    let (index, length) = tokio::try_join!(
        connection.cmd::<Option<usize>>(&mut position),
        connection.cmd::<usize>(&mut length)
    )?;
    index.map(|index| length - 1 - index).context("a job does not wait")
}

/// Asks for random jobs' positions for some seconds, one after the other, and holds each answer against the truth.
async fn ask(ids: &[u64], by: &str, position_of: impl AsyncFn(&str) -> Result<usize>) -> Result<Told> {
    let started = Instant::now();
    let mut asked = 0;
    while started.elapsed() < TIME {
        let expected = rand::random_range(0..ids.len());
        let told = position_of(&ids[expected].to_string()).await?;
        ensure!(told == expected, "position {told} was told instead of {expected}");
        asked += 1;
    }
    let mut told = pace(asked, started.elapsed().as_secs_f64());
    tell(&mut told, "waiting", ids.len());
    tell(&mut told, "by", by);
    Ok(told)
}
