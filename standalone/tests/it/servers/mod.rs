//! The private servers.

mod owner;
mod postgres;
mod program;
mod programs;
mod redis;
mod replica;
mod sandbox;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use standalone::servers::{PostgresOptions, RedisOptions, ServerError};
use tempfile::TempDir;

pub(super) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// A folder that PostgreSQL's user may enter, as a checkout usually is.
pub(super) fn open_dir() -> std::io::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().prefix("usher-test-").permissions(mode).tempdir_in("/tmp")
}

/// Kept data, as `usher` has it, without the wait for the disk.
pub(super) fn kept_postgres() -> PostgresOptions {
    PostgresOptions { throwaway: false, ..PostgresOptions::throwaway() }
}

pub(super) fn kept_redis() -> RedisOptions {
    RedisOptions { throwaway: false, ..RedisOptions::throwaway() }
}

/// Ids of the processes that have `dir` among their arguments and still run.
pub(super) fn processes_of(dir: &Path) -> Vec<u32> {
    let dir = dir.to_string_lossy();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command_line).contains(&*dir)
        })
        .collect()
}

/// Waits for a condition, and fails after ten seconds.
pub(super) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Tells why a test shows nothing on this machine.
pub(super) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

pub(super) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The folder that a home's data was put in, if it is another one.
pub(super) fn told_location(home: &Path) -> Option<PathBuf> {
    Some(PathBuf::from(fs::read_to_string(home.join("location")).ok()?.trim()))
}

pub(super) fn assert_in_use<T>(second: Result<T, ServerError>) {
    match second {
        Err(ServerError::InUse { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("a second server on the same folder"),
    }
}
