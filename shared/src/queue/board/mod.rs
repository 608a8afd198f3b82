//! Places in memory: what one process knows of the lanes, so that a poll costs no store call.
//!
//! [`Ranks`] counts who is ahead, [`Rate`] how fast it goes, [`LaneBoard`] puts feed entries in and answers.

mod lane;
mod ranks;
mod rate;

pub use lane::{JobState, LaneBoard};
pub use ranks::Ranks;
pub use rate::{Rate, Wait};
