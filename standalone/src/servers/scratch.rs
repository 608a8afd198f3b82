//! Both servers in a temporary folder, for one test or one measurement.

use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::account::Account;
use super::{PostgresOptions, PrivatePostgres, PrivateRedis, RedisOptions, ServerError};

const PREFIX: &str = "usher-scratch-";

/// How old a folder must be before its lock tells anything: its owner makes the folder first and locks it then.
const SETTLED: Duration = Duration::from_mins(1);

/// A private PostgreSQL and a private Redis that leave nothing behind.
#[derive(Debug)]
pub struct ScratchServers {
    /// The database server, empty but for the database `usher`.
    pub postgres: PrivatePostgres,
    /// The Redis server, empty.
    pub redis: PrivateRedis,
    // Dropped after the servers, which lie in it.
    dir: TempDir,
    _lock: File,
}

impl ScratchServers {
    /// The folder that holds them; more may be put there.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Starts both servers in a temporary folder without `fsync`; dropping them kills them and removes the folder.
pub async fn scratch() -> Result<ScratchServers, ServerError> {
    scratch_with(PostgresOptions::throwaway()).await
}

/// The same with a PostgreSQL of these options.
pub async fn scratch_with(options: PostgresOptions) -> Result<ScratchServers, ServerError> {
    let root = scratch_root()?;
    remove_abandoned(&root);
    let dir = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o711))
        .tempdir_in(&root)
        .map_err(ServerError::files("make a folder in", &root))?;
    let lock = File::create(dir.path().join("lock")).and_then(|file| file.lock().map(|()| file));
    let lock = lock.map_err(ServerError::files("lock", dir.path()))?;
    let (postgres, redis) = (dir.path().join("postgres"), dir.path().join("redis"));
    Ok(ScratchServers {
        postgres: PrivatePostgres::start(&postgres, options).await?,
        redis: PrivateRedis::start(&redis, RedisOptions::throwaway()).await?,
        dir,
        _lock: lock,
    })
}

/// The first place for temporary files that PostgreSQL's user may enter.
fn scratch_root() -> Result<PathBuf, ServerError> {
    let account = Account::for_postgres(Path::new("/nonexistent"))?;
    for root in [env::temp_dir(), PathBuf::from("/tmp")] {
        if account.may_enter(&root)? {
            return Ok(root);
        }
    }
    Ok(PathBuf::from("/var/tmp"))
}

/// Removes folders whose owner was killed: nobody holds their lock.
fn remove_abandoned(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join("lock")) else {
            continue;
        };
        let age = lock.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > SETTLED) && lock.try_lock().is_ok() {
            // It may be somebody else's, and then it is not ours to remove.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
