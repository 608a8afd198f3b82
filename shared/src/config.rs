//! Settings that more than one process needs. A field's comment is its `--help`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::messages::config::MessagesConfig;
use crate::pay::config::PayConfig;
use crate::shop::checkout::config::CheckoutConfig;
use crate::stream::config::StreamConfig;
use crate::tickets::config::TicketsConfig;

/// Whoever guesses the secret that signs access tokens is anybody they like.
const SECRET_LENGTH: usize = 32;

/// The longest that an access token may be good for, in seconds: a week.
pub(crate) const MAX_ACCESS_TOKEN_SECONDS: u64 = 604_800;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is missing.
    #[error("{0} is not set; set it, or {0}_FILE to a file that holds it")]
    Missing(&'static str),
    /// The file of a setting cannot be read.
    #[error("{name}_FILE names {path}, which cannot be read")]
    File {
        /// The setting.
        name: &'static str,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Two settings contradict each other, or one is out of range.
    #[error("{0}")]
    Invalid(String),
}

/// A secret from itself or its file. Set but empty is how deployments say "none", here and below: an empty key would verify
/// what anybody signs.
///
/// # Errors
/// Neither is there, or the file cannot be read.
pub(crate) fn secret(
    name: &'static str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
) -> Result<SecretString, ConfigError> {
    optional_secret(name, value, file)?.ok_or(ConfigError::Missing(name))
}

/// A secret that may be left out.
///
/// # Errors
/// Its file cannot be read.
pub(crate) fn optional_secret(
    name: &'static str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
) -> Result<Option<SecretString>, ConfigError> {
    let text = match (filled(value), file) {
        (Some(value), _) => return Ok(Some(value.clone())),
        (None, Some(path)) if is_given(None, file) => std::fs::read_to_string(path)
            .map_err(|source| ConfigError::File { name, path: path.clone(), source })?,
        (None, _) => return Ok(None),
    };
    Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(SecretString::from))
}

/// A secret and the one before it, newest first: what was signed with the older one stays good as long as that is set.
///
/// # Errors
/// The first is missing, or one of them is shorter than `at_least` characters.
pub(crate) fn secrets(
    name: &'static str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
    previous: Option<&SecretString>,
    at_least: usize,
) -> Result<Vec<SecretString>, ConfigError> {
    let current = long_enough(name, secret(name, value, file)?, at_least)?;
    let previous = filled(previous).cloned();
    let previous = previous.map(|secret| long_enough(&format!("{name}_PREVIOUS"), secret, at_least));
    Ok(std::iter::once(current).chain(previous.transpose()?).collect())
}

/// The secret, unless somebody could guess it.
///
/// # Errors
/// It is shorter than `at_least` characters.
pub(crate) fn long_enough(
    name: &str,
    secret: SecretString,
    at_least: usize,
) -> Result<SecretString, ConfigError> {
    if secret.expose_secret().len() < at_least {
        return Err(ConfigError::Invalid(format!("{name} is shorter than {at_least} characters")));
    }
    Ok(secret)
}

/// Whether a secret or its file is named; what is in the file is not looked at.
pub fn is_given(value: Option<&SecretString>, file: Option<&PathBuf>) -> bool {
    filled(value).is_some() || file.is_some_and(|file| !file.as_os_str().is_empty())
}

fn filled(value: Option<&SecretString>) -> Option<&SecretString> {
    value.filter(|value| !value.expose_secret().trim().is_empty())
}

/// PostgreSQL.
#[derive(Debug, Clone, Args)]
pub struct StoreConfig {
    /// Where PostgreSQL is, as a URL with user, password, host and database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// A file that holds DATABASE_URL
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<PathBuf>,
    /// Where reads go that may lag, such as lists and the audit log: a streaming replica; the primary when absent or away
    #[arg(long, env = "DATABASE_READ_URL", hide_env_values = true)]
    pub database_read_url: Option<SecretString>,
    /// A file that holds DATABASE_READ_URL
    #[arg(long, env = "DATABASE_READ_URL_FILE")]
    pub database_read_url_file: Option<PathBuf>,
    /// Connections that this process keeps at most
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16)]
    pub database_max_connections: u32,
    /// Milliseconds after which PostgreSQL gives up a statement (10,000 at most)
    #[arg(long, env = "DATABASE_STATEMENT_TIMEOUT_MS", default_value_t = 5_000)]
    pub database_statement_timeout_ms: u64,
    /// Milliseconds that a statement waits for a lock at most
    #[arg(long, env = "DATABASE_LOCK_TIMEOUT_MS", default_value_t = 2_000)]
    pub database_lock_timeout_ms: u64,
}

impl StoreConfig {
    /// The URL, from itself or its file.
    ///
    /// # Errors
    /// Neither is there.
    pub fn url(&self) -> Result<SecretString, ConfigError> {
        secret("DATABASE_URL", self.database_url.as_ref(), self.database_url_file.as_ref())
    }

    /// The replica's URL, from itself or its file; `None` without one.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn read_url(&self) -> Result<Option<SecretString>, ConfigError> {
        let file = self.database_read_url_file.as_ref();
        optional_secret("DATABASE_READ_URL", self.database_read_url.as_ref(), file)
    }
}

