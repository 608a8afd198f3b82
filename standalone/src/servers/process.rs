//! A server's processes, and their end.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ServerError;
use super::account::tail;

/// How often we look whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long killed processes may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A server that runs: its first process and whatever that has started.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with its output appended to `log`.
    pub(super) fn start(name: &'static str, mut command: Command, log: &Path) -> Result<Self, ServerError> {
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let output = open()
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(ServerError::files("write to", log))?;
        command.stdout(Stdio::from(output.0)).stderr(Stdio::from(output.1));
        let child =
            spawn(command).map_err(|source| ServerError::Spawn { program: name.to_owned(), source })?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended already.
    pub(super) fn check_alive(&mut self) -> Result<(), ServerError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(source) => Err(ServerError::Spawn { program: self.name.to_owned(), source }),
        }
    }

    fn ended(&self, status: ExitStatus) -> ServerError {
        ServerError::Ended {
            server: self.name,
            status: status.to_string(),
            log: self.log.clone(),
            said: log_tail(&self.log),
        }
    }

    /// The error that says it did not do `verb` in time.
    pub(super) fn timed_out(&self, verb: &'static str, limit: Duration) -> ServerError {
        ServerError::TimedOut {
            server: self.name,
            verb,
            limit,
            log: self.log.clone(),
            said: log_tail(&self.log),
        }
    }

    /// Sends a signal to all its processes, the first one before its children.
    pub(super) fn signal_all(&self, signal: Signal) {
        let first = self.child.id();
        // Before we look: one that is frozen starts no further children.
        send(first, signal);
        for pid in family(first).into_iter().skip(1) {
            send(pid, signal);
        }
    }

    /// Asks it to end and waits up to `limit`; what is left then is killed, and told as an error.
    pub(super) async fn stop(mut self, signal: Signal, limit: Duration) -> Result<(), ServerError> {
        self.signal_all(Signal::SIGCONT);
        send(self.child.id(), signal);
        let deadline = Instant::now() + limit;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let error = self.timed_out("stop", limit);
                self.kill();
                return Err(error);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The same while dropping, without an executor.
    pub(super) fn stop_now(mut self, signal: Signal, limit: Duration) {
        self.signal_all(Signal::SIGCONT);
        send(self.child.id(), signal);
        let deadline = Instant::now() + limit;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                return self.kill();
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Kills all its processes at once and returns when they are gone.
    pub(super) fn kill(mut self) {
        // Frozen first, or it could start another child between our look and the blow.
        send(self.child.id(), Signal::SIGSTOP);
        let family = family(self.child.id());
        for pid in &family {
            send(*pid, Signal::SIGKILL);
        }
        if let Err(error) = self.child.wait() {
            tracing::warn!(server = self.name, %error, "cannot wait for a killed server");
        }
        wait_until_gone(&family, KILL_LIMIT);
    }
}

/// Ends a server that an earlier owner left behind, gently at first.
pub(super) fn end_orphan(pid: u32, gentle: Signal, limit: Duration) {
    let all = family(pid);
    for pid in &all {
        send(*pid, Signal::SIGCONT);
    }
    send(pid, gentle);
    if !wait_until_gone(&[pid], limit) {
        for pid in family(pid) {
            send(pid, Signal::SIGKILL);
        }
    }
    wait_until_gone(&all, KILL_LIMIT);
}

/// Spawns from a thread that lives as long as this process: the kernel tells a child that its parent is dead when
/// the *thread* that spawned it ends, and threads of an executor come and go.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::SyncSender<io::Result<Child>>);
    static SPAWNER: LazyLock<Option<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        let spawner = thread::Builder::new().name("server-spawner".into()).spawn(move || {
            for (mut command, reply) in inbox {
                // Whoever asked waits for it; a failed send means that they are gone, and the child is dropped.
                let _ = reply.send(command.spawn());
            }
        });
        spawner.is_ok().then_some(orders)
    });
    let gone = || io::Error::other("the thread that starts servers is gone");
    let (reply, answer) = mpsc::sync_channel(1);
    let orders = SPAWNER.as_ref().ok_or_else(gone)?;
    orders.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// A process and its descendants, parents first.
fn family(first: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.1)))
        .collect();
    let mut found = vec![first];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// State and parent of a process, if there is one.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, so count from the last of them.
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// Waits until none of these processes runs any more: a dead one that nobody has waited for counts as gone.
fn wait_until_gone(pids: &[u32], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let runs = |pid: &u32| stat(*pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'));
    while pids.iter().any(runs) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
    true
}

/// Sends a signal; a process that is gone already is as good.
fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn log_tail(log: &Path) -> String {
    fs::read(log).map_or_else(|_| "(no log)".to_owned(), |bytes| tail(&String::from_utf8_lossy(&bytes)))
}
