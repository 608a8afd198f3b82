//! What only the database knows: who the crowd is, and whether jobs were decided in their order.
//!
//! Shoppers cannot tell: a reference hides its number, and messages overtake each other on their way. The database
//! has both, number and time, of every job.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::figures::invariants::{Rule, Scope, check};

/// How long it may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// The database of the running system.
pub(super) struct Database {
    pool: PgPool,
    /// The lowest number that the crowd's jobs can have.
    from: i64,
}

impl Database {
    /// Connects to `DATABASE_URL`, or to the private server in the data folder.
    pub(super) async fn find(data: &Path, url: Option<&str>) -> Result<Self> {
        let options = if let Some(url) = url {
            PgConnectOptions::from_str(url).context("read DATABASE_URL")?
        } else {
            let socket = private_socket(data)
                .with_context(|| format!("no private PostgreSQL runs under {}", data.display()))?;
            PgConnectOptions::new_without_pgpass().socket(socket).username("usher").database("usher")
        };
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_LIMIT)
            .connect_with(options.application_name("bench"))
            .await
            .context("connect to PostgreSQL")?;
        // Numbers are µs since 1970 by the clock of this machine.
        let from: i64 =
            sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
                .fetch_one(&pool)
                .await?;
        Ok(Self { pool, from })
    }

    /// The crowd of the demo data, whatever ids it was given.
    pub(super) async fn crowd(&self) -> Result<Vec<i64>> {
        sqlx::query_scalar("select id from users where email like 'crowd-%@usher.test' order by id")
            .fetch_all(&self.pool)
            .await
            .context("look for the demo's crowd")
    }

    /// Counts what breaks the rules, among jobs that came since it was found.
    pub(super) async fn check(&self) -> Result<Vec<Rule>> {
        check(&self.pool, Scope::JobsFrom(self.from)).await
    }
}

/// Where the private server listens: its own file says so, on the fifth line.
fn private_socket(data: &Path) -> Option<PathBuf> {
    let home = data.join("postgres");
    // The data may lie elsewhere, where the server's user may go; a note tells.
    let told = std::fs::read_to_string(home.join("location")).ok();
    let home = told.map_or(home, |told| PathBuf::from(told.trim()));
    let told = std::fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
    told.lines().nth(4).map(str::trim).filter(|line| !line.is_empty()).map(PathBuf::from)
}
