//! A part of Usher as a process of its own, to be killed.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Killed when dropped.
pub(crate) struct UsherProcess {
    child: Child,
}

/// A port of this machine that nobody listens on yet.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl UsherProcess {
    /// Starts a part with these settings.
    pub(crate) fn spawn(words: &[String], part: &str) -> Result<Self, Box<dyn std::error::Error>> {
        Self::spawn_logging(words, part, Stdio::inherit())
    }

    /// The same, logging there.
    pub(crate) fn spawn_logging(
        words: &[String],
        part: &str,
        logs: Stdio,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let child = Command::new(env!("CARGO_BIN_EXE_usher"))
            .args(words)
            .args(["run", "--only", part])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(logs)
            .env("RUST_LOG", "error")
            .spawn()?;
        Ok(Self { child })
    }

    /// Starts one of the programs that are a single part, with these settings as its environment.
    pub(crate) fn spawn_program(name: &str, words: &[String]) -> Result<Self, Box<dyn std::error::Error>> {
        let program = Path::new(env!("CARGO_BIN_EXE_usher")).with_file_name(name);
        let settings = words.iter().filter_map(|word| word.strip_prefix("--")?.split_once('='));
        let child = Command::new(&program)
            .envs(settings.map(|(setting, value)| (setting.replace('-', "_").to_uppercase(), value)))
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("{} (`cargo build --workspace --bins` makes it): {error}", program.display())
            })?;
        Ok(Self { child })
    }

    /// Starts all parts with these settings, and everything that can be logged into a file.
    pub(crate) fn spawn_whole(
        words: &[String],
        log: &std::path::Path,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let file = std::fs::File::create(log)?;
        let child = Command::new(env!("CARGO_BIN_EXE_usher"))
            .args(words)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .env("RUST_LOG", "trace")
            .spawn()?;
        Ok(Self { child })
    }

    /// Starts the program as `make run` does: all parts, on private servers in this folder. What it tells and logs goes
    /// into a file.
    pub(crate) fn spawn_private(data_dir: &Path, told: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let file = std::fs::File::create(told)?;
        let child = Command::new(env!("CARGO_BIN_EXE_usher"))
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--listen=127.0.0.1:0", "--sandbox-listen=127.0.0.1:0", "--web-dir=../web/dist"])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // As a shell starts it, whose Ctrl-C goes to the whole group.
            .process_group(0)
            // Whatever the shell is set to, no URL is given.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_LOG", "warn")
            .spawn()?;
        Ok(Self { child })
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGKILL: nothing is finished, nothing is given back.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }
}

impl Drop for UsherProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
