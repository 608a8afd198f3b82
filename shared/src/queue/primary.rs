//! Connections to one server, which stay with the primary.
//!
//! redis' manager connects anew when it is cut off. A primary that was made a replica cuts nobody off: it answers reads,
//! and `READONLY` to whatever writes, for as long as one stays with it. So the first such answer makes every connection of
//! this process ask its address again: a name or a proxy leads to the new primary then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};

use super::client::CONNECT_TIMEOUT;

/// An address that leads to a replica still is not asked more often than this.
const PACE: Duration = Duration::from_millis(500);

/// Whether this is what a replica answers to a write.
pub(super) fn is_of_replica(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

fn is_refusal(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::ReadOnly))
}

/// An address, and how often it had to be asked.
pub(super) struct Address {
    client: redis::Client,
    /// Connections of an earlier round are left.
    round: AtomicU64,
    left_at: Mutex<Option<Instant>>,
}

impl Address {
    /// Nobody is asked yet.
    pub(super) fn new(client: redis::Client) -> Self {
        Self { client, round: AtomicU64::new(0), left_at: Mutex::default() }
    }

    /// For connections of another kind.
    pub(super) fn client(&self) -> &redis::Client {
        &self.client
    }

    /// Connects.
    pub(super) async fn connect(
        self: &Arc<Self>,
        response_timeout: Option<Duration>,
    ) -> RedisResult<PrimaryConnection> {
        let round = self.round.load(Ordering::Acquire);
        let manager =
            ConnectionManager::new_with_config(self.client.clone(), config(response_timeout)).await?;
        let made = Arc::new(Mutex::new(Made { manager, round }));
        Ok(PrimaryConnection { address: Arc::clone(self), response_timeout, made })
    }

    /// Whoever was reached in this round is a replica.
    fn leave(&self, round: u64) {
        let mut left_at = self.left_at.lock();
        let is_known = self.round.load(Ordering::Acquire) != round;
        if is_known || left_at.is_some_and(|left_at| left_at.elapsed() < PACE) {
            return;
        }
        *left_at = Some(Instant::now());
        self.round.store(round + 1, Ordering::Release);
        metrics::counter!("usher_redis_primaries_left_total").increment(1);
        tracing::warn!("Redis is a replica now; asking its address for the primary");
    }
}

fn config(response_timeout: Option<Duration>) -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_number_of_retries(3)
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(500))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(response_timeout)
}

/// A connection that many tasks share; it connects anew by itself.
#[derive(Clone)]
pub struct PrimaryConnection {
    address: Arc<Address>,
    response_timeout: Option<Duration>,
    made: Arc<Mutex<Made>>,
}

struct Made {
    manager: ConnectionManager,
    round: u64,
}

impl PrimaryConnection {
    /// The connection of this round, which is made with the first call if there is none yet.
    fn current(&self) -> RedisResult<(ConnectionManager, u64)> {
        let round = self.address.round.load(Ordering::Acquire);
        let mut made = self.made.lock();
        if made.round < round {
            let manager = ConnectionManager::new_lazy_with_config(
                self.address.client.clone(),
                config(self.response_timeout),
            )?;
            *made = Made { manager, round };
        }
        Ok((made.manager.clone(), made.round))
    }
}

impl ConnectionLike for PrimaryConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let (mut manager, round) = self.current()?;
            let answer = manager.send_packed_command(cmd).await;
            if answer.as_ref().map_or_else(is_of_replica, is_refusal) {
                self.address.leave(round);
            }
            answer
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let (mut manager, round) = self.current()?;
            let answers = manager.send_packed_commands(pipeline, offset, count).await;
            let has_refusal = |answers: &Vec<Value>| answers.iter().any(is_refusal);
            if answers.as_ref().map_or_else(is_of_replica, has_refusal) {
                self.address.leave(round);
            }
            answers
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.address.client.get_connection_info().redis_settings().db()
    }
}
