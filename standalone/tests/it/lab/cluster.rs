//! A Redis Cluster of three primaries.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use standalone::servers::{Listen, PrivateRedis, RedisOptions};

use super::eventually;

const PRIMARIES: u16 = 3;
const SLOTS: u16 = 16_384;
/// Keys that go to the other node in one call.
const KEYS_PER_CALL: u32 = 50;

type AnyError = Box<dyn std::error::Error>;

/// Starts a node; returns it with its port for the others. Somebody else may take that port before the node does, so it
/// is tried with others.
async fn start_node(dir: &Path) -> Result<(PrivateRedis, u16), AnyError> {
    let mut tries = 0;
    loop {
        // By default the bus listens 10,000 ports above, where there may be none.
        let bus = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let settings = [
            ("cluster-enabled", "yes".to_owned()),
            ("cluster-port", bus.to_string()),
            ("cluster-node-timeout", "2000".to_owned()),
        ];
        let options = RedisOptions {
            listen: Listen::Loopback,
            settings: settings.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            ..RedisOptions::throwaway()
        };
        match PrivateRedis::start(dir, options).await {
            Ok(node) => return Ok((node, bus)),
            Err(_) if tries < 5 => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Three primaries without replicas, each with a third of the slots.
pub(crate) struct PrivateCluster {
    pub(crate) nodes: Vec<PrivateRedis>,
}

impl PrivateCluster {
    /// Starts the nodes in folders under `dir` and makes them one.
    pub(crate) async fn start(dir: &Path) -> Result<Self, AnyError> {
        let mut nodes = Vec::new();
        for nth in 0..PRIMARIES {
            nodes.push(start_node(&dir.join(format!("node-{nth}"))).await?);
        }
        let (first, _) = &nodes[0];
        for (nth, (node, bus)) in (0..).zip(&nodes) {
            let mut node = connect_redis(node).await?;
            let (from, to) = (SLOTS / PRIMARIES * nth, SLOTS / PRIMARIES * (nth + 1) - 1);
            let to = if nth == PRIMARIES - 1 { SLOTS - 1 } else { to };
            let () = command(&["CLUSTER", "ADDSLOTSRANGE"]).arg(from).arg(to).query_async(&mut node).await?;
            let () = command(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1"])
                .query_async(&mut node)
                .await?;
            let mut first = connect_redis(first).await?;
            let meet = command(&["CLUSTER", "MEET", "127.0.0.1"])
                .arg(port(&nodes[usize::from(nth)].0)?)
                .arg(bus)
                .to_owned();
            let () = meet.query_async(&mut first).await?;
        }
        let cluster = Self { nodes: nodes.into_iter().map(|(node, _)| node).collect() };
        eventually("the nodes are one cluster", async || cluster.is_whole().await.unwrap_or(false)).await;
        Ok(cluster)
    }

    /// The nodes' URLs, as `REDIS_URL` takes them.
    pub(crate) fn url(&self) -> String {
        self.nodes.iter().map(PrivateRedis::url).collect::<Vec<_>>().join(",")
    }

    /// Moves the slot of a key to the next node, keys and all, while it is in use; as `redis-cli --cluster reshard`
    /// does it.
    pub(crate) async fn move_slot_of(&self, key: &str) -> Result<(), AnyError> {
        let mut any = connect_redis(&self.nodes[0]).await?;
        let slot: u16 = command(&["CLUSTER", "KEYSLOT", key]).query_async(&mut any).await?;
        let mut from = 0;
        for (nth, node) in self.nodes.iter().enumerate() {
            if self.owns(node, slot).await? {
                from = nth;
            }
        }
        let to = (from + 1) % self.nodes.len();
        let (mut giver, mut taker) =
            (connect_redis(&self.nodes[from]).await?, connect_redis(&self.nodes[to]).await?);
        let my_id = command(&["CLUSTER", "MYID"]);
        let giver_id: String = my_id.query_async(&mut giver).await?;
        let taker_id: String = my_id.query_async(&mut taker).await?;
        let set_slot = |state: &str, node: &str| {
            command(&["CLUSTER", "SETSLOT"]).arg(slot).arg(state).arg(node).to_owned()
        };
        let () = set_slot("IMPORTING", &giver_id).query_async(&mut taker).await?;
        let () = set_slot("MIGRATING", &taker_id).query_async(&mut giver).await?;
        loop {
            let keys: Vec<String> = command(&["CLUSTER", "GETKEYSINSLOT"])
                .arg(slot)
                .arg(KEYS_PER_CALL)
                .query_async(&mut giver)
                .await?;
            if keys.is_empty() {
                break;
            }
            let _: String = command(&["MIGRATE", "127.0.0.1"])
                .arg(port(&self.nodes[to])?)
                .arg("")
                .arg(0)
                .arg(5_000)
                .arg("KEYS")
                .arg(keys)
                .query_async(&mut giver)
                .await?;
        }
        for node in [&mut taker, &mut giver] {
            let () = set_slot("NODE", &taker_id).query_async(node).await?;
        }
        Ok(())
    }

    async fn owns(&self, node: &PrivateRedis, slot: u16) -> Result<bool, AnyError> {
        let mut node = connect_redis(node).await?;
        let me: String = command(&["CLUSTER", "MYID"]).query_async(&mut node).await?;
        let nodes: String = command(&["CLUSTER", "NODES"]).query_async(&mut node).await?;
        let ranges = nodes.lines().find(|line| line.starts_with(&me)).unwrap_or_default();
        Ok(ranges.split_whitespace().skip(8).any(|range| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if (from..=to).contains(&slot))
        }))
    }

    async fn is_whole(&self) -> Result<bool, AnyError> {
        for node in &self.nodes {
            let info: String =
                command(&["CLUSTER", "INFO"]).query_async(&mut connect_redis(node).await?).await?;
            let has = |line: &str| info.lines().any(|found| found.trim() == line);
            if !has("cluster_state:ok") || !has(&format!("cluster_known_nodes:{PRIMARIES}")) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn command(words: &[&str]) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

/// A connection to one server alone, of a Cluster or not.
pub(crate) async fn connect_redis(node: &PrivateRedis) -> Result<MultiplexedConnection, redis::RedisError> {
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    redis::Client::open(node.url())?.get_multiplexed_async_connection_with_config(&config).await
}

fn port(node: &PrivateRedis) -> Result<u16, AnyError> {
    Ok(node.url().rsplit(':').next().unwrap_or_default().parse()?)
}
