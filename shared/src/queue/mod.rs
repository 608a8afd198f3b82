//! The queue engine: FIFO lanes in Redis. Bookings have a strict one per event; named queues ([`jobs`]) have lanes of
//! their own under keys of their own.
//!
//! Keys of a partition, where `{pNNN}` is the hash tag that all keys of its events share:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `…{p}:partition` | hash | `epoch`, `seq` of the feed, `run_id`, `recovering_until`, `paused`, `message`, `controls` |
//! | `…{p}:ready` | zset | lanes with waiting jobs, by the time (ms) at which a worker should look |
//! | `…{p}:lanes` | set | all lanes |
//! | `…{p}:feed` | stream | what happened, for gateways |
//! | `…{p}:leased` | zset | lanes under a lease, by its end (ms) |
//! | `…{p}:lane:E:meta` | hash | last number, `fence`, `lease_*`, `paused`, `message`, totals |
//! | `…{p}:lane:E:wait` | zset | jobs that wait or are active: `number:payload`, score = number; of bookings the payload is an [`Envelope`](crate::domain::Envelope) |
//! | `…{p}:lane:E:standby` | zset | the same, of those that wait for a returned seat |
//! | `…{p}:lane:E:delayed` | zset | what is tried again, or due for the first time, by when (ms); not on strict lanes |
//! | `…{p}:lane:E:owners` | hash | owner → number, fingerprint and nonce of each of their live jobs, 32 bytes each |
//! | `…{p}:lane:E:attempts`, `errors`, `idem`, `idem_old`, `completed`, `failed` | | see the scripts |
//! | `…{p}:lane:E:history` | hash | minute of the day → what went through |
//! | `…{p}:seat:S:lock`, `…:reserved` | string | lane and fence of a lock; who reserved, for display |
//! | `…{stream:T}`, `…:run` | stream, string | facts of a topic, and the run of Redis that it was begun in; see [`stream`] |
//!
//! Verbs, each with its script in `lua/`: [`enqueue`], [`claim`], [`lease`], [`lock`], [`settle`], [`leave`],
//! [`announce`], [`epoch`], [`control`], `promote`, `take_out`, `obliterate`. In memory: [`board`] (places), [`feed`] (what is
//! followed), [`enqueuer`] (one call for all who come in the same moment).

pub mod announce;
pub mod board;
pub mod budget;
pub mod claim;
pub mod client;
pub mod control;
pub mod enqueue;
pub mod enqueuer;
pub mod epoch;
pub mod feed;
pub mod history;
pub mod inspect;
pub mod inspect_jobs;
pub mod jobs;
pub mod keys;
pub mod lease;
pub mod leave;
pub mod lock;
mod memory;
mod obliterate;
mod primary;
mod promote;
mod script;
pub mod settle;
pub mod stream;
pub mod take_out;

pub use client::{BOOKINGS, Queue, QueueError};
pub use keys::{Keys, PARTITIONS, Partition};
