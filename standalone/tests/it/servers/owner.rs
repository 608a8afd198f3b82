//! What becomes of the servers when their owner ends, in whatever way.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standalone::servers::{PrivatePostgres, PrivateRedis, scratch};

use super::{TestResult, eventually, kept_postgres, kept_redis, open_dir, processes_of};

/// Names the folder in which [`owns_servers_until_it_is_killed`] is to start its servers.
const DIR: &str = "USHER_TEST_OWNED_DIR";

#[tokio::test]
async fn a_scratch_leaves_nothing_behind() -> TestResult {
    let servers = scratch().await?;
    let dir = servers.dir().to_owned();
    assert_eq!(processes_of(&dir).len(), 2);
    drop(servers);
    assert_eq!(processes_of(&dir), Vec::<u32>::new());
    assert!(!dir.exists());
    Ok(())
}

#[tokio::test]
async fn a_panic_takes_the_servers_along() -> TestResult {
    let servers = scratch().await?;
    let dir = servers.dir().to_owned();
    let panicked = tokio::spawn(async move {
        let _servers = servers;
        panic!("as a test that fails");
    });
    assert!(panicked.await.is_err());
    assert_eq!(processes_of(&dir), Vec::<u32>::new());
    Ok(())
}

/// Not a test by itself: the next one runs it in a process of its own.
#[tokio::test]
async fn owns_servers_until_it_is_killed() -> TestResult {
    let Some(dir) = env::var_os(DIR).map(PathBuf::from) else {
        return Ok(());
    };
    // Started from a thread that ends at once: the servers must not notice.
    let started = std::thread::spawn({
        let dir = dir.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let postgres = PrivatePostgres::start(&dir.join("postgres"), kept_postgres()).await;
                let redis = PrivateRedis::start(&dir.join("redis"), kept_redis()).await;
                std::io::Result::Ok((postgres, redis))
            })
        }
    });
    let (postgres, redis) = started.join().map_err(|_| "the starting thread panicked")??;
    let (_postgres, _redis) = (postgres?, redis?);
    fs::write(dir.join("started"), "")?;
    std::future::pending().await
}

#[tokio::test]
async fn servers_end_with_a_killed_owner_and_the_next_one_finds_its_data() -> TestResult {
    let dir = open_dir()?;
    let mut owner = Command::new(env::current_exe()?)
        .args(["--exact", "servers::owner::owns_servers_until_it_is_killed"])
        .env(DIR, dir.path())
        .stdout(Stdio::null())
        .spawn()?;
    eventually("the owner has started its servers", || dir.path().join("started").exists());
    // Long enough for a signal that the end of the starting thread would have caused.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(processes_of(dir.path()).len(), 2);

    kill(Pid::from_raw(i32::try_from(owner.id())?), Signal::SIGKILL)?;
    owner.wait()?;
    // At once, while they may still be closing down.
    let postgres = PrivatePostgres::start(&dir.path().join("postgres"), kept_postgres()).await?;
    let redis = PrivateRedis::start(&dir.path().join("redis"), kept_redis()).await?;
    postgres.stop().await?;
    redis.stop().await?;
    eventually("no process is left", || processes_of(dir.path()).is_empty());
    Ok(())
}
