//! A server's home: the folder with its data, log, lock and socket.
//!
//! ```text
//! home/
//!   usher.lock   held by the live owner, with its process id
//!   location     where the rest lies, when the server's account may not enter this folder
//!   data/        the server's data
//!   run/         the socket, open to the server's account only
//!   server.log   what it printed
//!   server.pid   the server's process id, to find one that outlived its owner
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::ServerError;
use super::account::Account;
use super::process::end_orphan;

/// Where data goes that cannot stay in the folder asked for.
const ELSEWHERE: &str = "/var/lib/usher";

/// Where a socket goes whose path would be too long in its home.
const SHORT: &str = "/tmp";

/// A socket's path may have 107 bytes; this leaves room for the longest file name in `run/`.
const LONGEST_RUN_DIR: usize = 85;

/// Bytes of log that a new owner keeps.
const LONGEST_LOG: u64 = 16 << 20;

/// How long a server that outlived its owner may take to end by itself.
const ORPHAN_LIMIT: Duration = Duration::from_secs(20);

/// The folder that a live server owns; dropping it gives the folder free.
#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    run: PathBuf,
    account: Account,
    /// Kept open: closing it gives up the lock.
    _locks: Vec<File>,
}

impl Home {
    /// Takes possession of `asked`, or of where its data was put by an earlier run.
    ///
    /// `account_for` tells who runs a server on a data folder, which need not exist yet.
    pub(super) fn take(
        asked: &Path,
        account_for: impl FnOnce(&Path) -> Result<Account, ServerError>,
    ) -> Result<Self, ServerError> {
        make_open_dir(asked)?;
        let asked = &fs::canonicalize(asked).map_err(ServerError::files("find", asked))?;
        let mut locks = vec![lock(asked)?];
        let (dir, account) = match told_location(asked) {
            Some(dir) => (dir.clone(), account_for(&dir.join("data"))?),
            None => choose_location(asked, account_for(&asked.join("data"))?)?,
        };
        if dir != *asked {
            make_open_dir(&dir)?;
            locks.push(lock(&dir)?);
        }
        let run = if dir.as_os_str().len() + "/run".len() > LONGEST_RUN_DIR {
            Path::new(SHORT).join(format!("usher-{:016x}", fingerprint(&dir)))
        } else {
            dir.join("run")
        };
        let home = Self { dir, run, account, _locks: locks };
        home.end_orphan();
        home.shorten_log()?;
        Ok(home)
    }

    /// The data's folder; it need not exist yet.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Another file or folder in this home.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The socket's folder.
    pub(super) fn run(&self) -> &Path {
        &self.run
    }

    /// The server's log.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Who runs the server.
    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// Makes an empty folder for the socket: what an earlier server left there would only mislead.
    pub(super) fn make_run_dir(&self) -> Result<(), ServerError> {
        // Refuses a folder that somebody else has put in our way in a place open to all.
        match fs::symlink_metadata(&self.run) {
            Ok(found) if ![self.account.uid(), nix::unistd::geteuid().as_raw()].contains(&found.uid()) => {
                return Err(ServerError::NotOurs { dir: self.run.clone(), owner: found.uid() });
            }
            Ok(_) => {
                fs::remove_dir_all(&self.run).map_err(ServerError::files("clear", &self.run))?;
            }
            Err(_) => {}
        }
        self.account.make_private_dir(&self.run)
    }

    /// Notes the server's process id for a later owner.
    pub(super) fn note_pid(&self, pid: u32) -> Result<(), ServerError> {
        let path = self.join("server.pid");
        fs::write(&path, pid.to_string()).map_err(ServerError::files("write", &path))
    }

    /// Begins a new log when the old one has grown long: nobody else turns it over.
    fn shorten_log(&self) -> Result<(), ServerError> {
        let log = self.log();
        if fs::metadata(&log).is_ok_and(|data| data.len() > LONGEST_LOG) {
            fs::remove_file(&log).map_err(ServerError::files("remove", &log))?;
        }
        Ok(())
    }

    /// Ends a server of this home whose owner is gone: it may still be closing down, or nobody told it.
    fn end_orphan(&self) {
        let noted =
            fs::read_to_string(self.join("server.pid")).ok().and_then(|text| text.trim().parse().ok());
        let Some(pid) = noted else { return };
        // The number may belong to somebody else by now: ours has its folder among its arguments or in its title.
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let title = String::from_utf8_lossy(&command_line);
        if [&self.dir, &self.run].iter().any(|dir| title.contains(&*dir.to_string_lossy())) {
            tracing::info!(pid, dir = %self.dir.display(), "stopping a server that an earlier run has left");
            end_orphan(pid, Signal::SIGINT, ORPHAN_LIMIT);
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A socket's folder of its own lies outside and would stay for ever.
        if !self.run.starts_with(&self.dir) {
            let _ = fs::remove_dir_all(&self.run);
        }
    }
}

/// Where an earlier run has put the data.
fn told_location(asked: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(asked.join("location")).ok()?;
    let dir = PathBuf::from(text.trim());
    dir.is_absolute().then_some(dir)
}

/// The folder asked for if the account may enter it, else one under [`ELSEWHERE`], noted for the next run.
fn choose_location(asked: &Path, account: Account) -> Result<(PathBuf, Account), ServerError> {
    if account.may_enter(asked)? {
        return Ok((asked.to_owned(), account));
    }
    if asked.join("data").exists() {
        return Err(ServerError::NotEnterable { dir: asked.to_owned(), uid: account.uid() });
    }
    let dir = Path::new(ELSEWHERE).join(format!("{:016x}", fingerprint(asked)));
    let note = asked.join("location");
    fs::write(&note, format!("{}\n", dir.display())).map_err(ServerError::files("write", &note))?;
    tracing::info!(dir = %dir.display(), "the data goes there: the server may not enter {}", asked.display());
    Ok((dir, account))
}

/// A folder that every user may enter, whatever the umask; what is private lies deeper and is closed itself.
fn make_open_dir(dir: &Path) -> Result<(), ServerError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_open_dir(parent)?;
    }
    fs::create_dir_all(dir).map_err(ServerError::files("make", dir))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(ServerError::files("open", dir))
}

fn lock(dir: &Path) -> Result<File, ServerError> {
    let path = dir.join("usher.lock");
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(ServerError::files("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(ServerError::InUse { dir: dir.to_owned(), pid: pid.trim().to_owned() });
        }
        Err(TryLockError::Error(source)) => {
            return Err(ServerError::Files { doing: "lock", path, source });
        }
    }
    let noted =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    noted.map_err(ServerError::files("write", &path))?;
    Ok(file)
}

/// FNV-1a: a path's short name, the same in every build.
fn fingerprint(path: &Path) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
