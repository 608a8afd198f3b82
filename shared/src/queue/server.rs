//! The memory of Redis: how full it is, and that it refuses rather than forgets.

use std::collections::HashMap;

use redis::{ErrorKind, InfoDict, ServerErrorKind};

use super::client::{Connection, Queue, QueueError};

impl Queue {
    /// How full Redis is, from 0 to 1; 0 where it has no limit. Of a Cluster, its fullest primary.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn fullness(&self) -> Result<f64, QueueError> {
        Ok(self.memory().await?.iter().map(fullness).fold(0.0, f64::max))
    }

    /// What each primary says of its memory.
    async fn memory(&self) -> redis::RedisResult<Vec<InfoDict>> {
        let command = redis::cmd("INFO").arg("memory").to_owned();
        match self.connection() {
            Connection::Single(mut connection) => {
                command.query_async::<InfoDict>(&mut connection).await.map(|info| vec![info])
            }
            Connection::Cluster(mut connection) => command
                .query_async::<HashMap<String, InfoDict>>(&mut connection)
                .await
                .map(|nodes| nodes.into_values().collect()),
        }
    }

    /// That no key is evicted to make room for another one: places in line, locks and leases would vanish one by one,
    /// which nothing makes up for. On a Cluster each primary is asked. `INFO` is, as providers that refuse `CONFIG` permit it.
    ///
    /// # Errors
    /// Keys may be evicted, or Redis does not answer.
    pub async fn check_eviction(&self) -> Result<(), QueueError> {
        let nodes = match self.memory().await {
            Ok(nodes) => nodes,
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
                tracing::warn!(
                    "Redis does not permit INFO; see to it that its maxmemory-policy is noeviction"
                );
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match nodes.iter().find_map(evicting) {
            Some(policy) => Err(QueueError::Evicting(policy)),
            None => Ok(()),
        }
    }
}

fn fullness(info: &InfoDict) -> f64 {
    let read = |name: &str| info.get::<f64>(name).unwrap_or(0.0);
    let limit = read("maxmemory");
    if limit > 0.0 { read("used_memory") / limit } else { 0.0 }
}

/// The policy of a server that evicts keys. Without a limit it has no reason to.
fn evicting(info: &InfoDict) -> Option<String> {
    let limit = info.get::<u64>("maxmemory").unwrap_or(0);
    info.get::<String>("maxmemory_policy").filter(|policy| limit > 0 && policy != "noeviction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_with_a_limit_and_another_policy_evicts() {
        let policy = |limit: u64, policy: &str| {
            evicting(&InfoDict::new(&format!(
                "# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n"
            )))
        };
        assert_eq!(policy(1_000, "volatile-lru").as_deref(), Some("volatile-lru"));
        assert_eq!(policy(1_000, "noeviction"), None);
        assert_eq!(policy(0, "allkeys-lru"), None);
        assert_eq!(evicting(&InfoDict::new("# Memory\r\nmaxmemory:1000\r\n")), None, "it is not told");
    }
}
