//! Load on Usher, and what comes of it. In reading order:
//!
//! - [`crowd`]: some thousand simulated shoppers against a running system (`make crowd`);
//! - [`figures`]: each speed that is promised, beside what this machine can do at all (`make bench`);
//! - [`size`]: what the queue's calls cost as a lane grows (`scripts/bench.sh size`);
//! - [`peers`]: the booking queue beside other queues (`scripts/bench.sh peers`);
//! - [`lab`]: the servers that are measured, each in a process of its own, and the events and people in them;
//! - [`load`]: the lean HTTP and WebSocket client that makes the load;
//! - [`bare`]: a server that does nothing, for the limit;
//! - [`target`] keeps the load on this machine, [`limits`] allows many sockets, [`report`] prints.

pub mod bare;
pub mod crowd;
pub mod figures;
pub mod lab;
pub mod limits;
pub mod load;
pub mod peers;
pub mod report;
pub mod size;
pub mod target;
