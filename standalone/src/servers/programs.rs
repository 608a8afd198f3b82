//! Where the servers' programs are installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ServerError;

/// Searched after `PATH`: a login shell's path often lacks the `sbin` folders.
const USUAL_FOLDERS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Folders that hold one folder per major version, with `bin` in it.
const POSTGRES_ROOTS: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/pgsql"];

/// One installed PostgreSQL server.
#[derive(Debug, Clone)]
pub(super) struct PostgresBinaries {
    /// Major version, such as `17`.
    pub(super) major: String,
    bin: PathBuf,
}

impl PostgresBinaries {
    /// Path of one of its programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Finds the PostgreSQL that made the cluster in `cluster`, or the newest one when there is no cluster yet.
    pub(super) fn find(cluster: &Path) -> Result<Self, ServerError> {
        let mut found = installed_postgres();
        found.sort_by_key(|one| one.major.parse::<u32>().unwrap_or(0));
        let made_by = fs::read_to_string(cluster.join("PG_VERSION")).map(|text| text.trim().to_owned());
        let Ok(made_by) = made_by else {
            return found
                .pop()
                .ok_or(ServerError::NotInstalled { program: "PostgreSQL", package: "postgresql" });
        };
        let installed: Vec<String> = found.iter().map(|one| one.major.clone()).collect();
        found.into_iter().find(|one| one.major == made_by).ok_or_else(|| ServerError::ForeignVersion {
            dir: cluster.to_owned(),
            made_by,
            installed: if installed.is_empty() { "none".to_owned() } else { installed.join(", ") },
        })
    }
}

fn installed_postgres() -> Vec<PostgresBinaries> {
    let mut folders: Vec<PathBuf> = POSTGRES_ROOTS
        .iter()
        .filter_map(|root| fs::read_dir(root).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.extend(
        find_program("pg_config").and_then(|program| printed(&program, "--bindir")).map(PathBuf::from),
    );
    folders.extend(
        find_program("initdb").and_then(|program| Some(fs::canonicalize(program).ok()?.parent()?.to_owned())),
    );
    folders.sort();
    folders.dedup();
    folders.into_iter().filter_map(postgres_in).collect()
}

/// The server in a folder: Debian's client packages make such a folder too, but without `initdb`.
fn postgres_in(bin: PathBuf) -> Option<PostgresBinaries> {
    if !bin.join("initdb").exists() {
        return None;
    }
    let version = printed(&bin.join("postgres"), "--version")?;
    let number =
        version.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    Some(PostgresBinaries { major, bin })
}

fn printed(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Finds the Redis server, or Valkey's in its place.
pub(super) fn find_redis() -> Result<PathBuf, ServerError> {
    find_program("redis-server")
        .or_else(|| find_program("valkey-server"))
        .ok_or(ServerError::NotInstalled { program: "Redis", package: "redis-server" })
}

/// Finds a program on `PATH` and in the usual folders.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(USUAL_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}
