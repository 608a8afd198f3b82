//! A server as a process of its own, so that the load and what is under it are told apart.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::target::Target;

/// How long it may take to be ready.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How long it may take to end when it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is started.
#[derive(Debug)]
pub struct Program {
    /// Its name, for errors.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Its arguments, to which the address is added where it does not read `LISTEN`.
    pub arguments: Vec<String>,
    /// Its environment, to which `LISTEN` is added.
    pub variables: Vec<(String, String)>,
    /// The path that answers with success once it serves.
    pub ready: &'static str,
}

/// A server that runs; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub target: Target,
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a program in a folder of its own and waits until it serves.
    ///
    /// To be called on the main thread: where there is `setpriv`, the kernel ends the program with the thread
    /// that started it.
    pub async fn start(program: Program, dir: &Path) -> Result<Self> {
        let address = free_address()?;
        let log = dir.join("log");
        let output = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let mut command = command(&program, address);
        command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log")?)
            .stderr(output);
        let child = command.spawn().with_context(|| format!("start {}", program.path.display()))?;
        let target = Target { address, host: address.to_string() };
        let mut server = Self { target, name: program.name, child, log };
        server.wait_until_ready(program.ready).await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self, path: &str) -> Result<()> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
        let url = format!("{}{path}", self.target.url());
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended while starting ({status}):\n  {}", self.name, super::start::tail(&self.log));
            }
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                _ if Instant::now() > deadline => {
                    let said = super::start::tail(&self.log);
                    bail!("{} was not ready within {READY_LIMIT:?}:\n  {said}", self.name);
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged last.
    pub fn said(&self) -> String {
        super::start::tail(&self.log)
    }

    /// Asks it to end, and waits; what has not ended in half a minute is killed, and told as an error.
    pub async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).context("ask a server to end")?;
        let deadline = Instant::now() + STOP_LIMIT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("{} did not end within {STOP_LIMIT:?}:\n  {}", self.name, self.said());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &Program, address: SocketAddr) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|dir| dir.join("setpriv").is_file());
    let mut command = if is_there {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&program.path);
        command
    } else {
        Command::new(&program.path)
    };
    command.args(&program.arguments);
    if program.variables.is_empty() {
        command.args(["--listen", &address.to_string()]);
    }
    // Settings of the shell shall not leak into what is measured.
    command.env_clear().env("PATH", path).env("LISTEN", address.to_string());
    command.envs(program.variables.iter().map(|(name, value)| (name, value)));
    command
}

fn free_address() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).context("find a free port")
}
