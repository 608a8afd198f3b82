//! Sends what stands in the outbox: at least once, each event's facts in order.
//!
//! A round leases some events in PostgreSQL, so that each is sent by one relay at a time, sends their oldest unsent facts
//! without a transaction around it, and notes how far it came. A relay that dies is followed by another when its leases
//! run out. One that only slept and sends late tells facts once more, but never one before those that precede it.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::{Appended, Envelope, Group, Sink, StreamError};
use crate::domain::EventId;
use crate::store::{OutboxDepth, Rewound, STATEMENT, Store, Unsent, in_time};

/// Events in a round, and so the memory that it takes: half a megabyte each.
const EVENTS: i64 = 16;

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Facts that were sent.
    pub sent: usize,
    /// Events whose facts must wait: a group is too far behind, or the broker has begun anew.
    pub held_up: usize,
}

/// A relay; any number may run.
pub struct Relay {
    store: Store,
    sink: Arc<dyn Sink>,
    name: String,
    /// The runs that topics were in when this relay last looked. One that is outdated is refused by the broker.
    runs: Mutex<HashMap<String, String>>,
}

/// How far the facts of an event were sent.
struct Progress {
    event: EventId,
    /// The last number that was sent; `None` for none.
    upto: Option<i64>,
    sent: usize,
    end: Result<Appended, StreamError>,
    /// Of which topic the first unsent row is.
    topic: String,
}

impl Relay {
    /// A relay with a name that nobody else has.
    pub fn new(store: Store, sink: Arc<dyn Sink>, name: String) -> Self {
        Self { store, sink, name, runs: Mutex::default() }
    }

    /// Sends the oldest unsent facts of some events.
    ///
    /// # Errors
    /// PostgreSQL or the broker is away; what was sent before is noted, if it can be.
    pub async fn run_once(&self) -> Result<Relayed, StreamError> {
        let unsent = in_time(STATEMENT, self.store.lease_unsent(&self.name, EVENTS)).await?;
        if unsent.is_empty() {
            return Ok(Relayed::default());
        }
        let sending = unsent.into_iter().map(|one| self.send(one));
        let progress = join_all(sending).await;
        let sent: Vec<(EventId, i64)> =
            progress.iter().map(|one| (one.event, one.upto.unwrap_or(0))).collect();
        in_time(STATEMENT, self.store.note_sent(&self.name, &sent)).await?;
        let mut relayed = Relayed::default();
        let mut begun_anew = HashMap::new();
        for one in progress {
            relayed.sent += one.sent;
            match one.end {
                Ok(Appended::Done) => {}
                Ok(Appended::Behind) => relayed.held_up += 1,
                Ok(Appended::Anew(run)) => {
                    relayed.held_up += 1;
                    begun_anew.insert(one.topic, run);
                }
                Err(error) => return Err(error),
            }
        }
        if !begun_anew.is_empty() {
            self.begin_anew(begun_anew).await?;
        }
        Ok(relayed)
    }

    /// Ends its leases, so that others need not wait for them.
    pub async fn resign(&self) {
        if let Err(error) = in_time(STATEMENT, self.store.release_unsent(&self.name)).await {
            tracing::debug!(
                error = crate::telemetry::chain(&error),
                "leases of the relay run out by themselves"
            );
        }
    }

    /// How far it is behind.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn depth(&self) -> Result<OutboxDepth, StreamError> {
        Ok(in_time(STATEMENT, self.store.outbox_depth()).await?)
    }

    /// Row after row: a topic that is held up holds up what the event told after it, so that nothing is sent again and
    /// again while it waits.
    async fn send(&self, unsent: Unsent) -> Progress {
        let event = unsent.event;
        let mut progress =
            Progress { event, upto: None, sent: 0, end: Ok(Appended::Done), topic: String::new() };
        for row in unsent.rows {
            let Some(facts) = Envelope::of_row(event, &row) else {
                tracing::error!(event.id = event.0, seq = row.seq, "a row of the outbox is no list of facts");
                progress.upto = Some(row.seq);
                continue;
            };
            let run = self.runs.lock().get(&row.topic).cloned().unwrap_or_default();
            match self.sink.append(&row.topic, &run, &facts).await {
                Ok(Appended::Done) => {
                    let topic = row.topic;
                    metrics::counter!("usher_stream_sent_total", "topic" => topic)
                        .increment(facts.len() as u64);
                    progress.sent += facts.len();
                    progress.upto = facts.last().map(|fact| fact.seq).or(progress.upto);
                }
                end @ (Ok(Appended::Anew(_) | Appended::Behind) | Err(_)) => {
                    return Progress { end, topic: row.topic, ..progress };
                }
            }
        }
        progress
    }

    /// The broker is in another run than some topics were sent to, as far as this relay knows. If nobody has seen to it
    /// yet, what was lost counts as not sent. All topics are looked at then, as one server has most of them.
    async fn begin_anew(&self, mut found: HashMap<String, String>) -> Result<(), StreamError> {
        let known = in_time(STATEMENT, self.store.topic_runs()).await?;
        let known: HashMap<String, String> = known.into_iter().collect();
        let is_outdated = {
            let mut runs = self.runs.lock();
            let is_outdated = found.keys().any(|topic| runs.get(topic) != known.get(topic));
            runs.clone_from(&known);
            is_outdated
        };
        if is_outdated {
            return Ok(());
        }
        for (topic, run) in &known {
            if !found.contains_key(topic)
                && let Appended::Anew(now) = self.sink.append(topic, run, &[]).await?
            {
                found.insert(topic.clone(), now);
            }
        }
        let mut rewound: Vec<Rewound> = found
            .into_iter()
            .map(|(topic, run)| Rewound {
                seen: known.get(&topic).cloned().unwrap_or_default(),
                run: format!("{run}.{:016x}", rand::random::<u64>()),
                topic,
            })
            .collect();
        // In one order everywhere, as each locks a row.
        rewound.sort_by(|one, other| one.topic.cmp(&other.topic));
        if !in_time(STATEMENT, self.store.rewind_topics(&rewound, &Group::pairs())).await? {
            return Ok(());
        }
        for one in &rewound {
            self.sink.begin(&one.topic, &one.run).await?;
            self.runs.lock().insert(one.topic.clone(), one.run.clone());
            if !one.seen.is_empty() {
                tracing::warn!(
                    topic = one.topic,
                    "the broker has begun anew; what no group has handled is sent again"
                );
            }
        }
        Ok(())
    }
}
