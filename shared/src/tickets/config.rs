//! Settings of tickets. A field's comment is its `--help`.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use super::keys::TicketKeys;
use crate::config::{ConfigError, is_given, optional_secret, secret};

/// Tickets.
#[derive(Debug, Clone, Args)]
pub struct TicketsConfig {
    /// Signs the codes of tickets: an Ed25519 key as PKCS#8, in PEM or, on one line, its DER in base64
    #[arg(long, env = "TICKET_KEY", hide_env_values = true)]
    pub ticket_key: Option<SecretString>,
    /// A file that holds TICKET_KEY
    #[arg(long, env = "TICKET_KEY_FILE")]
    pub ticket_key_file: Option<PathBuf>,
    /// The key before this one, whose codes are still good, so that it can rotate
    #[arg(long, env = "TICKET_KEY_PREVIOUS", hide_env_values = true)]
    pub ticket_key_previous: Option<SecretString>,
    /// A file that holds TICKET_KEY_PREVIOUS
    #[arg(long, env = "TICKET_KEY_PREVIOUS_FILE")]
    pub ticket_key_previous_file: Option<PathBuf>,
    /// Hours after its beginning from which on an event is over and its unused tickets are expired
    #[arg(long, env = "TICKET_EVENT_HOURS", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=720))]
    pub ticket_event_hours: u16,
}

impl TicketsConfig {
    /// Whether a key is set at all.
    pub fn has_key(&self) -> bool {
        is_given(self.ticket_key.as_ref(), self.ticket_key_file.as_ref())
    }

    /// The keys: the first signs, both verify.
    ///
    /// # Errors
    /// None is set, or one is no Ed25519 key.
    pub fn keys(&self) -> Result<TicketKeys, ConfigError> {
        let current = secret("TICKET_KEY", self.ticket_key.as_ref(), self.ticket_key_file.as_ref())?;
        let (previous, file) = (self.ticket_key_previous.as_ref(), self.ticket_key_previous_file.as_ref());
        let previous = optional_secret("TICKET_KEY_PREVIOUS", previous, file)?;
        let refused = |name| ConfigError::Invalid(format!("{name} is no Ed25519 key as PKCS#8"));
        let keys = TicketKeys::new(&current).ok_or_else(|| refused("TICKET_KEY"))?;
        match previous {
            None => Ok(keys),
            Some(previous) => keys.with_previous(&previous).ok_or_else(|| refused("TICKET_KEY_PREVIOUS")),
        }
    }
}
