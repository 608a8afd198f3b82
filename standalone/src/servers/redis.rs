//! A private Redis (or Valkey) server.

use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::ServerError;
use super::account::Account;
use super::home::Home;
use super::process::Process;
use super::programs::find_redis;

/// How long a server may take to be ready: it reads its whole log first.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// How long a server may take to end on request.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The same while a value is dropped, when somebody waits who cannot be told.
const DROP_LIMIT: Duration = Duration::from_secs(3);

/// How long one question at the door may take.
const PING_LIMIT: Duration = Duration::from_millis(500);

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The folder, inside the data's, in which Redis keeps its append-only log.
const AOF: &str = "appendonlydir";

/// Where a private Redis server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listen {
    /// On a socket in its home.
    #[default]
    Socket,
    /// On a free TCP port of the loopback address, the same one over restarts.
    Loopback,
}

/// How a private Redis server is set up.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where it listens.
    pub listen: Listen,
    /// Whether its log is brought to the disk every second; otherwise when the system pleases.
    pub fsync: bool,
    /// The memory that its data may take; no limit when absent.
    pub max_memory_bytes: Option<u64>,
    /// Whether the data goes away soon, so that dropping the server kills it instead of closing it down.
    pub throwaway: bool,
    /// Further settings, as name and value; they win over ours.
    pub settings: Vec<(String, String)>,
    /// Variables of its environment beside ours.
    pub environment: Vec<(String, String)>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            listen: Listen::Socket,
            fsync: true,
            max_memory_bytes: None,
            throwaway: false,
            settings: Vec::new(),
            environment: Vec::new(),
        }
    }
}

impl RedisOptions {
    /// For tests: no `fsync`, and no farewell.
    pub fn throwaway() -> Self {
        Self { fsync: false, throwaway: true, ..Self::default() }
    }
}

/// A copy of a server's append-only log, taken at some moment.
#[derive(Debug)]
pub struct AofSnapshot {
    dir: PathBuf,
}

/// A Redis server of our own, with its append-only log, that refuses writes rather than forget.
#[derive(Debug)]
pub struct PrivateRedis {
    process: Option<Process>,
    home: Home,
    program: PathBuf,
    port: Option<u16>,
    options: RedisOptions,
}

impl PrivateRedis {
    /// Starts the server whose home is `dir`, making that folder when it is missing.
    ///
    /// Returns when it answers, its data loaded.
    pub async fn start(dir: &Path, options: RedisOptions) -> Result<Self, ServerError> {
        let program = find_redis()?;
        let home = Home::take(dir, |_| Ok(Account::OURSELVES))?;
        let port = match options.listen {
            Listen::Socket => None,
            Listen::Loopback => Some(free_port()?),
        };
        let mut server = Self { process: None, home, program, port, options };
        server.launch().await?;
        Ok(server)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        match self.port {
            Some(port) => format!("redis://127.0.0.1:{port}"),
            None => format!("unix://{}", percent_encoded(&self.socket())),
        }
    }

