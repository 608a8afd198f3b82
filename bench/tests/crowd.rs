//! A small crowd against a system of its own: what `make crowd` does, at the size of a test.

use std::time::Duration;

use bench::crowd::{self, CrowdArgs};
use clap::Parser;
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
    let system = System::start(&settings, &[]).await?;

    let data = data.to_string_lossy();
    let words = Words::try_parse_from([
        "crowd",
        "--url",
        &system.url,
        "--data",
        &data,
        "--database-url",
        &database_url,
        "--shoppers=100",
        "--seconds=3",
    ])?;
    let is_kept = tokio::time::timeout(LIMIT, crowd::run(words.crowd)).await??;
    system.stop().await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    assert!(is_kept, "the table above says what was not kept");
    Ok(())
}
