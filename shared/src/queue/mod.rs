//! The queue engine: FIFO lanes in Redis. Bookings have a strict one per event; named queues ([`jobs`]) have lanes of
//! their own under keys of their own.
//!
//! `docs/QUEUE.md` lists the keys and the scripts.
//!
//! Verbs, each with its script in `lua/`: [`enqueue`], [`claim`], [`lease`], [`lock`], [`settle`], [`leave`],
//! [`announce`], [`standby`], [`epoch`], [`control`], `promote`, `take_out`, `obliterate`. In memory: [`board`] (places), [`feed`] (what is
//! followed), [`enqueuer`] (one call for all who come in the same moment). [`server`]: what Redis says of itself.

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
mod obliterate;
mod primary;
mod promote;
mod script;
pub mod server;
pub mod settle;
pub mod standby;
pub mod stream;
pub mod take_out;

pub use client::{BOOKINGS, Queue, QueueError};
pub use keys::{Keys, PARTITIONS, Partition};
