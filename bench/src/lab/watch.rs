//! What PostgreSQL, Redis and the system counted meanwhile.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::PgPool;

use super::Lab;

/// PostgreSQL's processes tell their counts a second late while they have work.
const LATE: Duration = Duration::from_millis(1_500);
/// One that has none any more tells its last ones ten seconds later: `PGSTAT_IDLE_INTERVAL` in its `pgstat.c`.
const IDLE: Duration = Duration::from_millis(10_500);

/// Calls that stores have seen so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    /// Commands of Redis, those inside scripts included.
    pub redis: u64,
    /// Transactions of PostgreSQL.
    pub postgres: u64,
}

impl Calls {
    /// How many came since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            redis: self.redis.saturating_sub(earlier.redis),
            postgres: self.postgres.saturating_sub(earlier.postgres),
        }
    }

    /// Adds those of another time.
    pub fn add(&mut self, other: Self) {
        self.redis += other.redis;
        self.postgres += other.postgres;
    }
}

impl Lab {
    /// Waits until what was done before has been counted, so that it is not taken for what comes after.
    pub async fn settle(&self) {
        tokio::time::sleep(IDLE).await;
    }

    /// Counts the calls that both stores have seen so far.
    pub async fn calls(&self) -> Result<Calls> {
        tokio::time::sleep(LATE).await;
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut self.queue.connection()).await?;
        let transactions: i64 = sqlx::query_scalar(
            "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Calls { redis: commands(&stats), postgres: transactions.unsigned_abs() })
    }
}

/// The sum of `calls=` over `cmdstat_get:calls=3,usec=…`.
fn commands(stats: &str) -> u64 {
    let calls = |line: &str| {
        let (_, rest) = line.split_once("calls=")?;
        rest.split(',').next()?.parse::<u64>().ok()
    };
    stats.lines().filter_map(calls).sum()
}

/// The memory of a process that is in use, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.context("a process without memory")? * 1_024)
}

/// Looks at how long Usher's statements take, by PostgreSQL's own log.
#[derive(Debug)]
pub struct SlowStatements {
    log: PathBuf,
    from: u64,
}

impl SlowStatements {
    /// Begins to log every statement from this many ms on.
    pub async fn begin(lab: &Lab, from_ms: u32) -> Result<Self> {
        log_from(&lab.pool, &from_ms.to_string()).await?;
        let length = std::fs::metadata(&lab.postgres_log).context("look at PostgreSQL's log")?.len();
        Ok(Self { log: lab.postgres_log.clone(), from: length })
    }

    /// Ends it; how many ms each of Usher's logged statements took.
    pub async fn end(self, lab: &Lab) -> Result<Vec<f64>> {
        log_from(&lab.pool, "-1").await?;
        let mut file = File::open(&self.log).context("open PostgreSQL's log")?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = String::new();
        file.read_to_string(&mut text).context("read PostgreSQL's log")?;
        Ok(text.lines().filter_map(duration_ms).collect())
    }
}

async fn log_from(pool: &PgPool, ms: &str) -> Result<()> {
    // A number or -1, put in by us; settings take no parameters.
    let set = format!("alter system set log_min_duration_statement = '{ms}'");
    // `alter system` runs in no transaction, so it is a statement of its own.
    sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(pool).await?;
    sqlx::raw_sql("select pg_reload_conf()").execute(pool).await?;
    // The servers read it when they next have time.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}

/// From `usher|LOG:  duration: 9.041 ms  execute …`.
fn duration_ms(line: &str) -> Option<f64> {
    let (_, rest) = line.strip_prefix("usher|")?.split_once("duration: ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        let stats = "# Commandstats\r\ncmdstat_get:calls=3,usec=9,usec_per_call=3.00\r\n\
                     cmdstat_evalsha:calls=40,usec=1\r\n";
        assert_eq!(commands(stats), 43);
        assert_eq!(duration_ms("usher|LOG:  duration: 9.041 ms  execute s1: delete"), Some(9.041));
        assert_eq!(duration_ms("bench|LOG:  duration: 90.1 ms  statement: select"), None);
    }
}
