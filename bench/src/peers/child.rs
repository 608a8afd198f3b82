//! Peers as programs of their own, and what they say.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::figures::Quantity;
use crate::lab::Lab;
use crate::report::thousands;

/// After how many seconds a peer gives up one measure.
const LIMIT_S: u64 = 240;
/// How much later it is killed, if it has not.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of its complaints that are repeated.
const COMPLAINTS: usize = 3;

/// What a peer said when it was asked for a measure, or why it said nothing.
pub(super) type Answer = Result<Vec<Said>, String>;

/// One result of a peer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    /// Who says it; without a queue it is PostgreSQL.
    peer: String,
    version: String,
    measure: String,
    per_second: Option<f64>,
    seconds: Option<f64>,
    bytes_per_job: Option<f64>,
    /// How long a job stays locked, in ms, where that matters.
    pub(super) lock_duration: Option<u64>,
    concurrency: Option<u64>,
    retries: Option<u64>,
    least: Option<f64>,
    most: Option<f64>,
}

impl Said {
    /// The result as it is compared.
    pub(super) fn quantity(&self) -> Option<Quantity> {
        let bytes = self.bytes_per_job.map(Quantity::Bytes);
        let pace = || self.per_second.map(Quantity::PerSecond);
        // Paces tell the seconds too that they took.
        let time = || self.seconds.map(|seconds| Quantity::Ms(seconds * 1_000.0));
        bytes.or_else(pace).or_else(time)
    }

    /// What else it says.
    pub(super) fn note(&self) -> String {
        let concurrency = self.concurrency.map(|best| format!("best with a concurrency of {best}"));
        let retries = self.retries.map(|times| format!("{} times begun anew", thousands(times)));
        let span = self.least.zip(self.most).map(|(least, most)| format!("{least:.1} to {most:.1} s"));
        [concurrency, retries, span].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Reads what a peer has printed: a result a line.
    pub(super) fn read(output: &str, measure: &str) -> Result<Vec<Self>> {
        let lines = output.lines().filter(|line| !line.trim().is_empty());
        let said: Vec<Self> = lines
            .map(|line| serde_json::from_str(line).with_context(|| format!("cannot read {line:?}")))
            .collect::<Result<_>>()?;
        if said.is_empty() || said.iter().any(|said| said.measure != measure) {
            bail!("said nothing of \"{measure}\"");
        }
        Ok(said)
    }
}

/// Where the lab's stores are, as peers are told.
#[derive(Debug)]
pub(super) struct Stores(Vec<OsString>);

impl Stores {
    /// The stores of a lab.
    pub(super) fn of(lab: &Lab) -> Result<Self> {
        let redis = lab.queue.config().url()?;
        let redis = reqwest::Url::parse(redis.expose_secret()).context("read Redis' address")?;
        let redis = redis.to_file_path().map_err(|()| anyhow!("Redis has no socket"))?;
        let postgres = lab.pool.connect_options();
        let socket = postgres.get_socket().context("PostgreSQL has no socket")?;
        let database = postgres.get_database().context("PostgreSQL's address names no database")?;
        let port = postgres.get_port().to_string();
        let mut arguments: Vec<OsString> =
            vec!["--redis".into(), redis.into(), "--database".into(), socket.into()];
        arguments.extend(
            ["--port", &port, "--user", postgres.get_username(), "--name", database].map(OsString::from),
        );
        Ok(Self(arguments))
    }
}

/// A peer, and what it has said so far.
#[derive(Debug)]
pub(super) struct Peer {
    /// What it is called.
    pub(super) name: &'static str,
    program: PathBuf,
    script: Option<PathBuf>,
    answers: HashMap<&'static str, Answer>,
}

impl Peer {
    /// The one in Node.
    pub(super) fn in_node(dir: &Path) -> Result<Self> {
        let script = dir.join("peer.mjs");
        if !script.is_file() {
            bail!("{} is missing: name the folder of the peer in Node with --node-peer", script.display());
        }
        if !dir.join("node_modules").join("bullmq").is_dir() {
            bail!("the peer in Node is not installed: `npm ci` in {}", dir.display());
        }
        Ok(Self::new("BullMQ", "node".into(), Some(script)))
    }

    /// The one in Rust, where it is built.
    pub(super) fn in_rust(program: &Path) -> Option<Self> {
        program.is_file().then(|| Self::new("the Rust port", program.to_owned(), None))
    }

    fn new(name: &'static str, program: PathBuf, script: Option<PathBuf>) -> Self {
        Self { name, program, script, answers: HashMap::new() }
    }

    /// Its version, once it has said something.
    pub(super) fn version(&self) -> Option<&str> {
        let mut all = self.answers.values().flatten().flatten();
        all.find(|said| said.peer.starts_with("bullmq")).map(|said| said.version.as_str())
    }

    /// What it has said already to this measure.
    pub(super) fn answer(&self, measure: &str) -> Option<&Answer> {
        self.answers.get(measure)
    }

    /// Runs it for a measure, and remembers what it says; what goes wrong is an answer too.
    pub(super) async fn ask(&mut self, measure: &'static str, stores: &Stores) {
        let answer = self.run(measure, stores).await.map_err(|error| format!("{error:#}"));
        self.answers.insert(measure, answer);
    }

    async fn run(&self, measure: &str, stores: &Stores) -> Result<Vec<Said>> {
        let mut command = Command::new(&self.program);
        command.args(&self.script).args(&stores.0);
        command.args(["--measure", measure, "--limit", &LIMIT_S.to_string()]);
        // Settings of the shell shall not leak into what is measured.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(Duration::from_secs(LIMIT_S) + GRACE, command.output())
            .await
            .map_err(|_| anyhow!("killed after {LIMIT_S} s and more"))?
            .with_context(|| format!("start {}", self.program.display()))?;
        if !output.status.success() {
            bail!("{}: {}", output.status, complaints(&output.stderr));
        }
        Said::read(&String::from_utf8_lossy(&output.stdout), measure)
    }
}

/// Its first words, in one line: what follows is where in its code it happened.
fn complaints(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(COMPLAINTS).collect::<Vec<_>>().join(" | ")
}
