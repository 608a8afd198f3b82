//! What can go wrong with a private server, told so that one knows what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a private server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A program that is needed is not on this machine.
    #[error("{program} is not installed: run `make run`, or as root `apt-get install {package}`")]
    NotInstalled {
        /// What was looked for.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The data was made by a PostgreSQL that is gone.
    #[error(
        "the data in {} was made by PostgreSQL {made_by}, and {installed} is installed: \
         install postgresql-{made_by}, or move that folder away to begin anew",
        dir.display()
    )]
    ForeignVersion {
        /// The cluster's folder.
        dir: PathBuf,
        /// Its major version.
        made_by: String,
        /// The major versions found.
        installed: String,
    },
    /// Root runs this, and the machine has no user to run PostgreSQL as.
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres`: as root `apt-get install postgresql`"
    )]
    NoAccount,
    /// The data belongs to someone else.
    #[error("{} belongs to user id {owner}: run as that user or as root, or move it away to begin anew", dir.display())]
    NotOurs {
        /// The folder.
        dir: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// The data lies where its owner may not go.
    #[error("{} holds data, but user id {uid}, whose data it is, may not enter that folder", dir.display())]
    NotEnterable {
        /// The folder.
        dir: PathBuf,
        /// The user it belongs to.
        uid: u32,
    },
    /// Another process that lives uses this folder.
    #[error("{} is in use by process {pid}: stop that one first, or give this one another folder", dir.display())]
    InUse {
        /// The home in question.
        dir: PathBuf,
        /// Who holds it, as far as its lock tells.
        pid: String,
    },
    /// A file or folder could not be used.
    #[error("cannot {doing} {}", path.display())]
    Files {
        /// The verb that goes before the path.
        doing: &'static str,
        /// What it was about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error("cannot run {program}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of what it printed.
        said: String,
    },
    /// A server ended before it was ready.
    #[error("{server} ended while starting ({status}); the end of {}: {said}", log.display())]
    Ended {
        /// Which one.
        server: &'static str,
        /// Its exit status.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The end of that log.
        said: String,
    },
    /// A server did not become ready, or did not end, in time.
    #[error("{server} did not {verb} within {limit:?}; the end of {}: {said}", log.display())]
    TimedOut {
        /// Which one.
        server: &'static str,
        /// What it was to do.
        verb: &'static str,
        /// How long it had.
        limit: Duration,
        /// Its log.
        log: PathBuf,
        /// The end of that log.
        said: String,
    },
    /// Something was asked of a server that does not run.
    #[error("{server} is not running")]
    NotRunning {
        /// Which one.
        server: &'static str,
    },
}

impl ServerError {
    /// Makes the closure that turns an [`io::Error`] about `path` into this error.
    pub(super) fn files(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { doing, path, source }
    }
}
