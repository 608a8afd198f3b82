//! What the queue's calls cost as a lane grows: a constant, or a logarithm of how many wait.
//!
//! Each length is measured on a Redis of its own, durable as in earnest, so that none meets what another left.
//!
//! - `site`: that Redis, and the queue on it;
//! - `line`: the lane: filling it, and one call of each kind;
//! - `measure`: each call many times at one length; `costs`: what comes of it;
//! - `table`: the costs as text and as Markdown; `plot`, `axis`: the same as a picture.

mod axis;
mod costs;
mod line;
mod measure;
mod plot;
mod run;
mod site;
mod table;

pub use run::{SizeArgs, run};
