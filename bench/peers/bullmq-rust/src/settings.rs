//! The command line.

use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bullmq::options::RedisConnectionOptions;
use clap::{Parser, ValueEnum};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

/// Measures the Rust port of `BullMQ` on a given Redis; prints one line of JSON per result.
#[derive(Debug, Parser)]
#[command(name = "bullmq-rust", version)]
pub(crate) struct Cli {
    /// Path of a unix socket, or redis://…
    #[arg(long)]
    pub(crate) redis: String,
    /// What is measured
    #[arg(long, required_unless_present = "hold")]
    pub(crate) measure: Option<Measure>,
    /// How many jobs; for "recovery" how many workers are killed
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// postgres://… or a socket directory; for "process-postgres" and "process-reserve"
    #[arg(long)]
    database: Option<String>,
    /// With a socket directory: the server's port
    #[arg(long)]
    port: Option<u16>,
    /// With a socket directory: the role
    #[arg(long)]
    user: Option<String>,
    /// With a socket directory: the database
    #[arg(long)]
    name: Option<String>,
    /// Seconds after which the measure is given up
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Take a job of each queue that standard input names and keep it, with a lock of so many ms; for "recovery"
    #[arg(long, hide = true)]
    pub(crate) hold: Option<u64>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Measure {
    Add,
    AddBulk,
    Process,
    ProcessPostgres,
    ProcessReserve,
    Position,
    PositionLpos,
    Recovery,
    Memory,
}

impl Measure {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn count(self) -> u32 {
        match self {
            Self::Add | Self::Process => 20_000,
            Self::AddBulk => 50_000,
            Self::ProcessPostgres | Self::ProcessReserve => 10_000,
            Self::Position | Self::PositionLpos | Self::Memory => 100_000,
            Self::Recovery => 8,
        }
    }

    fn limit_s(self) -> u64 {
        match self {
            Self::Add | Self::AddBulk | Self::Position | Self::PositionLpos | Self::Memory => 120,
            Self::Process => 180,
            Self::Recovery => 240,
            Self::ProcessPostgres | Self::ProcessReserve => 300,
        }
    }
}

impl Cli {
    /// How long a measure may take.
    pub(crate) fn limit(&self, measure: Measure) -> Duration {
        Duration::from_secs(self.limit.unwrap_or(measure.limit_s()))
    }

    fn database(&self) -> Result<Option<PgConnectOptions>> {
        let Some(database) = &self.database else { return Ok(None) };
        if database.contains("://") {
            let options =
                PgConnectOptions::from_str(database).context("--database is no URL of PostgreSQL")?;
            return Ok(Some(options.disable_statement_logging()));
        }
        let mut options = PgConnectOptions::new().socket(database).disable_statement_logging();
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(name) = self.name.as_ref().or(self.user.as_ref()) {
            options = options.database(name);
        }
        Ok(Some(options))
    }
}

/// What a measure is to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The measure's name.
    pub(crate) name: String,
    /// How many jobs, or kills.
    pub(crate) count: u32,
    /// Redis, as the command line has it.
    pub(crate) redis: String,
    /// PostgreSQL, where it was given.
    pub(crate) database: Option<PgConnectOptions>,
}

impl Settings {
    /// Reads the command line.
    pub(crate) fn read(cli: &Cli, measure: Measure) -> Result<Self> {
        Ok(Self {
            name: measure.name(),
            count: cli.count.unwrap_or(measure.count()),
            redis: cli.redis.clone(),
            database: cli.database()?,
        })
    }

    /// How many jobs.
    pub(crate) fn jobs(&self) -> usize {
        self.count as usize
    }
}

/// How the port connects to Redis.
pub(crate) fn connection(redis: &str) -> RedisConnectionOptions {
    let url = if redis.contains("://") { redis.to_owned() } else { format!("unix://{redis}") };
    RedisConnectionOptions::new().url(url)
}
