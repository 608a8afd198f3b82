//! A private PostgreSQL server.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ServerError;
use super::account::Account;
use super::home::Home;
use super::process::Process;
use super::programs::PostgresBinaries;

/// The server's superuser and the database that it is made with.
const NAME: &str = "usher";

/// How long a server may take to be ready: after a crash it replays its log first.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// How long a server may take to end on request.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The same while a value is dropped, when somebody waits who cannot be told.
const DROP_LIMIT: Duration = Duration::from_secs(5);

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How a private PostgreSQL server is set up.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Whether what was committed survives the machine's sudden end. Without it only the server's own end is survived.
    pub fsync: bool,
    /// How many connections it takes.
    pub max_connections: u32,
    /// Memory for its cache of pages, in megabytes.
    pub shared_buffers_mb: u32,
    /// Whether the data goes away soon, so that dropping the server kills it instead of closing it down.
    pub throwaway: bool,
    /// Whether replicas may follow it.
    pub replicated: bool,
    /// Further settings, as `name=value`; they win over ours.
    pub settings: Vec<String>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            fsync: true,
            max_connections: 200,
            shared_buffers_mb: 256,
            throwaway: false,
            replicated: false,
            settings: Vec::new(),
        }
    }
}

impl PostgresOptions {
    /// For tests: no `fsync`, and no farewell.
    pub fn throwaway() -> Self {
        Self { fsync: false, shared_buffers_mb: 128, throwaway: true, ..Self::default() }
    }
}

/// A PostgreSQL server of our own, on a Unix socket, with a superuser and a database `usher`.
#[derive(Debug)]
pub struct PrivatePostgres {
    process: Option<Process>,
    home: Home,
    binaries: PostgresBinaries,
    options: PostgresOptions,
}

impl PrivatePostgres {
    /// Starts the server whose home is `dir`, making folder, cluster and database when they are missing.
    ///
    /// Returns when it takes connections. Root runs it as the data's owner or as `postgres`; data that this user
    /// could not reach in `dir` lies under `/var/lib/usher`, and `dir/location` tells where.
    pub async fn start(dir: &Path, options: PostgresOptions) -> Result<Self, ServerError> {
        let home = Home::take(dir, Account::for_postgres)?;
        let binaries = PostgresBinaries::find(&home.data())?;
        if !home.data().exists() {
            make_cluster(&home, &binaries, options.fsync)?;
        }
        let mut server = Self { process: None, home, binaries, options };
        server.launch().await?;
        Ok(server)
    }

    /// Starts a streaming replica of this server, which must permit it, in a home of its own.
    ///
    /// Returns when it takes connections, which may read only. It goes on following as this one is restarted.
    pub async fn start_replica(&self, dir: &Path) -> Result<Self, ServerError> {
        let home = Home::take(dir, Account::for_postgres)?;
        let binaries = PostgresBinaries::find(&self.home.data())?;
        if !home.data().exists() {
            copy_cluster(&home, &binaries, self.home.run())?;
        }
        let mut replica = Self { process: None, home, binaries, options: self.options.clone() };
        replica.launch().await?;
        Ok(replica)
    }

    /// The URL of the database `usher`.
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// The URL of another database on this server.
    pub fn url_of(&self, database: &str) -> String {
        let socket_dir = super::redis::percent_encoded(self.home.run());
        format!("postgres://{NAME}@localhost/{database}?host={socket_dir}")
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.home.run().join(".s.PGSQL.5432")
    }

