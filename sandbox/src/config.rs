//! The sandbox's settings. A field's comment is its `--help`.
#![expect(clippy::doc_markdown, reason = "comments are shown by --help, where backticks would stand out")]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use secrecy::{ExposeSecret as _, SecretString};

use crate::SandboxError;

/// Characters that a key has at least.
const KEY_LENGTH: usize = 16;

/// A payment provider without real money
#[derive(Debug, Clone, Parser)]
#[command(name = "sandbox", version)]
pub struct SandboxConfig {
    /// Where to listen
    #[arg(long, env = "SANDBOX_LISTEN", default_value = "127.0.0.1:8008")]
    pub sandbox_listen: SocketAddr,
    /// Where payers reach it; without it http:// and where it listens
    #[arg(long, env = "SANDBOX_PUBLIC_URL")]
    pub sandbox_public_url: Option<String>,
    /// The key that shops show; 16 characters at least
    #[arg(long, env = "SANDBOX_KEY", hide_env_values = true)]
    pub sandbox_key: Option<SecretString>,
    /// A file that holds SANDBOX_KEY
    #[arg(long, env = "SANDBOX_KEY_FILE")]
    pub sandbox_key_file: Option<PathBuf>,
    /// Signs webhooks; 16 characters at least
    #[arg(long, env = "SANDBOX_WEBHOOK_SECRET", hide_env_values = true)]
    pub sandbox_webhook_secret: Option<SecretString>,
    /// A file that holds SANDBOX_WEBHOOK_SECRET
    #[arg(long, env = "SANDBOX_WEBHOOK_SECRET_FILE")]
    pub sandbox_webhook_secret_file: Option<PathBuf>,
    /// Milliseconds before a webhook that was not taken is sent again; doubled each time, seven times at most
    #[arg(long, env = "SANDBOX_WEBHOOK_RETRY_MS", default_value_t = 1_000)]
    pub sandbox_webhook_retry_ms: u64,
    /// Seconds that a page lives unless it is closed
    #[arg(long, env = "SANDBOX_SESSION_SECONDS", default_value_t = 3_600)]
    pub sandbox_session_seconds: u64,
    /// Sessions that are remembered; the oldest go first
    #[arg(long, env = "SANDBOX_MAX_SESSIONS", default_value_t = 100_000)]
    pub sandbox_max_sessions: usize,
}

impl SandboxConfig {
    /// The defaults with these secrets.
    pub fn with_secrets(key: SecretString, webhook_secret: SecretString) -> Self {
        Self {
            sandbox_listen: SocketAddr::from(([127, 0, 0, 1], 8008)),
            sandbox_public_url: None,
            sandbox_key: Some(key),
            sandbox_key_file: None,
            sandbox_webhook_secret: Some(webhook_secret),
            sandbox_webhook_secret_file: None,
            sandbox_webhook_retry_ms: 1_000,
            sandbox_session_seconds: 3_600,
            sandbox_max_sessions: 100_000,
        }
    }

    /// The key that shops show.
    ///
    /// # Errors
    /// It is missing, too short, or its file cannot be read.
    pub fn key(&self) -> Result<SecretString, SandboxError> {
        secret("SANDBOX_KEY", self.sandbox_key.as_ref(), self.sandbox_key_file.as_ref())
    }

    /// What signs webhooks.
    ///
    /// # Errors
    /// It is missing, too short, or its file cannot be read.
    pub fn webhook_secret(&self) -> Result<SecretString, SandboxError> {
        let (value, file) = (self.sandbox_webhook_secret.as_ref(), self.sandbox_webhook_secret_file.as_ref());
        secret("SANDBOX_WEBHOOK_SECRET", value, file)
    }
}

fn secret(
    name: &'static str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
) -> Result<SecretString, SandboxError> {
    let found = match (value.filter(|value| !value.expose_secret().is_empty()), file) {
        (Some(value), _) => value.clone(),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path);
            SecretString::from(text.map_err(|source| SandboxError::File { name, source })?.trim())
        }
        (None, None) => return Err(SandboxError::Secret(name)),
    };
    if found.expose_secret().len() < KEY_LENGTH { Err(SandboxError::Secret(name)) } else { Ok(found) }
}
