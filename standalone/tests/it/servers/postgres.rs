//! The private PostgreSQL server.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, Row};
use standalone::servers::{PostgresOptions, PrivatePostgres};

use super::{
    TestResult, assert_in_use, is_root, kept_postgres, open_dir, processes_of, skipped, told_location,
};

async fn note(server: &PrivatePostgres) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&server.url()).await?;
    connection.execute("create table if not exists notes (id bigint generated always as identity)").await?;
    connection.execute("insert into notes default values").await?;
    Ok(())
}

async fn notes(server: &PrivatePostgres) -> sqlx::Result<i64> {
    let mut connection = PgConnection::connect(&server.url()).await?;
    connection.fetch_one("select count(*) from notes").await?.try_get(0)
}

#[tokio::test]
async fn the_next_start_finds_the_data() -> TestResult {
    let dir = open_dir()?;
    let first = PrivatePostgres::start(dir.path(), kept_postgres()).await?;
    note(&first).await?;
    first.stop().await?;
    assert_eq!(processes_of(dir.path()), Vec::<u32>::new());

    let mut second = PrivatePostgres::start(dir.path(), kept_postgres()).await?;
    assert_eq!(notes(&second).await?, 1);
    second.restart().await?;
    assert_eq!(notes(&second).await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_was_committed_survives_a_kill() -> TestResult {
    let dir = open_dir()?;
    let mut server = PrivatePostgres::start(dir.path(), PostgresOptions::throwaway()).await?;
    note(&server).await?;
    // A backend of this connection outlives the first process unless it is killed as well.
    let _open = PgConnection::connect(&server.url()).await?;
    server.kill();
    assert_eq!(processes_of(dir.path()), Vec::<u32>::new());
    server.restart().await?;
    assert_eq!(notes(&server).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_second_start_on_the_same_folder_is_refused() -> TestResult {
    let dir = open_dir()?;
    let _first = PrivatePostgres::start(dir.path(), kept_postgres()).await?;
    assert_in_use(PrivatePostgres::start(dir.path(), kept_postgres()).await);
    Ok(())
}

#[tokio::test]
async fn a_paused_server_answers_after_it_is_resumed() -> TestResult {
    let dir = open_dir()?;
    let server = PrivatePostgres::start(dir.path(), PostgresOptions::throwaway()).await?;
    let mut connection = PgConnection::connect(&server.url()).await?;
    server.pause()?;
    let asked = connection.execute("select 1");
    assert!(tokio::time::timeout(Duration::from_millis(200), asked).await.is_err());
    server.resume()?;
    tokio::time::timeout(Duration::from_secs(5), notes_table_is_absent(&server)).await??;
    Ok(())
}

async fn notes_table_is_absent(server: &PrivatePostgres) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&server.url()).await?;
    let found: Option<String> =
        connection.fetch_one("select to_regclass('notes')::text").await?.try_get(0)?;
    assert_eq!(found, None);
    Ok(())
}

#[tokio::test]
async fn a_stale_pid_file_is_no_obstacle() -> TestResult {
    let dir = open_dir()?;
    let mut server = PrivatePostgres::start(dir.path(), kept_postgres()).await?;
    note(&server).await?;
    server.kill();
    drop(server);
    // The number of a process that lives and is not PostgreSQL's.
    let data = told_location(dir.path()).unwrap_or_else(|| dir.path().to_owned()).join("data");
    fs::write(data.join("postmaster.pid"), std::process::id().to_string())?;
    let again = PrivatePostgres::start(dir.path(), kept_postgres()).await?;
    assert_eq!(notes(&again).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_long_path_gets_its_socket_elsewhere() -> TestResult {
    let dir = open_dir()?;
    let deep = dir.path().join("d".repeat(60)).join("e".repeat(60));
    let server = PrivatePostgres::start(&deep, PostgresOptions::throwaway()).await?;
    note(&server).await?;
    assert_eq!(notes(&server).await?, 1);
    Ok(())
}

#[tokio::test]
async fn root_runs_it_as_another_user() -> TestResult {
    let dir = open_dir()?;
    let server = PrivatePostgres::start(dir.path(), PostgresOptions::throwaway()).await?;
    let pid = server.pid().ok_or("it runs")?;
    let owner = fs::metadata(format!("/proc/{pid}"))?.uid();
    assert_ne!(owner, 0);
    assert_eq!(owner == nix::unistd::geteuid().as_raw(), !is_root());
    Ok(())
}

#[tokio::test]
async fn data_moves_out_of_a_folder_that_only_root_may_enter() -> TestResult {
    if !is_root() {
        skipped("only root runs PostgreSQL as another user, who may not enter everywhere");
        return Ok(());
    }
    let dir = open_dir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700))?;
    let home = dir.path().join(".data/postgres");
    let first = PrivatePostgres::start(&home, kept_postgres()).await?;
    note(&first).await?;
    first.stop().await?;

    let elsewhere = told_location(&home).ok_or("a note tells where the data lies")?;
    assert!(!elsewhere.starts_with(dir.path()));
    let second = PrivatePostgres::start(&home, kept_postgres()).await?;
    assert_eq!(notes(&second).await?, 1);
    second.stop().await?;
    fs::remove_dir_all(elsewhere)?;
    Ok(())
}
