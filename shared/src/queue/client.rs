//! The connection to Redis, single or Cluster, and what can go wrong with it.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use secrecy::ExposeSecret as _;

use super::Keys;
use super::primary::{Address, PrimaryConnection, is_of_replica};
use super::script::{Call, Reply};
use super::standby::Recalls;
use crate::config::{ConfigError, QueueConfig};

/// How long an ordinary call may take; Redis answers within a millisecond or is in trouble.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A call that met a cut connection, or a replica, is made this many times more: every script is safe to run twice.
const RETRIES: u32 = 2;

/// The name of the booking queue.
pub const BOOKINGS: &str = "bookings";

/// What the queue could not do.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis is away, or refused.
    #[error("Redis did not answer")]
    Redis(#[from] redis::RedisError),
    /// A script answered with a word that its caller does not know.
    #[error("a script answered {0:?}, which nobody here understands")]
    Word(String),
    /// A reply has another shape than its script promises.
    #[error("a script's reply is malformed: {0}")]
    Reply(&'static str),
    /// Redis has no memory left for new jobs.
    #[error("Redis is full")]
    Full,
    /// Queues cannot lie on this Redis.
    #[error(transparent)]
    Unfit(#[from] super::server::Unfit),
    /// The address of Redis.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The process is shutting down.
    #[error("this process is shutting down")]
    Closed,
}

/// A handle on a queue; clones share the connection.
#[derive(Clone)]
pub struct Queue {
    connection: Connection,
    client: Arc<Client>,
    keys: Keys,
    name: Arc<str>,
    config: Arc<QueueConfig>,
    /// Who stands by for what came free is looked for once at a time in each lane.
    pub(super) recalls: Arc<Recalls>,
}

enum Client {
    Single(Arc<Address>),
    Cluster(Vec<String>),
}

/// One connection that many tasks share.
#[derive(Clone)]
pub enum Connection {
    /// To one server; it reconnects by itself, and leaves a primary that became a replica.
    Single(PrimaryConnection),
    /// To a Cluster.
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl Client {
    async fn connect(&self, response_timeout: Option<Duration>) -> Result<Connection, QueueError> {
        Ok(match self {
            Self::Single(address) => Connection::Single(address.connect(response_timeout).await?),
            Self::Cluster(nodes) => {
                let mut builder =
                    ClusterClientBuilder::new(nodes.clone()).connection_timeout(CONNECT_TIMEOUT);
                if let Some(timeout) = response_timeout {
                    builder = builder.response_timeout(timeout);
                }
                Connection::Cluster(builder.build()?.get_async_connection().await?)
            }
        })
    }
}

impl Queue {
    /// Connects.
    ///
    /// # Errors
    /// The address is missing or wrong, or nobody answers there.
    pub async fn connect(config: &QueueConfig) -> Result<Self, QueueError> {
        let url = config.url()?;
        let nodes: Vec<String> = url.expose_secret().split(',').map(|node| node.trim().to_owned()).collect();
        let client = match nodes.as_slice() {
            [one] => Client::Single(Arc::new(Address::new(redis::Client::open(one.as_str())?))),
            _ => Client::Cluster(nodes),
        };
        Ok(Self {
            connection: client.connect(Some(RESPONSE_TIMEOUT)).await?,
            client: Arc::new(client),
            keys: Keys::new(config.redis_key_prefix.clone()),
            name: Arc::from(BOOKINGS),
            config: Arc::new(config.clone()),
            recalls: Arc::default(),
        })
    }

    /// A named queue beside the bookings: on the same connection, under keys of its own.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        let keys = Keys::new(format!("{}:queue:{name}", self.config.redis_key_prefix));
        Self { keys, name: Arc::from(name), ..self.clone() }
    }

    /// Its name; `bookings` for the booking queue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shared connection.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// A connection of one's own for reads that block for at most this long.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn blocking_connection(&self, longest: Duration) -> Result<Connection, QueueError> {
        self.client.connect(Some(longest + RESPONSE_TIMEOUT)).await
    }

    /// A subscription of one's own; on a Cluster to any node, as messages reach all of them.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn subscribe(&self, channel: &str) -> Result<redis::aio::PubSub, QueueError> {
        let client = match self.client.as_ref() {
            Client::Single(address) => address.client().clone(),
            Client::Cluster(nodes) => {
                redis::Client::open(nodes.first().map(String::as_str).unwrap_or_default())?
            }
        };
        let mut subscription = tokio::time::timeout(CONNECT_TIMEOUT, client.get_async_pubsub())
            .await
            .map_err(|_| redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)))??;
        subscription.subscribe(channel).await?;
        Ok(subscription)
    }

    /// The keys of this queue.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The settings of this queue.
    pub fn config(&self) -> &QueueConfig {
        &self.config
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), QueueError> {
        let _: String = redis::cmd("PING").query_async(&mut self.connection()).await?;
        Ok(())
    }

    /// Redis' clock, in ms since 1970.
    ///
    /// # Errors
    /// Redis is away.
    pub(super) async fn now_ms(&self) -> Result<u64, QueueError> {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut self.connection()).await?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// Calls a script; see [`Self::send`].
    pub(super) async fn call(
        &self,
        script: &'static redis::Script,
        keys: &[String],
        args: &[Vec<u8>],
    ) -> Result<Reply, QueueError> {
        let mut call = Call::new(script, keys);
        for arg in args {
            call.arg(arg);
        }
        self.send(&call).await
    }

    /// Makes a call, once more when the connection was cut or led to a replica.
    pub(super) async fn send(&self, call: &Call) -> Result<Reply, QueueError> {
        let mut tries = 0;
        loop {
            match call.send(self).await {
                Err(QueueError::Redis(error)) if error.code() == Some("OOM") => return Err(QueueError::Full),
                Err(QueueError::Redis(error))
                    if tries < RETRIES
                        && (error.is_connection_dropped()
                            || error.is_connection_refusal()
                            || is_of_replica(&error)) =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(20) * tries).await;
                }
                other => return other,
            }
        }
    }
}
