//! Adding jobs to a lane.

use super::script::{Call, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{Envelope, EventId, hex16};

/// A job to add.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What is asked for, by whom.
    pub envelope: Envelope,
    /// The shopper's idempotency key, hashed together with who they are; `None` without one.
    pub idempotency: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It has this number; `is_new` is false when it had it already.
    Queued {
        /// Its number.
        number: u64,
        /// The nonce of the job that is in the lane.
        nonce: u64,
        /// How many are ahead + 1; 0 when it no longer waits.
        place: u64,
        /// It was added by this call.
        is_new: bool,
    },
    /// The idempotency key belongs to another request.
    Mismatch,
    /// The shopper has too many live jobs here.
    TooMany,
    /// The lane is full.
    Full,
}

/// The answer to one call: what became of each job, and how far the feed had come.
#[derive(Debug)]
pub struct AddedBatch {
    /// In the order of the jobs.
    pub jobs: Vec<Added>,
    /// The epoch of the partition.
    pub epoch: String,
    /// The feed's sequence after this call; 0 when nothing was added.
    pub seq: u64,
}

impl NewJob {
    /// A key for an `Idempotency-Key` header: nobody can collide with somebody else's.
    pub fn idempotency_of(envelope: &Envelope, key: &str) -> String {
        hex16(format!("{}:{key}", envelope.owner).as_bytes())
    }

    /// A key for the retry of a failed job; no shopper's key is like it, as those begin with a number.
    pub fn idempotency_of_retry(event: EventId, failed: u64) -> String {
        hex16(format!("retry:{event}:{failed}").as_bytes())
    }
}

impl Queue {
    /// Adds jobs to one lane, in this order; each gets the lane's next number.
    ///
    /// # Errors
    /// Redis is away or full. The jobs may have been added all the same; adding them again gives the same ones
    /// as long as they live.
    pub async fn enqueue(&self, event: EventId, jobs: &[NewJob]) -> Result<Option<AddedBatch>, QueueError> {
        let config = self.config();
        let mut call = Call::new(script!("enqueue"), &self.enqueue_keys(event));
        call.arg(event.0).arg(self.keys().wake());
        call.arg(config.queue_max_waiting).arg(config.queue_max_jobs_per_shopper);
        for job in jobs {
            let envelope = &job.envelope;
            let seats: Vec<String> = envelope.request.named_seats().iter().map(ToString::to_string).collect();
            call.arg(envelope.owner.0)
                .arg(envelope.request.fingerprint(envelope.owner))
                .arg(job.idempotency.as_deref().unwrap_or_default())
                .arg(envelope.nonce)
                .arg(envelope.encode())
                .arg(seats.join(","));
        }
        self.send_enqueue(&call, jobs.len()).await
    }

    /// The keys of `enqueue.lua`.
    pub(super) fn enqueue_keys(&self, event: EventId) -> [String; 11] {
        let (keys, partition) = (self.keys(), Partition::of(event));
        [
            keys.partition(partition),
            keys.ready(partition),
            keys.lanes(partition),
            keys.feed(partition),
            keys.meta(event),
            keys.wait(event),
            keys.jobs(event),
            keys.live(event),
            keys.owners(event),
            keys.idem(event),
            keys.idem_old(event),
        ]
    }

    /// Makes a call of `enqueue.lua` for so many jobs.
    pub(super) async fn send_enqueue(
        &self,
        call: &Call,
        jobs: usize,
    ) -> Result<Option<AddedBatch>, QueueError> {
        let mut reply = self.send(call).await?;
        match reply.word.as_str() {
            "no_epoch" => Ok(None),
            "ok" => {
                let (epoch, seq) = (reply.next()?, reply.next()?);
                let mut added = Vec::with_capacity(jobs);
                while reply.left() > 0 {
                    added.push(read(&reply.next::<String>()?)?);
                }
                if added.len() != jobs {
                    return Err(QueueError::Reply("not one answer a job"));
                }
                Ok(Some(AddedBatch { jobs: added, epoch, seq }))
            }
            _ => Err(reply.unknown()),
        }
    }
}

/// What became of one job: `word number nonce place`.
fn read(line: &str) -> Result<Added, QueueError> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Ok(match word {
        "queued" | "same" => {
            let mut numbers = rest.split(' ').map(str::parse);
            let (Some(Ok(number)), Some(Ok(nonce)), Some(Ok(place))) =
                (numbers.next(), numbers.next(), numbers.next())
            else {
                return Err(QueueError::Reply("not three numbers"));
            };
            Added::Queued { number, nonce, place, is_new: word == "queued" }
        }
        "mismatch" => Added::Mismatch,
        "too_many" => Added::TooMany,
        "full" => Added::Full,
        _ => return Err(QueueError::Word(word.to_owned())),
    })
}
