//! Many things at a time.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

/// Runs `act` for each number of a range, by so many tasks.
pub(crate) async fn in_parallel<F, Fut>(tasks: usize, range: Range<usize>, act: F) -> Result<()>
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(range.start));
    let mut running: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..tasks.min(range.len()) {
        let (next, act, end) = (Arc::clone(&next), act.clone(), range.end);
        running.spawn(async move {
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= end {
                    return Ok(());
                }
                let doing = act(nth);
                doing.await?;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context("a task broke off")??;
    }
    Ok(())
}
