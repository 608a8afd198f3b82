//! Usher's booking queue beside other queues: on the same machine and the same Redis, in one run.
//!
//! Of a peer's result nothing is believed but what was measured here and now: each peer is a program of its own
//! (`bench/peers/`) that is run between Usher's measurements and prints what it has found as JSON.
//!
//! | module | measures |
//! |---|---|
//! | `adding` | jobs added a second, one by one and in bulk |
//! | `processing` | jobs a second that are claimed and settled, and do nothing else |
//! | `reserve` | jobs a second through the whole path, with rows in PostgreSQL |
//! | `position` | places told a second with 100,000 waiting, from memory |
//! | `recovery` | how long a job whose worker was lost waits for another worker |
//! | `memory` | bytes of Redis per waiting job |
//!
//! `lane` is what these have in common, `measure` names them, `compare` says what each is held against and what is
//! promised, `child` runs the peers, `table` prints.

mod adding;
mod child;
mod compare;
mod lane;
mod measure;
mod memory;
mod position;
mod processing;
mod recovery;
mod reserve;
mod run;
mod table;

pub use run::{PeersArgs, run};

#[cfg(test)]
mod tests;
