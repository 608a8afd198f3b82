//! The sandbox: a payment provider without real money, in reading order:
//!
//! - [`config`]: its settings.
//! - [`session`]: a hosted page and the money behind it. [`book`]: all of them, in memory.
//! - [`fault`]: what goes wrong on order. [`meter`]: how many calls come in a second.
//! - [`api`]: for shops, with a key. [`page`]: for payers.
//! - [`webhook`]: what shops are told. [`server`]: what the three share.
//!
//! [`serve`] runs it until it is told to stop. Nothing is kept: a sandbox that is started anew knows of no payment.

pub mod api;
pub mod book;
pub mod config;
pub mod fault;
pub mod meter;
pub mod page;
pub mod server;
pub mod session;
pub mod webhook;

pub use config::SandboxConfig;
pub use server::{SandboxError, serve};
