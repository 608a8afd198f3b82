//! Under whose name a server runs.
//!
//! Whoever is not root runs it as themselves. Root runs PostgreSQL as the owner of the data, or else as `postgres`.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{User, geteuid};

use super::ServerError;
use super::programs::find_program;

/// Who runs a server: ourselves, or another user when we are root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    /// Ourselves, whoever that is.
    pub(super) const OURSELVES: Self = Self { other: None };

    /// Who may run PostgreSQL on the data in `cluster`, which need not exist yet.
    pub(super) fn for_postgres(cluster: &Path) -> Result<Self, ServerError> {
        let ourselves = geteuid();
        let owner = fs::metadata(cluster).ok().map(|data| (data.uid(), data.gid()));
        match owner {
            Some((uid, _)) if uid == ourselves.as_raw() && !ourselves.is_root() => Ok(Self::OURSELVES),
            Some((owner, _)) if !ourselves.is_root() => {
                Err(ServerError::NotOurs { dir: cluster.to_owned(), owner })
            }
            Some((uid, gid)) if uid != 0 => Ok(Self { other: Some((uid, gid)) }),
            Some(_) | None if ourselves.is_root() => {
                let user = User::from_name("postgres").ok().flatten().ok_or(ServerError::NoAccount)?;
                Ok(Self { other: Some((user.uid.as_raw(), user.gid.as_raw())) })
            }
            Some(_) | None => Ok(Self::OURSELVES),
        }
    }

    /// The user's id.
    pub(super) fn uid(self) -> u32 {
        self.other.map_or_else(|| geteuid().as_raw(), |(uid, _)| uid)
    }

    /// Tells whether this account may go into `dir`, by trying.
    pub(super) fn may_enter(self, dir: &Path) -> Result<bool, ServerError> {
        if self.other.is_none() {
            return Ok(true);
        }
        let mut command = self.command("test", None)?;
        let status = command.arg("-x").arg(dir).stderr(Stdio::null()).status();
        status
            .map(|status| status.success())
            .map_err(|source| ServerError::Spawn { program: "test".into(), source })
    }

    /// Makes a folder that only this account (and root) may enter.
    pub(super) fn make_private_dir(self, dir: &Path) -> Result<(), ServerError> {
        fs::create_dir_all(dir).map_err(ServerError::files("make", dir))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .map_err(ServerError::files("protect", dir))?;
        match self.other {
            Some((uid, gid)) => {
                chown(dir, Some(uid), Some(gid)).map_err(ServerError::files("hand over", dir))
            }
            None => Ok(()),
        }
    }

    /// A command under this account, in a process group of its own, that receives `at_owners_death` (such as `INT`)
    /// when the thread that spawned it ends.
    pub(super) fn command(
        self,
        program: impl AsRef<OsStr>,
        at_owners_death: Option<&str>,
    ) -> Result<Command, ServerError> {
        let mut command = match find_program("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                if let Some((uid, gid)) = self.other {
                    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
                }
                if let Some(signal) = at_owners_death {
                    command.arg("--pdeathsig").arg(signal);
                }
                command.arg("--").arg(program);
                command
            }
            None if self.other.is_none() => Command::new(program),
            None => {
                return Err(ServerError::NotInstalled { program: "setpriv", package: "util-linux" });
            }
        };
        // A folder that the other user may enter: ours may be closed to them.
        command.current_dir("/").process_group(0).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a program under this account to its end, with `input` on its standard input.
    pub(super) fn run(self, program: &Path, arguments: &[&OsStr], input: &str) -> Result<(), ServerError> {
        let name = || program.display().to_string();
        let mut command = self.command(program, None)?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = command.spawn().and_then(|mut child| {
            // Dropped at the end of the statement, which closes it; a program that does not read is no error here.
            let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
            child.wait_with_output()
        });
        let output = spawned.map_err(|source| ServerError::Spawn { program: name(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(ServerError::Failed {
            program: name(),
            status: output.status.to_string(),
            said: tail(&String::from_utf8_lossy(&said)),
        })
    }
}

/// The last lines of a text, on one line.
pub(super) fn tail(text: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join(" | ")
}
