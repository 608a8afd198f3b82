//! The worker's settings. A field's comment is its `--help`.

use std::time::Duration;

use clap::Args;
use shared::config::ConfigError;

/// The worker's settings.
#[derive(Debug, Clone, Args)]
pub struct WorkerConfig {
    /// Lanes that this worker decides at once
    #[arg(long, env = "WORKER_LANES", default_value_t = 4)]
    pub worker_lanes: usize,
    /// Jobs in one batch at most (1 to 4,000)
    #[arg(long, env = "WORKER_MAX_BATCH", default_value_t = 2_000)]
    pub worker_max_batch: usize,
    /// Milliseconds after which a batch is given up
    #[arg(long, env = "WORKER_BATCH_LIMIT_MS", default_value_t = 30_000)]
    pub worker_batch_limit_ms: u64,
    /// Times that a job which fails by itself is tried
    #[arg(long, env = "WORKER_MAX_ATTEMPTS", default_value_t = 3)]
    pub worker_max_attempts: u32,
    /// Milliseconds of the first rest after a failure; each further one is twice as long
    #[arg(long, env = "WORKER_BACKOFF_MS", default_value_t = 250)]
    pub worker_backoff_ms: u64,
    /// Milliseconds that a stopping worker may take to finish what it has
    #[arg(long, env = "WORKER_SHUTDOWN_MS", default_value_t = 15_000)]
    pub worker_shutdown_ms: u64,
}

impl WorkerConfig {
    /// After how long a batch is given up.
    pub fn batch_limit(&self) -> Duration {
        Duration::from_millis(self.worker_batch_limit_ms)
    }

    /// Holds the settings against what they stand for.
    ///
    /// # Errors
    /// One is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.worker_lanes == 0 || self.worker_max_attempts == 0 {
            return Err(ConfigError::Invalid(
                "WORKER_LANES and WORKER_MAX_ATTEMPTS must be at least 1".to_owned(),
            ));
        }
        if !(1..=4_000).contains(&self.worker_max_batch) {
            return Err(ConfigError::Invalid("WORKER_MAX_BATCH must be between 1 and 4,000".to_owned()));
        }
        Ok(())
    }
}
