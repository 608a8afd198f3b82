//! A fact as it is sent.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::EventId;
use crate::store::OutboxRow;

/// A fact as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The event's id, a hyphen, and the number: the same however often the fact is sent.
    pub id: String,
    /// What kind of fact.
    pub topic: String,
    /// Of which event.
    pub event_id: EventId,
    /// Rises with every fact of the event, over all topics.
    pub seq: i64,
    /// When it was told, RFC 3339.
    pub at: String,
    /// What it says: a JSON object.
    pub fact: Box<RawValue>,
}

impl Envelope {
    /// The facts of a row of the outbox, in order; `None` where they are no JSON array, which nothing writes.
    pub fn of_row(event: EventId, row: &OutboxRow) -> Option<Vec<Self>> {
        let facts: Vec<Box<RawValue>> = serde_json::from_str(&row.facts).ok()?;
        let at = row.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let envelopes = facts.into_iter().zip(row.seq..).map(|(fact, seq)| Self {
            id: format!("{event}-{seq}"),
            topic: row.topic.clone(),
            event_id: event,
            seq,
            at: at.clone(),
            fact,
        });
        Some(envelopes.collect())
    }

    /// As sent.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// When it was told.
    pub fn at(&self) -> DateTime<Utc> {
        self.at.parse().unwrap_or_default()
    }

    /// What it says, as far as the reader knows it.
    ///
    /// # Errors
    /// It does not say what this topic's facts say.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.fact.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(facts: &str) -> OutboxRow {
        OutboxRow {
            seq: 41,
            topic: "seat.selected".to_owned(),
            facts: facts.to_owned(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_row_becomes_an_envelope_a_fact_with_ids_that_stay() {
        let envelopes = Envelope::of_row(EventId(7), &row(r#"[{"userId":1},{"userId":2}]"#)).expect("facts");
        let sent: Vec<String> = envelopes.iter().map(Envelope::to_json).collect();
        assert_eq!(
            sent[1],
            r#"{"id":"7-42","topic":"seat.selected","eventId":7,"seq":42,"at":"1970-01-01T00:00:00.000Z","fact":{"userId":2}}"#
        );
        let back: Envelope = serde_json::from_str(&sent[0]).expect("an envelope");
        assert_eq!((back.id.as_str(), back.at()), ("7-41", DateTime::UNIX_EPOCH));
        assert!(Envelope::of_row(EventId(7), &row("{}")).is_none());
    }
}