    /// The first process's id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Closes it down: connections are cut, what was committed is on disk. What has not ended in 30 s is killed,
    /// and told as an error.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        match self.process.take() {
            Some(process) => process.stop(Signal::SIGINT, STOP_LIMIT).await,
            None => Ok(()),
        }
    }

    /// Kills all its processes at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again with its data on the same address, closing it down first if it runs.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        if let Some(process) = self.process.take() {
            process.stop(Signal::SIGINT, STOP_LIMIT).await?;
        }
        self.launch().await
    }

    /// Freezes all its processes: connections stay open, and nobody answers.
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
        self.process.as_ref().ok_or(ServerError::NotRunning { server: "PostgreSQL" })
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        // Its process is dead, for we hold the lock and have ended what an earlier owner left; the number in it may
        // have become another process's, which the server would respect.
        let pid_file = self.home.data().join("postmaster.pid");
        if pid_file.exists() {
            fs::remove_file(&pid_file).map_err(ServerError::files("remove", &pid_file))?;
        }
        self.home.make_run_dir()?;
        let process = Process::start("PostgreSQL", self.command()?, &self.home.log())?;
        self.home.note_pid(process.pid())?;
        let process = self.process.insert(process);

        let deadline = Instant::now() + READY_LIMIT;
        while !is_ready(&pid_file) {
            process.check_alive()?;
            if Instant::now() > deadline {
                return Err(process.timed_out("become ready", READY_LIMIT));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn command(&self) -> Result<Command, ServerError> {
        let at_owners_death = if self.options.throwaway { "KILL" } else { "INT" };
        let mut command =
            self.home.account().command(self.binaries.program("postgres"), Some(at_owners_death))?;
        command.arg("-D").arg(self.home.data());
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        Ok(command)
    }

    fn settings(&self) -> Vec<String> {
        let PostgresOptions { fsync, max_connections, shared_buffers_mb, replicated, settings, .. } =
            &self.options;
        let mut all = vec![
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", self.home.run().display()),
            "unix_socket_permissions=0700".to_owned(),
            format!("max_connections={max_connections}"),
            format!("shared_buffers={shared_buffers_mb}MB"),
            "max_wal_size=2GB".to_owned(),
            "checkpoint_timeout=15min".to_owned(),
            "wal_buffers=16MB".to_owned(),
            "synchronous_commit=on".to_owned(),
            // Compiling a statement costs more than any of ours takes.
            "jit=off".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            "log_checkpoints=off".to_owned(),
        ];
        all.extend(if *replicated {
            ["wal_level=replica", "max_wal_senders=4"].map(str::to_owned)
        } else {
            // No replica and no archive: the log is for crashes only.
            ["wal_level=minimal", "max_wal_senders=0"].map(str::to_owned)
        });
        if !fsync {
            all.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        all.extend(settings.iter().cloned());
        all
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        match self.process.take() {
            // Without a checkpoint. Killed, it would leave a segment of shared memory behind, of which a system has 4,096.
            Some(process) if self.options.throwaway => process.stop_now(Signal::SIGQUIT, DROP_LIMIT),
            Some(process) => process.stop_now(Signal::SIGINT, DROP_LIMIT),
            None => {}
        }
    }
}

/// Makes cluster and database aside and puts them in place when they are whole, so that an interruption leaves
/// nothing half made.
fn make_cluster(home: &Home, binaries: &PostgresBinaries, fsync: bool) -> Result<(), ServerError> {
    tracing::info!(version = binaries.major, "making a PostgreSQL cluster in {}", home.data().display());
    let new = home.join("data.new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(ServerError::files("clear", &new))?;
    }
    home.account().make_private_dir(&new)?;
    let sync = if fsync { "--data-checksums" } else { "--no-sync" };
    let fixed = ["-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", sync, "-D"].map(OsStr::new);
    home.account().run(&binaries.program("initdb"), &[&fixed[..], &[new.as_os_str()]].concat(), "")?;
    let single = ["--single", "-F", "-D"].map(OsStr::new);
    let arguments = [&single[..], &[new.as_os_str(), OsStr::new("postgres")]].concat();
    home.account().run(&binaries.program("postgres"), &arguments, &format!("create database {NAME}\n"))?;
    fs::rename(&new, home.data()).map_err(ServerError::files("move into place", &new))
}

/// Copies a running server's cluster, with the note that it is to be followed, and puts it in place when it is whole.
fn copy_cluster(home: &Home, binaries: &PostgresBinaries, socket_dir: &Path) -> Result<(), ServerError> {
    let new = home.join("data.new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(ServerError::files("clear", &new))?;
    }
    home.account().make_private_dir(&new)?;
    let fixed = ["-U", NAME, "-X", "stream", "-c", "fast", "--write-recovery-conf", "--no-sync", "-h"];
    let arguments =
        [&fixed.map(OsStr::new)[..], &[socket_dir.as_os_str(), OsStr::new("-D"), new.as_os_str()]];
    home.account().run(&binaries.program("pg_basebackup"), &arguments.concat(), "")?;
    fs::rename(&new, home.data()).map_err(ServerError::files("move into place", &new))
}

/// The server itself says so, on the eighth line of its own file; a replica that can be read says `standby`.
fn is_ready(pid_file: &Path) -> bool {
    fs::read_to_string(pid_file)
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| ["ready", "standby"].contains(&line.trim())))
}
