//! A process whose workers take a job and keep it until they are killed.

use std::collections::HashMap;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use bullmq::types::RemoveOnFinish;
use bullmq::worker::CancellationToken;
use bullmq::{Job, Worker, WorkerOptions};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::settings::connection;

/// The options of both the worker that is killed and the one that goes on; checks come as often as locks run out.
pub(crate) fn options(redis: &str, lock_ms: u64) -> WorkerOptions {
    WorkerOptions {
        connection: connection(redis),
        lock_duration: lock_ms,
        stalled_interval: lock_ms,
        remove_on_complete: Some(RemoveOnFinish::Count(0)),
        ..WorkerOptions::default()
    }
}

/// What that process does: reads the names of queues, prints queue and id of each job that it has taken. It ends with
/// its input, so that it does not outlive the one that started it.
pub(crate) async fn hold(redis: &str, lock_ms: u64) -> Result<()> {
    let mut queues = BufReader::new(tokio::io::stdin()).lines();
    let mut workers = Vec::new();
    while let Some(queue) = queues.next_line().await? {
        let name = queue.clone();
        let keep = move |job: Job, _token: CancellationToken| keep(name.clone(), job);
        workers.push(Worker::with_options(&queue, keep, options(redis, lock_ms)).await?);
    }
    Ok(())
}

async fn keep(queue: String, job: Job) -> bullmq::Result<Value> {
    println!("{queue} {}", job.id());
    std::future::pending().await
}

/// That process, from outside.
pub(crate) struct Holder {
    child: Child,
    input: Mutex<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Starts it.
    pub(crate) fn start(redis: &str, lock_ms: u64) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut command = Command::new(program);
        command.args(["--redis", redis, "--hold", &lock_ms.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("start a worker process")?;
        let input = child.stdin.take().context("a process without input")?;
        let output = child.stdout.take().context("a process without output")?;
        Ok(Self { child, input: Mutex::new(input), output: BufReader::new(output).lines() })
    }

    /// Has it open a worker on a queue.
    pub(crate) async fn open(&self, queue: &str) -> Result<()> {
        let line = format!("{queue}\n");
        self.input.lock().await.write_all(line.as_bytes()).await.context("tell the worker process")
    }

    /// Waits until it has a job of so many queues; returns their ids by queue.
    pub(crate) async fn jobs(&mut self, queues: usize) -> Result<HashMap<String, String>> {
        let mut held = HashMap::new();
        while held.len() < queues {
            let line = self.output.next_line().await?.context("the worker process ended")?;
            let (queue, id) = line.split_once(' ').context("the worker process said something else")?;
            held.insert(queue.to_owned(), id.to_owned());
        }
        Ok(held)
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.start_kill().context("kill the worker process")
    }
}
