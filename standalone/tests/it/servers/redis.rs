//! The private Redis server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};
use standalone::servers::{Listen, PrivateRedis, RedisOptions};

use super::{TestResult, assert_in_use, kept_redis, open_dir, processes_of, told_location};

async fn connect(server: &PrivateRedis) -> RedisResult<MultiplexedConnection> {
    Client::open(server.url())?.get_multiplexed_async_connection().await
}

async fn set(server: &PrivateRedis, value: u32) -> RedisResult<()> {
    connect(server).await?.set("noted", value).await
}

async fn get(server: &PrivateRedis) -> RedisResult<Option<u32>> {
    connect(server).await?.get("noted").await
}

#[tokio::test]
async fn the_next_start_finds_the_data() -> TestResult {
    let dir = open_dir()?;
    let first = PrivateRedis::start(dir.path(), kept_redis()).await?;
    set(&first, 1).await?;
    first.stop().await?;
    assert_eq!(processes_of(dir.path()), Vec::<u32>::new());

    let mut second = PrivateRedis::start(dir.path(), kept_redis()).await?;
    assert_eq!(get(&second).await?, Some(1));
    second.restart().await?;
    assert_eq!(get(&second).await?, Some(1));
    Ok(())
}

#[tokio::test]
async fn data_stays_in_a_folder_that_only_its_owner_may_enter() -> TestResult {
    let dir = open_dir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700))?;
    let home = dir.path().join(".data/redis");
    let first = PrivateRedis::start(&home, kept_redis()).await?;
    set(&first, 1).await?;
    first.stop().await?;
    assert_eq!(told_location(&home), None, "it runs under our own name");
    let second = PrivateRedis::start(&home, kept_redis()).await?;
    assert_eq!(get(&second).await?, Some(1));
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_data() -> TestResult {
    let dir = open_dir()?;
    let mut server = PrivateRedis::start(dir.path(), RedisOptions::throwaway()).await?;
    set(&server, 1).await?;
    let address = server.url();
    server.kill();
    assert_eq!(processes_of(dir.path()), Vec::<u32>::new());
    server.restart().await?;
    assert_eq!(get(&server).await?, Some(1));
    assert_eq!(server.url(), address);
    Ok(())
}

#[tokio::test]
async fn it_comes_back_empty_or_behind() -> TestResult {
    let dir = open_dir()?;
    let mut server = PrivateRedis::start(dir.path(), RedisOptions::throwaway()).await?;
    set(&server, 1).await?;
    let earlier = server.snapshot_aof()?;
    set(&server, 2).await?;
    server.restart_behind(&earlier).await?;
    assert_eq!(get(&server).await?, Some(1));
    server.restart_empty().await?;
    assert_eq!(get(&server).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_second_start_on_the_same_folder_is_refused() -> TestResult {
    let dir = open_dir()?;
    let _first = PrivateRedis::start(dir.path(), kept_redis()).await?;
    assert_in_use(PrivateRedis::start(dir.path(), kept_redis()).await);
    Ok(())
}

#[tokio::test]
async fn a_paused_server_answers_after_it_is_resumed() -> TestResult {
    let dir = open_dir()?;
    let server = PrivateRedis::start(dir.path(), RedisOptions::throwaway()).await?;
    set(&server, 1).await?;
    server.pause()?;
    assert!(tokio::time::timeout(Duration::from_millis(200), get(&server)).await.is_err());
    server.resume()?;
    assert_eq!(get(&server).await?, Some(1));
    Ok(())
}

#[tokio::test]
async fn a_full_server_refuses_instead_of_forgetting() -> TestResult {
    let dir = open_dir()?;
    let options = RedisOptions {
        listen: Listen::Loopback,
        max_memory_bytes: Some(4 << 20),
        ..RedisOptions::throwaway()
    };
    let mut server = PrivateRedis::start(dir.path(), options).await?;
    set(&server, 1).await?;
    let mut connection = connect(&server).await?;
    let mut filled = Ok(());
    for number in 0..8 {
        filled = connection.set::<_, _, ()>(format!("heavy-{number}"), vec![b'.'; 1 << 20]).await;
    }
    assert!(filled.is_err_and(|error| error.code() == Some("OOM")));
    let address = server.url();
    server.restart().await?;
    assert_eq!((get(&server).await?, server.url()), (Some(1), address));
    Ok(())
}
