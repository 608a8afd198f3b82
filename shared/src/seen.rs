//! What goes wrong and what people do, counted in memory and written down every few seconds by each process, for the
//! administration panel. Counting costs a lock of some nanoseconds and never fails.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::store::{NewAudit, STATEMENT, Store, StoreError, in_time};
use crate::telemetry::chain;

/// How often what was counted is written down.
const FLUSH: Duration = Duration::from_secs(3);
/// Codes of one part at most; they come from closed lists, so there are fewer.
const CODES: usize = 256;
/// Lines for the audit log that wait at most; further ones are counted as lost.
const LINES: usize = 10_000;

/// A part of Usher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// HTTP and WebSocket.
    Gateway,
    /// Decides bookings, runs jobs.
    Worker,
    /// Releases what expired.
    Sweeper,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Sweeper => "sweeper",
        }
    }
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Somebody registered.
    Registration,
    /// Somebody logged in.
    Login,
    /// A request was given places.
    Booking,
    /// A request was refused.
    Refusal,
}

impl Activity {
    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Login => "login",
            Self::Booking => "booking",
            Self::Refusal => "refusal",
        }
    }
}

/// An error as it was counted.
#[derive(Debug, Clone)]
pub struct SeenError {
    /// Its code.
    pub code: &'static str,
    /// How often.
    pub count: u64,
    /// When last.
    pub last: Instant,
    /// The request of the last one.
    pub request_id: Option<String>,
}

impl SeenError {
    /// Milliseconds since it was last seen.
    pub fn age_ms(&self) -> i64 {
        i64::try_from(self.last.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        if other.last >= self.last {
            (self.last, self.request_id) = (other.last, other.request_id.or(self.request_id.take()));
        }
    }
}

#[derive(Default)]
struct Table {
    errors: HashMap<(Part, &'static str), SeenError>,
    activity: HashMap<Activity, u64>,
    lines: Vec<NewAudit>,
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

/// Counts an error; `code` is one of a closed list.
pub fn error(part: Part, code: &'static str, request_id: Option<&str>) {
    let request_id = request_id.map(str::to_owned);
    TABLE.lock().keep_error(part, SeenError { code, count: 1, last: Instant::now(), request_id });
}

/// Counts what people did.
pub fn activity(kind: Activity, count: u64) {
    if count > 0 {
        *TABLE.lock().activity.entry(kind).or_default() += count;
    }
}

/// Puts a line aside for the audit log: for what nobody should wait for, such as a refusal. It is written within
/// seconds; a process that is killed meanwhile has lost it.
pub fn audit(line: NewAudit) {
    let mut table = TABLE.lock();
    if table.lines.len() < LINES {
        table.lines.push(line);
    } else {
        metrics::counter!("usher_audit_lines_lost_total").increment(1);
    }
}

impl Table {
    fn keep_error(&mut self, part: Part, seen: SeenError) {
        let is_full = self.errors.len() >= CODES;
        match self.errors.get_mut(&(part, seen.code)) {
            Some(known) => known.add(seen),
            None if is_full => {}
            None => {
                self.errors.insert((part, seen.code), seen);
            }
        }
    }

    fn take_errors(&mut self, part: Part) -> Vec<SeenError> {
        self.errors.extract_if(|(of, _), _| *of == part).map(|(_, seen)| seen).collect()
    }
}

/// Writes down what this part counts, every few seconds until `shutdown` and once more then.
pub async fn keep_writing(part: Part, store: Store, shutdown: CancellationToken) {
    let process = format!("{}@{}", part.word(), host());
    loop {
        let is_last = shutdown.run_until_cancelled(tokio::time::sleep(FLUSH)).await.is_none();
        if let Err(error) = write(part, &process, &store).await {
            tracing::debug!(error = chain(&error), "what was counted is written down later");
        }
        if is_last {
            return;
        }
    }
}

/// What could not be written is put back.
async fn write(part: Part, process: &str, store: &Store) -> Result<(), StoreError> {
    let errors = TABLE.lock().take_errors(part);
    if !errors.is_empty()
        && let Err(error) = in_time(STATEMENT, store.add_errors(process, &errors)).await
    {
        let mut table = TABLE.lock();
        for seen in errors {
            table.keep_error(part, seen);
        }
        return Err(error);
    }
    let done: Vec<(Activity, u64)> = TABLE.lock().activity.drain().collect();
    if !done.is_empty()
        && let Err(error) = in_time(STATEMENT, store.add_activity(&done)).await
    {
        for (kind, count) in done {
            activity(kind, count);
        }
        return Err(error);
    }
    let lines = std::mem::take(&mut TABLE.lock().lines);
    if !lines.is_empty()
        && let Err(error) = in_time(STATEMENT, store.insert_audits(&lines)).await
    {
        for line in lines {
            audit(line);
        }
        return Err(error);
    }
    Ok(())
}

/// This machine's name; processes of one machine count together.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().take(64).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_added_up_by_code_and_bounded() {
        let mut table = Table::default();
        let seen = |code, request: Option<&str>| SeenError {
            code,
            count: 1,
            last: Instant::now(),
            request_id: request.map(str::to_owned),
        };
        table.keep_error(Part::Gateway, seen("internal", Some("a")));
        table.keep_error(Part::Gateway, seen("internal", Some("b")));
        table.keep_error(Part::Worker, seen("internal", None));
        let taken = table.take_errors(Part::Gateway);
        assert_eq!((taken.len(), taken[0].count, taken[0].request_id.as_deref()), (1, 2, Some("b")));
        assert_eq!(table.take_errors(Part::Gateway).len(), 0, "taken once");
        for code in 0..CODES * 2 {
            table.keep_error(Part::Worker, seen(Box::leak(code.to_string().into_boxed_str()), None));
        }
        assert_eq!(table.errors.len(), CODES);
    }
}
