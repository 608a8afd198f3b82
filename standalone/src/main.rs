//! `usher`: all of Usher in one process.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use secrecy::SecretString;
use shared::auth::Passwords;
use shared::config::is_given;
use shared::store::Store;
use shared::telemetry;
use standalone::sandbox::{self, PrivateSandbox};
use standalone::secrets;
use standalone::servers::{PostgresOptions, PrivatePostgres, PrivateRedis, RedisOptions};
use standalone::settings::{Command, Part, RunArgs, Settings};
use standalone::system::System;
use tikv_jemallocator::Jemalloc;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const DEMO_PASSWORD: &str = "usher-demo";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut settings = Settings::parse();
    telemetry::start(&settings.log);
    match settings.command.take() {
        None => run(settings, RunArgs::default()).await,
        Some(Command::Run(args)) => run(settings, args).await,
        Some(Command::Migrate) => {
            let store = Store::connect(&settings.store).await?;
            store.migrate().await.context("the schema was not brought up to date")
        }
        Some(Command::Demo) => {
            let store = Store::connect(&settings.store).await?;
            store.migrate().await.context("the schema was not brought up to date")?;
            let is_loaded = load_demo(&store).await?;
            say(if is_loaded {
                "demo data is loaded"
            } else {
                "there are events already; nothing was loaded"
            });
            Ok(())
        }
    }
}

/// Where `make crowd` goes when it is told nothing.
const CROWD_URL: &str = "http://127.0.0.1:8000";

/// The private servers of this run, each where no URL was given.
#[derive(Default)]
struct Private {
    postgres: Option<PrivatePostgres>,
    redis: Option<PrivateRedis>,
    sandbox: Option<PrivateSandbox>,
}

async fn run(mut settings: Settings, args: RunArgs) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    tokio::spawn(telemetry::shutdown_on_signal(shutdown.clone()));
    let data_dir = absolute(&settings.data_dir)?;
    let auth = &settings.services.auth;
    if !is_given(auth.jwt_secret.as_ref(), auth.jwt_secret_file.as_ref()) {
        settings.services.auth.jwt_secret_file = Some(secrets::jwt_file(&data_dir)?);
    }
    if !settings.services.tickets.has_key() {
        settings.services.tickets.ticket_key_file = Some(secrets::ticket_key_file(&data_dir)?);
    }
    let mut private = start_servers(&mut settings, &data_dir).await?;
    private.sandbox = sandbox::start_unless_set(&mut settings, &args.only, &data_dir).await?;
    let served = serve(&settings, &args, &private, shutdown).await;
    if let Some(sandbox) = private.sandbox {
        sandbox.stop().await;
    }
    // In this order: nobody writes any more when the stores stop.
    if let Some(redis) = private.redis {
        redis.stop().await?;
    }
    if let Some(postgres) = private.postgres {
        postgres.stop().await?;
    }
    say("everything has stopped");
    served
}

async fn start_servers(settings: &mut Settings, data_dir: &std::path::Path) -> anyhow::Result<Private> {
    let mut private = Private::default();
    if !is_given(settings.store.database_url.as_ref(), settings.store.database_url_file.as_ref()) {
        say("starting a private PostgreSQL (the first time takes a few seconds)");
        let postgres = PrivatePostgres::start(&data_dir.join("postgres"), PostgresOptions::default()).await?;
        settings.store.database_url = Some(SecretString::from(postgres.url()));
        private.postgres = Some(postgres);
        // Only the demo has private servers; what it would mail is looked at on its own page.
        settings.services.messages.mailbox_open.get_or_insert(true);
    }
    if !is_given(settings.queue.redis_url.as_ref(), None) {
        say("starting a private Redis");
        let redis = PrivateRedis::start(&data_dir.join("redis"), RedisOptions::default()).await?;
        settings.queue.redis_url = Some(SecretString::from(redis.url()));
        private.redis = Some(redis);
    }
    Ok(private)
}

async fn serve(
    settings: &Settings,
    args: &RunArgs,
    private: &Private,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let store = Store::connect(&settings.store).await?;
    say("bringing the schema up to date");
    store.migrate().await.context("the schema was not brought up to date")?;
    let is_demo = private.postgres.is_some();
    if is_demo && load_demo(&store).await? {
        say("demo data is loaded: a stadium, a theatre, a club");
    }
    if !args.only.is_empty() && !args.only.contains(&Part::Gateway) {
        telemetry::tell_figures(&settings.metrics)?;
    }
    let system = System::start(settings, &args.only).await?;
    greet(&system.url, is_demo);
    if let Some(sandbox) = &private.sandbox {
        say(&format!("payments go to  {}    (a sandbox: no money moves)", sandbox.url));
    }
    greet_mailbox(&system.url, settings.services.messages.is_mailbox_open());
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = system.shutdown.cancelled() => {}
    }
    let is_told = shutdown.is_cancelled();
    say("stopping: finishing what is under way");
    system.stop().await;
    if is_told { Ok(()) } else { bail!("a part of the system ended by itself; the log says why") }
}

async fn load_demo(store: &Store) -> anyhow::Result<bool> {
    let hash = Passwords::default().hash(SecretString::from(DEMO_PASSWORD)).await?;
    store.load_demo(&hash).await.context("the demo data was not loaded")
}

fn greet(url: &str, is_demo: bool) {
    if url.is_empty() {
        return;
    }
    say(&format!("Usher is open:  {url}/concerts    API: {url}/docs"));
    if is_demo {
        say(&format!(
            "log in as       shopper@, operator@, admin@ or scanner@usher.test, password {DEMO_PASSWORD}"
        ));
        let elsewhere = if url == CROWD_URL { String::new() } else { format!(" ARGS=\"--url {url}\"") };
        say(&format!(
            "try it with     make crowd{elsewhere}    (in another terminal); Ctrl-C stops everything"
        ));
    }
}

/// Where messages are shown that nobody else gets.
fn greet_mailbox(url: &str, is_open: bool) {
    if is_open && !url.is_empty() {
        say(&format!("read its mail    {url}/mailbox"));
    }
}

fn absolute(path: &std::path::Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no usable folder", path.display()))
}

/// A line for the person at the terminal, beside the logs.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "usher: {line}");
}