    /// The process's id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Closes it down, its log on disk. What has not ended in 15 s is killed, and told as an error.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.close_down().await
    }

    /// Kills it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again with its data on the same address, closing it down first if it runs.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.close_down().await?;
        self.launch().await
    }

    /// Kills it and starts it again on the same address with nothing in it.
    pub async fn restart_empty(&mut self) -> Result<(), ServerError> {
        self.kill();
        remove_dir(&self.home.data())?;
        self.launch().await
    }

    /// Copies its log as it stands now, for [`restart_behind`](Self::restart_behind).
    pub fn snapshot_aof(&self) -> Result<AofSnapshot, ServerError> {
        let dir = self.home.join("aof-snapshot");
        remove_dir(&dir)?;
        // Frozen, or it could change from one file to the next in the middle of the copy.
        self.pause()?;
        let copied = copy_dir(&self.home.data().join(AOF), &dir);
        self.resume()?;
        copied.map(|()| AofSnapshot { dir })
    }

    /// Kills it and starts it again on the same address with the data of an earlier moment, as after a power cut
    /// that took the last second, or on a replica that lagged.
    pub async fn restart_behind(&mut self, snapshot: &AofSnapshot) -> Result<(), ServerError> {
        self.kill();
        let log = self.home.data().join(AOF);
        remove_dir(&log)?;
        copy_dir(&snapshot.dir, &log)?;
        self.launch().await
    }

    /// Freezes it: connections stay open, and nobody answers.
    pub fn pause(&self) -> Result<(), ServerError> {
        self.running()?.signal_all(Signal::SIGSTOP);
        Ok(())
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) -> Result<(), ServerError> {
        self.running()?.signal_all(Signal::SIGCONT);
        Ok(())
    }

    fn running(&self) -> Result<&Process, ServerError> {
        self.process.as_ref().ok_or(ServerError::NotRunning { server: "Redis" })
    }

    async fn close_down(&mut self) -> Result<(), ServerError> {
        match self.process.take() {
            Some(process) => process.stop(Signal::SIGTERM, STOP_LIMIT).await,
            None => Ok(()),
        }
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        self.home.account().make_private_dir(&self.home.data())?;
        self.home.make_run_dir()?;
        let process = Process::start("Redis", self.command()?, &self.home.log())?;
        self.home.note_pid(process.pid())?;
        self.process = Some(process);

        let deadline = Instant::now() + READY_LIMIT;
        while !matches!(tokio::time::timeout(PING_LIMIT, self.answers()).await, Ok(true)) {
            let process = self.process.as_mut().ok_or(ServerError::NotRunning { server: "Redis" })?;
            process.check_alive()?;
            if Instant::now() > deadline {
                return Err(process.timed_out("become ready", READY_LIMIT));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn command(&self) -> Result<Command, ServerError> {
        let at_owners_death = if self.options.throwaway { "KILL" } else { "TERM" };
        let mut command = if self.options.environment.is_empty() {
            self.home.account().command(&self.program, Some(at_owners_death))?
        } else {
            // For the server alone, not for what starts it under its account.
            let mut command = self.home.account().command("env", Some(at_owners_death))?;
            command.args(self.options.environment.iter().map(|(name, value)| format!("{name}={value}")));
            command.arg(&self.program);
            command
        };
        command.arg("--dir").arg(self.home.data());
        match self.port {
            Some(port) => command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]),
            None => {
                command.args(["--port", "0", "--unixsocketperm", "700", "--unixsocket"]).arg(self.socket())
            }
        };
        command.args(["--appendonly", "yes", "--appenddirname", AOF]);
        command.args(["--appendfsync", if self.options.fsync { "everysec" } else { "no" }]);
        command.args(["--save", "", "--maxmemory-policy", "noeviction"]);
        // Rewriting takes a processor for half a second; by default a busy on-sale would do it every few seconds.
        command.args(["--auto-aof-rewrite-min-size", "512mb"]);
        // Its arguments stay to be seen, by which a later owner knows it.
        command.args(["--set-proc-title", "no"]);
        if let Some(bytes) = self.options.max_memory_bytes {
            command.args(["--maxmemory", &bytes.to_string()]);
        }
        for (name, value) in &self.options.settings {
            command.args([&format!("--{name}"), value]);
        }
        Ok(command)
    }

    fn socket(&self) -> PathBuf {
        self.home.run().join("redis.sock")
    }

    async fn answers(&self) -> bool {
        match self.port {
            Some(port) => match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => pongs(stream).await,
                Err(_) => false,
            },
            None => match UnixStream::connect(self.socket()).await {
                Ok(stream) => pongs(stream).await,
                Err(_) => false,
            },
        }
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        match self.process.take() {
            Some(process) if self.options.throwaway => process.kill(),
            Some(process) => process.stop_now(Signal::SIGTERM, DROP_LIMIT),
            None => {}
        }
    }
}

/// While it loads its data it answers with an error.
async fn pongs(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && answer.as_slice() == b"+PONG"
}

fn free_port() -> Result<u16, ServerError> {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(ServerError::files("listen on", "127.0.0.1"))
}

fn remove_dir(dir: &Path) -> Result<(), ServerError> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(ServerError::files("remove", dir))?;
    }
    Ok(())
}

/// Copies a folder of plain files.
fn copy_dir(from: &Path, to: &Path) -> Result<(), ServerError> {
    fs::create_dir_all(to).map_err(ServerError::files("make", to))?;
    for entry in fs::read_dir(from).map_err(ServerError::files("read", from))? {
        let entry = entry.map_err(ServerError::files("read", from))?;
        fs::copy(entry.path(), to.join(entry.file_name()))
            .map_err(ServerError::files("copy", entry.path()))?;
    }
    Ok(())
}

/// A path for a URL.
pub(super) fn percent_encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.as_os_str()
        .as_bytes()
        .iter()
        .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
