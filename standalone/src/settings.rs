//! Everything that can be set. A field's comment is its `--help`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gateway::config::GatewayConfig;
use shared::config::{ConfigError, QueueConfig, ServicesConfig, StoreConfig};
use shared::telemetry::{LogConfig, MetricsConfig};
use sweeper::config::SweeperConfig;
use worker::config::WorkerConfig;

/// Usher in one process: gateway, worker and sweeper
#[derive(Debug, Clone, Parser)]
#[command(name = "usher", version, args_override_self = true)]
pub struct Settings {
    /// What to do; without a word: run
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where private servers and secrets live
    #[arg(long, env = "DATA_DIR", default_value = ".data", global = true)]
    pub data_dir: PathBuf,
    /// PostgreSQL; without a URL a private server is started
    #[command(flatten)]
    pub store: StoreConfig,
    /// Redis; without a URL a private server is started
    #[command(flatten)]
    pub queue: QueueConfig,
    /// Secrets, and whom we talk to outside
    #[command(flatten)]
    pub services: ServicesConfig,
    /// Where the sandbox for payments listens, which is started when it is the provider and has no URL; without it
    /// 127.0.0.1:8008, or a free port where that is taken
    #[arg(long, env = "SANDBOX_LISTEN")]
    pub sandbox_listen: Option<SocketAddr>,
    /// The gateway
    #[command(flatten)]
    pub gateway: GatewayConfig,
    /// The worker
    #[command(flatten)]
    pub worker: WorkerConfig,
    /// The sweeper
    #[command(flatten)]
    pub sweeper: SweeperConfig,
    /// Logs
    #[command(flatten)]
    pub log: LogConfig,
    /// Figures, where no gateway is among the parts
    #[command(flatten)]
    pub metrics: MetricsConfig,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run until Ctrl-C; on private servers where no URLs are given, and with demo data in a private PostgreSQL
    Run(RunArgs),
    /// Bring the schema of DATABASE_URL up to date, and end
    Migrate,
    /// Load the demo data into DATABASE_URL unless it has events, and end
    Demo,
}

/// How to run.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Only these parts, separated by commas
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,
}

/// A part of Usher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// HTTP and WebSocket
    Gateway,
    /// Decides bookings
    Worker,
    /// Releases what expired
    Sweeper,
}

impl Settings {
    /// Settings from command-line words, on top of the environment and the defaults.
    ///
    /// # Errors
    /// A word is unknown.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, clap::Error> {
        Self::try_parse_from(std::iter::once("usher").chain(words))
    }

    /// Holds the settings against each other.
    ///
    /// # Errors
    /// What contradicts what.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.queue.check(&self.store)?;
        self.gateway.check()?;
        self.services.pay.check()?;
        self.services.stream.check()?;
        self.sweeper.check()?;
        self.services.messages.check()?;
        self.worker.check()
    }
}
