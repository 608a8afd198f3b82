//! A small crowd against a system of its own: what `make crowd` does, at the size of a test.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bench::crowd::{self, CrowdArgs};
use clap::Parser;
use serde_json::{Value, json};
use shared::auth::{AccessTokens, Role};
use shared::domain::UserId;
use shared::store::Store;
use standalone::servers::scratch;
use standalone::settings::Settings;
use standalone::system::System;
use standalone::{sandbox, secrets};

/// The words of `bench crowd`.
#[derive(Debug, Parser)]
struct Words {
    #[command(flatten)]
    crowd: CrowdArgs,
}

/// They come over three seconds, and are sent home half a minute later at the latest.
const LIMIT: Duration = Duration::from_mins(2);

/// So many wait before anybody is decided: the impatient among them leave.
const HELD_UP: u64 = 100;
const HELD_UP_LIMIT: Duration = Duration::from_secs(20);

/// The demo's operator.
struct Operator {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Operator {
    async fn find(store: &Store, settings: &Settings, url: &str) -> anyhow::Result<Self> {
        let id: i64 = sqlx::query_scalar("select id from users where email = 'operator@usher.test'")
            .fetch_one(store.pool())
            .await?;
        let secrets = settings.services.auth.secrets()?;
        let token = AccessTokens::new(&secrets, 3_600).sign(UserId(id), Role::Operator)?;
        Ok(Self { http: reqwest::Client::new(), url: format!("{url}/api/admin/queue"), token })
    }

    /// Waits until the gateway has what it needs.
    async fn until_ready(&self, url: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + HELD_UP_LIMIT;
        while !self.http.get(format!("{url}/ready")).send().await?.status().is_success() {
            anyhow::ensure!(Instant::now() < deadline, "it is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Pauses or resumes the whole queue.
    async fn steer(&self, what: &str) -> anyhow::Result<()> {
        let asked = self.http.post(format!("{}/{what}", self.url)).bearer_auth(&self.token).json(&json!({}));
        asked.send().await?.error_for_status()?;
        Ok(())
    }

    /// Resumes the queue when enough people wait in it.
    async fn resume_in_time(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + HELD_UP_LIMIT;
        loop {
            let asked = self.http.get(format!("{}/stats", self.url)).bearer_auth(&self.token);
            let stats: Value = asked.send().await?.error_for_status()?.json().await?;
            if stats["waiting"].as_u64().context("how many wait")? >= HELD_UP {
                return self.steer("resume").await;
            }
            anyhow::ensure!(Instant::now() < deadline, "too few wait: {stats}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_crowd_is_served_and_every_promise_kept() -> anyhow::Result<()> {
    let servers = scratch().await?;
    let data = servers.dir().join("data");
    let (database_url, redis_url) = (servers.postgres.url(), servers.redis.url());
    let mut settings = Settings::from_words([
        "--listen=127.0.0.1:0",
        "--sandbox-listen=127.0.0.1:0",
        "--web-dir=../web/dist",
        "--rate-limit-max=1000000",
        "--rate-limit-ip-max=1000000",
        "--rate-limit-reads-per-second=1000000",
        "--max-sockets-per-ip=20000",
        "--max-connections-per-ip=20000",
        "--database-url",
        &database_url,
        "--redis-url",
        &redis_url,
    ])?;
    settings.services.auth.jwt_secret_file = Some(secrets::jwt_file(&data)?);
    settings.services.tickets.ticket_key_file = Some(secrets::ticket_key_file(&data)?);
    let sandbox = sandbox::start_unless_set(&mut settings, &[], &data).await?;
    let store = Store::connect(&settings.store).await?;
    store.migrate().await?;
    // As after a load that was broken off: ids are gone, and the crowd is not where a fresh database has it.
    sqlx::query("select setval(pg_get_serial_sequence('users', 'id'), 20000)").execute(store.pool()).await?;
    assert!(store.load_demo("no hash").await?);
    // Short enough for carts to run out while the crowd is there.
    sqlx::query("update events set hold_seconds = 4").execute(store.pool()).await?;
    let system = System::start(&settings, &[]).await?;
    let operator = Operator::find(&store, &settings, &system.url).await?;
    operator.until_ready(&system.url).await?;
    operator.steer("pause").await?;

    let data = data.to_string_lossy();
    let words = Words::try_parse_from([
        "crowd",
        "--url",
        &system.url,
        "--data",
        &data,
        "--database-url",
        &database_url,
        "--shoppers=200",
        "--seconds=3",
    ])?;
    let crowd = tokio::time::timeout(LIMIT, crowd::run(words.crowd));
    let (went, resumed) = tokio::join!(crowd, operator.resume_in_time());
    resumed?;
    let went = went??;
    system.stop().await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    assert!(went.is_kept, "the table above says what was not kept");
    for way in ["book seats by name", "book the best", "book room in an area"] {
        assert!(went.calls.get(way).is_some_and(|calls| *calls > 0), "nobody came to {way}: {went:?}");
    }
    assert!(went.left > 0, "nobody left the line: {went:?}");
    assert!(went.expired > 0, "nobody let their cart expire: {went:?}");
    Ok(())
}
