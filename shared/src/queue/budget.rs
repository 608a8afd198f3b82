//! Budgets that all gateways share, such as how often somebody may guess a password.

use std::time::Duration;

use super::script::{Call, script};
use super::{Queue, QueueError};
use crate::domain::hex16;

/// What came of spending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// There was one left.
    Yes,
    /// There is one again after this time.
    No(Duration),
}

/// A name for a budget of somebody whose name should not be read in Redis: 16 bytes of a SHA-256 under a secret, in hex.
pub fn anonymous(secret: &[u8], kind: &str, who: &str) -> String {
    hex16(&[b"usher budget 1", secret, kind.as_bytes(), b"\0", who.as_bytes()].concat())
}

impl Queue {
    /// Takes one from a budget of so many in a window. The name stands in a key: nothing personal belongs into it.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn spend(&self, name: &str, max: u32, window: Duration) -> Result<Spent, QueueError> {
        let mut call = Call::new(script!("spend"), &[self.keys().budget(name)]);
        call.arg(max).arg(u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
        // Not by way of `send`: a second try would take a second one.
        let mut reply = call.send(self).await?;
        match reply.word.as_str() {
            "spent" => Ok(Spent::Yes),
            "refused" => Ok(Spent::No(Duration::from_millis(reply.next()?))),
            _ => Err(reply.unknown()),
        }
    }
}
