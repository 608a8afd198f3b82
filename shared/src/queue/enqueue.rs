//! Adding jobs to a lane.

use super::script::{Call, Reply, script};
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
                .arg(&envelope.tag())
                .arg(job.idempotency.as_deref().unwrap_or_default())
                .arg(envelope.encode())
                .arg(seats.join(","));
        }
        self.send_enqueue(&call, jobs.iter().map(|job| job.envelope.nonce)).await
    }

    /// The job that an idempotency key belongs to, for a request that would be refused by now; `None` when no job has it.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn keyed(&self, event: EventId, job: &NewJob) -> Result<Option<Added>, QueueError> {
        let Some(key) = &job.idempotency else { return Ok(None) };
        let keys = self.keys();
        let mut pipe = redis::pipe();
        pipe.hget(keys.idem(event), key).hget(keys.idem_old(event), key);
        let kept: Vec<Option<Vec<u8>>> = pipe.query_async(&mut self.connection()).await?;
        let Some(entry) = kept.into_iter().flatten().next() else { return Ok(None) };
        // As `enqueue.lua` writes it: 16 digits, 8 bytes of a fingerprint and 8 of a nonce.
        let unfit = || QueueError::Reply("an idempotency key's entry");
        let (number, tag) = entry.split_at_checked(16).ok_or_else(unfit)?;
        let (fingerprint, nonce) = tag.split_at_checked(8).ok_or_else(unfit)?;
        if *fingerprint != job.envelope.request.fingerprint(job.envelope.owner) {
            return Ok(Some(Added::Mismatch));
        }
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        let (number, nonce) = number.zip(nonce.try_into().ok()).ok_or_else(unfit)?;
        let nonce = u64::from_le_bytes(nonce);
        Ok(Some(Added::Queued { number, nonce, place: 0, is_new: false }))
    }

    /// The keys of `enqueue.lua`.
    pub(super) fn enqueue_keys(&self, event: EventId) -> [String; 9] {
        let (keys, partition) = (self.keys(), Partition::of(event));
        [
            keys.partition(partition),
            keys.ready(partition),
            keys.lanes(partition),
            keys.feed(partition),
            keys.meta(event),
            keys.wait(event),
            keys.owners(event),
            keys.idem(event),
            keys.idem_old(event),
        ]
    }

    /// Makes a call of `enqueue.lua` for jobs with these nonces.
    pub(super) async fn send_enqueue(
        &self,
        call: &Call,
        nonces: impl ExactSizeIterator<Item = u64>,
    ) -> Result<Option<AddedBatch>, QueueError> {
        let mut reply = self.send(call).await?;
        match reply.word.as_str() {
            "no_epoch" => Ok(None),
            "ok" => {
                let (epoch, seq) = (reply.next()?, reply.next()?);
                Ok(Some(AddedBatch { jobs: read(&mut reply, nonces)?, epoch, seq }))
            }
            _ => Err(reply.unknown()),
        }
    }
}

/// What became of each job: a letter, and what is told of those that were there before.
fn read(reply: &mut Reply, nonces: impl ExactSizeIterator<Item = u64>) -> Result<Vec<Added>, QueueError> {
    let (mut number, mut ahead): (u64, i64) = (reply.next()?, reply.next()?);
    let letters: String = reply.next()?;
    if letters.len() != nonces.len() {
        return Err(QueueError::Reply("not one answer a job"));
    }
    let mut jobs = Vec::with_capacity(letters.len());
    for (letter, nonce) in letters.chars().zip(nonces) {
        jobs.push(match letter {
            'q' => {
                // Of those under a lease some may have left meanwhile, so that fewer than none are ahead.
                let place = u64::try_from(ahead + 1).unwrap_or(1).max(1);
                let added = Added::Queued { number, nonce, place, is_new: true };
                (number, ahead) = (number + 1, ahead + 1);
                added
            }
            's' => {
                let (number, nonce): (u64, Vec<u8>) = (reply.next()?, reply.next()?);
                let nonce = nonce.try_into().map_err(|_| QueueError::Reply("a nonce has 8 bytes"))?;
                let nonce = u64::from_le_bytes(nonce);
                Added::Queued { number, nonce, place: reply.next()?, is_new: false }
            }
            'm' => Added::Mismatch,
            't' => Added::TooMany,
            'f' => Added::Full,
            _ => return Err(QueueError::Word(letter.to_string())),
        });
    }
    Ok(jobs)
}
