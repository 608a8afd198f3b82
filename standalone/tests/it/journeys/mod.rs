//! What shoppers and operators go through, over HTTP and WebSocket, with gateway, worker and sweeper running.

mod accounts;
mod booking;
mod cart;
pub(crate) mod emptied;
mod inside;
mod invariants;
mod limits;
mod meanwhile;
mod operators;
mod reserve;
mod rush;
mod socket;
mod standby;
mod steering;
mod ways;
