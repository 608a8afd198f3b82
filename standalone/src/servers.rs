//! Private PostgreSQL and Redis servers: for `usher` without URLs, and for every test.
//!
//! Each server lives in a folder of its own, its *home*: data, log, lock and (usually) its Unix socket. No TCP port
//! is opened unless it is asked for. Reading order:
//!
//! - [`PrivatePostgres`] and [`PrivateRedis`]: start, stop, and the faults that tests inject (kill, pause, restart);
//! - [`scratch()`]: both of them in a temporary folder that goes away;
//! - `home`: where a server's files lie, who may use them, and what becomes of a server that an earlier run left;
//! - `account`: under whose name it runs, since PostgreSQL refuses root;
//! - `process`: its processes and their end;
//! - `programs`: where the installed binaries are.
//!
//! **What holds.** One live owner per home: a second start is refused. No server outlives its owner: dropping the
//! value stops it, and the kernel does so when the owner is killed. The terminal's Ctrl-C does not reach the
//! servers, so that their owner can stop them last.

mod account;
mod error;
mod home;
mod postgres;
mod process;
mod programs;
mod redis;
mod scratch;

pub use error::ServerError;
pub use postgres::{PostgresOptions, PrivatePostgres};
pub use redis::{AofSnapshot, Listen, PrivateRedis, RedisOptions};
pub use scratch::{ScratchServers, scratch, scratch_with};