/// Redis and the booking queue in it.
#[derive(Debug, Clone, Args)]
pub struct QueueConfig {
    /// Where Redis is, as a redis:, rediss: or unix: URL; several, with commas, for a Cluster
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<SecretString>,
    /// First part of every key
    #[arg(long, env = "REDIS_KEY_PREFIX", default_value = "usher")]
    pub redis_key_prefix: String,
    /// Milliseconds that a worker may keep a batch without renewing its lease
    #[arg(long, env = "QUEUE_LEASE_MS", default_value_t = 10_000)]
    pub queue_lease_ms: u64,
    /// Milliseconds that lanes stand still after Redis may have lost something
    #[arg(long, env = "QUEUE_RECOVER_MS", default_value_t = 3_000)]
    pub queue_recover_ms: u64,
    /// Jobs that may wait in one lane
    #[arg(long, env = "QUEUE_MAX_WAITING", default_value_t = 1_000_000)]
    pub queue_max_waiting: u64,
    /// Live jobs that one shopper may have at one event
    #[arg(long, env = "QUEUE_MAX_JOBS_PER_SHOPPER", default_value_t = 5)]
    pub queue_max_jobs_per_shopper: u32,
    /// Completed jobs kept per lane for inspection
    #[arg(long, env = "QUEUE_KEEP_COMPLETED", default_value_t = 50)]
    pub queue_keep_completed: u32,
    /// Failed jobs kept per lane for inspection
    #[arg(long, env = "QUEUE_KEEP_FAILED", default_value_t = 100)]
    pub queue_keep_failed: u32,
    /// Seconds after which finished jobs are not kept for inspection any more; their outcomes stay
    #[arg(long, env = "QUEUE_KEEP_FINISHED_S", default_value_t = 604_800)]
    pub queue_keep_finished_s: u64,
}

impl QueueConfig {
    /// The address of Redis.
    ///
    /// # Errors
    /// It is not set.
    pub fn url(&self) -> Result<SecretString, ConfigError> {
        secret("REDIS_URL", self.redis_url.as_ref(), None)
    }

    /// The lease as a duration.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.queue_lease_ms)
    }

    /// Holds the settings against each other and against those of the store.
    ///
    /// # Errors
    /// A lease that ends before the statements under it do.
    pub fn check(&self, store: &StoreConfig) -> Result<(), ConfigError> {
        let longest = store.database_statement_timeout_ms.max(store.database_lock_timeout_ms);
        if store.database_statement_timeout_ms > 10_000 {
            return Err(ConfigError::Invalid("DATABASE_STATEMENT_TIMEOUT_MS is above 10,000".to_owned()));
        }
        if self.queue_lease_ms <= longest {
            return Err(ConfigError::Invalid(format!(
                "QUEUE_LEASE_MS ({}) must be longer than the statement and lock time-outs ({longest} ms)",
                self.queue_lease_ms
            )));
        }
        Ok(())
    }
}

/// What several processes do the same way: whom they talk to outside, and with which keys.
#[derive(Debug, Clone, Args)]
pub struct ServicesConfig {
    /// Secrets
    #[command(flatten)]
    pub auth: AuthConfig,
    /// Payment
    #[command(flatten)]
    pub pay: PayConfig,
    /// Checkout
    #[command(flatten)]
    pub checkout: CheckoutConfig,
    /// Messages
    #[command(flatten)]
    pub messages: MessagesConfig,
    /// Tickets
    #[command(flatten)]
    pub tickets: TicketsConfig,
    /// The event stream
    #[command(flatten)]
    pub stream: StreamConfig,
}

/// Secrets that sign what only Usher reads.
#[derive(Debug, Clone, Args)]
pub struct AuthConfig {
    /// Signs access tokens and job references; 32 characters at least
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,
    /// A file that holds JWT_SECRET
    #[arg(long, env = "JWT_SECRET_FILE")]
    pub jwt_secret_file: Option<PathBuf>,
    /// The secret before this one, or first the one to come: accepted as well, so that it can rotate
    #[arg(long, env = "JWT_SECRET_PREVIOUS", hide_env_values = true)]
    pub jwt_secret_previous: Option<SecretString>,
    /// Seconds that an access token is good for (a week at most)
    #[arg(long, env = "ACCESS_TOKEN_SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=MAX_ACCESS_TOKEN_SECONDS))]
    pub access_token_seconds: u64,
}

impl AuthConfig {
    /// The secrets, newest first.
    ///
    /// # Errors
    /// None is set, or it is too short to be one.
    pub fn secrets(&self) -> Result<Vec<SecretString>, ConfigError> {
        let (value, file) = (self.jwt_secret.as_ref(), self.jwt_secret_file.as_ref());
        secrets("JWT_SECRET", value, file, self.jwt_secret_previous.as_ref(), SECRET_LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_set_but_empty_is_none() -> Result<(), Box<dyn std::error::Error>> {
        let (text, blank, nowhere) = (SecretString::from("itself"), SecretString::from(" "), PathBuf::new());
        let full = std::env::temp_dir().join(format!("usher-secret-{}", std::process::id()));
        let empty = PathBuf::from("/dev/null");
        std::fs::write(&full, "from a file\n")?;
        let found = |value: Option<&SecretString>, file: Option<&PathBuf>| {
            optional_secret("NAME", value, file)
                .map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        assert_eq!(found(Some(&text), Some(&full))?.as_deref(), Some("itself"));
        assert_eq!(found(Some(&blank), Some(&full))?.as_deref(), Some("from a file"));
        std::fs::remove_file(&full)?;
        assert!(matches!(found(None, Some(&full)), Err(ConfigError::File { .. })));
        assert_eq!(found(None, Some(&empty))?, None);
        assert_eq!(found(Some(&blank), Some(&nowhere))?, None);
        assert!(matches!(secret("NAME", Some(&blank), None), Err(ConfigError::Missing("NAME"))));
        assert!(!is_given(Some(&blank), Some(&nowhere)));
        assert!(is_given(None, Some(&empty)), "what it holds is told when it is read");
        Ok(())
    }
}
