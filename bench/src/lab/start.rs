//! Starting the servers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use shared::auth::{AccessTokens, Role};
use shared::config::{QueueConfig, StoreConfig};
use shared::domain::UserId;
use shared::queue::Queue;
use shared::store::Store;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use standalone::servers::{PostgresOptions, PrivatePostgres, PrivateRedis, RedisOptions};
use tempfile::TempDir;

use super::people::People;
use super::server::{Program, Server};

/// Not on a memory disk, on which a flush would cost nothing.
const ROOT: &str = "/var/tmp";
/// How many shoppers there are.
const SHOPPERS: i32 = 200_000;
/// Tokens outlive the longest run.
const TOKEN_SECONDS: u64 = 24 * 3_600;

/// Where the programs are.
#[derive(Debug, Clone, clap::Args)]
pub struct LabOptions {
    /// The program `usher`; by default the one beside this program
    #[arg(long, env = "USHER_BIN")]
    pub usher: Option<PathBuf>,
}

/// Settings of the library as its processes read them, with their defaults.
#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    queue: QueueConfig,
}

/// The stores, people, and the programs that are measured on them.
pub struct Lab {
    /// Connections for what is read and prepared; what they do is told apart from what Usher does.
    pub pool: PgPool,
    /// The store, as Usher's processes use it.
    pub store: Store,
    /// The queue, as they use it.
    pub queue: Queue,
    /// Shoppers.
    pub people: People,
    /// For what operators do.
    pub http: reqwest::Client,
    /// An operator's access token.
    pub operator: String,
    /// The log of PostgreSQL.
    pub postgres_log: PathBuf,
    secret: String,
    usher: PathBuf,
    redis: PrivateRedis,
    postgres: PrivatePostgres,
    started: AtomicU32,
    // Dropped last: the servers lie in it.
    dir: TempDir,
}

impl Lab {
    /// Starts both stores and brings the people in.
    pub async fn start(options: &LabOptions) -> Result<Self> {
        let usher = find_usher(options)?;
        // PostgreSQL may run as another user, who must get through.
        let dir = tempfile::Builder::new()
            .prefix("usher-bench-")
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(ROOT)
            .context("make a folder for the servers")?;
        let postgres_home = dir.path().join("postgres");
        let postgres = PrivatePostgres::start(&postgres_home, postgres_options()).await?;
        let redis_options = RedisOptions { throwaway: true, ..RedisOptions::default() };
        let redis = PrivateRedis::start(&dir.path().join("redis"), redis_options).await?;
        let (postgres_url, redis_url) = (postgres.url(), redis.url());
        let settings =
            Settings::try_parse_from(["bench", "--database-url", &postgres_url, "--redis-url", &redis_url])?;
        let store = Store::connect(&settings.store).await?;
        store.migrate().await?;
        let pool = own_pool(&postgres_url).await?;
        let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let tokens = AccessTokens::new(&[secret.as_str().into()], TOKEN_SECONDS);
        let (people, operator) = super::people::bring(&pool, &tokens, SHOPPERS).await?;
        Ok(Self {
            queue: Queue::connect(&settings.queue).await?,
            pool,
            store,
            people,
            http: reqwest::Client::new(),
            operator: tokens.sign(UserId(operator), Role::Operator)?,
            postgres_log: postgres_home.join("server.log"),
            secret,
            usher,
            redis,
            postgres,
            started: AtomicU32::new(0),
            dir,
        })
    }

    /// Starts Usher afresh: nothing in Redis, no pause, nothing left to tell of what was there before. Events must be
    /// there already.
    pub async fn start_usher(&self) -> Result<Server> {
        // Alone, as it cannot be part of a transaction; else what the measure before left is cleared away during this one.
        sqlx::raw_sql("vacuum (analyze)").execute(&self.pool).await?;
        sqlx::raw_sql(include_str!("sql/begin_afresh.sql")).execute(&self.pool).await?;
        let _: String = redis::cmd("FLUSHALL").query_async(&mut self.queue.connection()).await?;
        let web = self.dir.path().join("web");
        std::fs::create_dir_all(&web).context("make a folder for web pages")?;
        std::fs::write(web.join("index.html"), "<!doctype html><title>Usher</title>")?;
        let variables = [
            ("DATABASE_URL", self.postgres.url()),
            ("REDIS_URL", self.redis.url()),
            ("JWT_SECRET", self.secret.clone()),
            ("DATA_DIR", self.dir.path().join("data").display().to_string()),
            ("RATE_LIMIT_MAX", "1000000000".to_owned()),
            ("RATE_LIMIT_IP_MAX", "1000000000".to_owned()),
            ("RATE_LIMIT_LOGIN_IP_MAX", "1000000000".to_owned()),
            ("RATE_LIMIT_REFRESH_IP_MAX", "1000000000".to_owned()),
            ("RATE_LIMIT_LOGIN_MAX", "1000000000".to_owned()),
            ("RATE_LIMIT_CODE_MAX", "1000000000".to_owned()),
            ("RATE_LIMIT_TIME_WINDOW", "1000".to_owned()),
            ("RATE_LIMIT_READS_PER_SECOND", "1000000000".to_owned()),
            ("MAX_SOCKETS_PER_IP", "1000000".to_owned()),
            ("MAX_CONNECTIONS_PER_IP", "1000000".to_owned()),
            ("WEB_DIR", web.display().to_string()),
            // Nobody is behind the addresses of these shoppers.
            ("NOTIFY_RESERVED", "false".to_owned()),
            ("NOTIFY_EXPIRED", "false".to_owned()),
            ("LOG_FORMAT", "text".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        let program = Program {
            name: "usher",
            path: self.usher.clone(),
            arguments: vec!["run".to_owned()],
            variables: variables.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            ready: "/ready",
        };
        Server::start(program, &self.new_dir("usher")?).await
    }

    /// Starts the bare server.
    pub async fn start_bare(&self) -> Result<Server> {
        let program = Program {
            name: "the bare server",
            path: std::env::current_exe().context("find this program")?,
            arguments: vec!["bare".to_owned()],
            variables: Vec::new(),
            ready: "/",
        };
        Server::start(program, &self.new_dir("bare")?).await
    }

    fn new_dir(&self, name: &str) -> Result<PathBuf> {
        let nth = self.started.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.path().join(format!("{name}-{nth}"));
        std::fs::create_dir(&dir).with_context(|| format!("make {}", dir.display()))?;
        Ok(dir)
    }
}

fn find_usher(options: &LabOptions) -> Result<PathBuf> {
    let path = match &options.usher {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("find this program")?.with_file_name("usher"),
    };
    if !path.is_file() {
        bail!(
            "{} is missing: `cargo build --release -p standalone`, or name it with --usher",
            path.display()
        );
    }
    std::path::absolute(&path).with_context(|| format!("find {}", path.display()))
}

/// Durable, as in earnest; it only ends faster. Commits are dated, for the time from the line to the commit.
fn postgres_options() -> PostgresOptions {
    let settings = ["track_commit_timestamp=on", "log_line_prefix=%a|"];
    PostgresOptions {
        throwaway: true,
        settings: settings.map(str::to_owned).to_vec(),
        ..PostgresOptions::default()
    }
}

async fn own_pool(url: &str) -> Result<PgPool> {
    let options = PgConnectOptions::from_str(url)?.application_name("bench");
    PgPoolOptions::new().max_connections(4).connect_with(options).await.context("connect to PostgreSQL")
}

/// The end of a file, for an error.
pub(super) fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n  ")
}
