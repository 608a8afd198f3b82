//! Taking jobs out of a lane whose outcome stands in PostgreSQL already.

use super::feed::Done;
use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{Envelope, EventId, Outcome};

impl Queue {
    /// Takes jobs out, shows what they had won, and tells the feed how they ended; returns how many were there.
    ///
    /// # Errors
    /// Redis is away: a worker that claims them reads the outcomes back.
    pub async fn leave(&self, event: EventId, jobs: &[(u64, Envelope, Outcome)]) -> Result<u64, QueueError> {
        let (keys, partition) = (self.keys(), Partition::of(event));
        let mut names = vec![
            keys.partition(partition),
            keys.feed(partition),
            keys.meta(event),
            keys.wait(event),
            keys.standby(event),
            keys.owners(event),
            keys.attempts(event),
        ];
        let mut done = Done::default();
        for (number, envelope, outcome) in jobs {
            done.push(*number, envelope.owner, outcome);
        }
        let entry = serde_json::to_string(&done).unwrap_or_default();
        let mut args = vec![arg(event), arg(entry), arg(jobs.len())];
        let mut shown = Vec::new();
        for (number, envelope, outcome) in jobs {
            args.extend([arg(number), arg(envelope.owner), arg(outcome.word())]);
            if let Outcome::Completed(won) = outcome {
                for key in keys.reserved(event, won) {
                    names.push(key);
                    shown.extend([arg(envelope.owner), arg(won.expires_at_ms)]);
                }
            }
        }
        args.extend(shown);
        let mut reply = self.call(script!("leave"), &names, &args).await?;
        match reply.word.as_str() {
            "left" => reply.next(),
            _ => Err(reply.unknown()),
        }
    }
}
