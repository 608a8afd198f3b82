//! Pauses stand in PostgreSQL; each partition in Redis has a copy.

use super::Fault;
use crate::queue::{Partition, Queue};
use crate::store::{STATEMENT, Store, in_time};

/// Copies the pauses to a partition, for the epoch that it has; returns how many changed.
///
/// # Errors
/// A store is away.
pub async fn copy_controls(store: &Store, queue: &Queue, partition: Partition) -> Result<u64, Fault> {
    let controls = in_time(STATEMENT, store.controls(queue.name())).await?;
    Ok(queue.copy_controls(partition, &controls).await?)
}
