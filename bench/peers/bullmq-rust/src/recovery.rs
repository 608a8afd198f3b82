//! Seconds from the SIGKILL of a worker that has a job until another one has it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bullmq::worker::CancellationToken;
use bullmq::{Job, Queue, Worker};
use futures_util::future::{join_all, try_join_all};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::holder::{Holder, options};
use crate::queue::{add_chunk, open, payload, remove};
use crate::report::{Told, report, tell};
use crate::settings::Settings;

/// The port's defaults, and a third of them.
const LOCKS_MS: [u64; 2] = [30_000, 10_000];
const TAKE: Duration = Duration::from_secs(15);
/// A job waits for a check that the dead worker's last one holds off, for one that marks it, for one that moves it.
const MOST_CHECKS: u32 = 4;
const CLOSE_MS: u64 = 5_000;
const GOLDEN: f64 = 0.618;

/// Measures both at once; the median of some kills.
pub(crate) async fn recovery(settings: &Settings) -> Result<()> {
    let [first, second] = LOCKS_MS.map(|lock_ms| measure(settings, lock_ms));
    tokio::try_join!(first, second)?;
    Ok(())
}

async fn measure(settings: &Settings, lock_ms: u64) -> Result<()> {
    let mut holder = Holder::start(&settings.redis, lock_ms)?;
    let opened = (0..settings.count).map(|nth| Lane::open(settings, lock_ms, &holder, nth));
    let mut lanes = try_join_all(opened).await?;
    let seconds = kill_and_wait(&mut lanes, &mut holder, Duration::from_millis(lock_ms)).await;
    let closed = join_all(lanes.into_iter().map(Lane::close)).await;
    let mut seconds = seconds?;
    closed.into_iter().collect::<Result<()>>()?;
    seconds.sort_by(f64::total_cmp);
    report(&settings.name, summary(&seconds, lock_ms));
    Ok(())
}

fn summary(sorted: &[f64], lock_ms: u64) -> Told {
    let last = sorted.len() - 1;
    let median = f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]);
    let mut told = Told::new();
    tell(&mut told, "count", sorted.len());
    tell(&mut told, "seconds", median);
    tell(&mut told, "least", sorted[0]);
    tell(&mut told, "most", sorted[last]);
    tell(&mut told, "lockDuration", lock_ms);
    tell(&mut told, "stalledInterval", lock_ms);
    told
}

/// Gives both workers of each lane a job, which they keep, and kills the one; in how many seconds the other had its job.
async fn kill_and_wait(lanes: &mut [Lane], holder: &mut Holder, lock: Duration) -> Result<Vec<f64>> {
    for lane in &*lanes {
        add_chunk(&lane.queue, 0, &(0..2), payload).await?;
    }
    let held = timeout(TAKE, holder.jobs(lanes.len())).await.context("jobs were not taken")??;
    let killed = Instant::now();
    holder.kill()?;
    let deadline = killed + lock * (MOST_CHECKS + 1);
    for lane in &*lanes {
        lane.release.send_replace(true);
    }
    let mut seconds = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let id = held.get(lane.queue.name()).context("a job of another queue")?;
        let at = timeout_at(deadline, lane.has(id)).await.context("a job did not come back")??;
        seconds.push((at - killed).as_secs_f64());
    }
    Ok(seconds)
}

/// A queue with two workers, one of them the holder's.
struct Lane {
    queue: Queue,
    successor: Worker,
    taken: mpsc::UnboundedReceiver<(String, Instant)>,
    release: watch::Sender<bool>,
}

impl Lane {
    /// Opens the `nth` lane. Where between two checks for stalled jobs the kill comes decides how long recovery takes,
    /// so the workers of each lane start at another time.
    async fn open(settings: &Settings, lock_ms: u64, holder: &Holder, nth: u32) -> Result<Self> {
        let queue = open(settings, &format!("{}-{lock_ms}-{nth}", settings.name)).await?;
        let (release, released) = watch::channel(false);
        let (tell, taken) = mpsc::unbounded_channel();
        let work = move |job: Job, _token: CancellationToken| work(job, tell.clone(), released.clone());
        let nth = f64::from(nth);
        let wait = |part: f64| sleep(Duration::from_millis(lock_ms).mul_f64(part));
        let open_first = async {
            wait(nth / f64::from(settings.count)).await;
            holder.open(queue.name()).await
        };
        let open_second = async {
            wait((nth * GOLDEN).fract()).await;
            let worker = Worker::with_options(queue.name(), work, options(&settings.redis, lock_ms)).await;
            worker.context("open a worker")
        };
        let ((), successor) = tokio::try_join!(open_first, open_second)?;
        Ok(Self { queue, successor, taken, release })
    }

    /// Waits until its other worker has this job.
    async fn has(&mut self, id: &str) -> Result<Instant> {
        loop {
            let (taken, at) = self.taken.recv().await.context("a worker ended")?;
            if taken == id {
                return Ok(at);
            }
        }
    }

    async fn close(self) -> Result<()> {
        self.release.send_replace(true);
        self.successor.close(CLOSE_MS).await?;
        remove(&self.queue).await
    }
}

/// Is busy until the release, and then takes what comes.
async fn work(
    job: Job,
    tell: mpsc::UnboundedSender<(String, Instant)>,
    mut released: watch::Receiver<bool>,
) -> bullmq::Result<Value> {
    // Nobody waits for it any more when its lane is closed.
    let _ = tell.send((job.id().to_owned(), Instant::now()));
    let _ = released.wait_for(|is_released| *is_released).await;
    Ok(Value::Null)
}
