//! What Redis says of itself: how full it is, and whether queues can lie on it.

use std::collections::HashMap;

use redis::{ErrorKind, InfoDict, ServerErrorKind};

use super::client::{Connection, Queue, QueueError};

/// The first major version whose scripts can say which of them run when memory is full, and which has `EXPIRE … NX`.
/// Valkey calls itself 7.2 here.
const OLDEST: u32 = 7;

/// Why queues cannot lie on this Redis.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unfit {
    /// It would drop keys to make room for others, by this policy.
    #[error(
        "Redis would drop places in line when its memory is full: its maxmemory-policy is {0}; run \
         `redis-cli config set maxmemory-policy noeviction` and set the same in its configuration, then start this \
         process again"
    )]
    Evicting(String),
    /// It is of this version.
    #[error("Redis {OLDEST} or newer is needed (or Valkey), and this one is {0}")]
    TooOld(String),
}

impl Queue {
    /// How full Redis is, from 0 to 1; 0 where it has no limit. Of a Cluster, its fullest primary.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn fullness(&self) -> Result<f64, QueueError> {
        Ok(self.servers("memory").await?.iter().map(fullness).fold(0.0, f64::max))
    }

    /// What each primary says of itself, in this section of `INFO`.
    async fn servers(&self, section: &str) -> redis::RedisResult<Vec<InfoDict>> {
        let command = redis::cmd("INFO").arg(section).to_owned();
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

    /// That its version knows what the scripts use, and that no key is evicted to make room for another one: places in
    /// line, locks and leases would vanish one by one, which nothing makes up for. On a Cluster each primary is asked.
    /// `INFO` is, as providers that refuse `CONFIG` permit it.
    ///
    /// # Errors
    /// It is too old, keys may be evicted, or Redis does not answer.
    pub async fn check_server(&self) -> Result<(), QueueError> {
        let nodes = match self.servers("default").await {
            Ok(nodes) => nodes,
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
                tracing::warn!(
                    "Redis does not permit INFO; see to it that it is {OLDEST} or newer, and its maxmemory-policy \
                     noeviction"
                );
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match nodes.iter().find_map(unfit) {
            Some(unfit) => Err(unfit.into()),
            None => Ok(()),
        }
    }
}

fn fullness(info: &InfoDict) -> f64 {
    let read = |name: &str| info.get::<f64>(name).unwrap_or(0.0);
    let limit = read("maxmemory");
    if limit > 0.0 { read("used_memory") / limit } else { 0.0 }
}

/// What is wrong with a server. One that does not tell is believed; without a limit it has no reason to evict.
fn unfit(info: &InfoDict) -> Option<Unfit> {
    if let Some(version) = info.get::<String>("redis_version") {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < OLDEST) {
            return Some(Unfit::TooOld(version));
        }
    }
    let limit = info.get::<u64>("maxmemory").unwrap_or(0);
    let policy = info.get::<String>("maxmemory_policy")?;
    (limit > 0 && policy != "noeviction").then_some(Unfit::Evicting(policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(info: &str) -> Option<Unfit> {
        unfit(&InfoDict::new(&info.replace(' ', "\r\n")))
    }

    #[test]
    fn only_a_server_with_a_limit_and_another_policy_evicts() {
        let evicting = |policy: &str| Some(Unfit::Evicting(policy.to_owned()));
        assert_eq!(of("maxmemory:1000 maxmemory_policy:volatile-lru"), evicting("volatile-lru"));
        assert_eq!(of("maxmemory:1000 maxmemory_policy:noeviction"), None);
        assert_eq!(of("maxmemory:0 maxmemory_policy:allkeys-lru"), None);
        assert_eq!(of("maxmemory:1000"), None, "it is not told");
    }

    #[test]
    fn a_server_before_redis_7_is_too_old() {
        let too_old = |version: &str| Some(Unfit::TooOld(version.to_owned()));
        assert_eq!(of("redis_version:6.2.14"), too_old("6.2.14"));
        for fit in ["7.0.15", "7.2.4", "8.2.1", "10.0.0", "unstable"] {
            assert_eq!(of(&format!("redis_version:{fit}")), None, "{fit}");
        }
    }
}
