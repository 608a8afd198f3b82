//! The sweeper's settings. A field's comment is its `--help`.

use clap::Args;
use shared::config::ConfigError;

/// The sweeper's settings.
#[derive(Debug, Clone, Args)]
pub struct SweeperConfig {
    /// When it ticks, as cron with seconds; slower than every second means later releases
    #[arg(long, env = "SWEEPER_SCHEDULE", default_value = "* * * * * *")]
    pub sweeper_schedule: String,
    /// Days for which the audit log is kept, by whole months; 365 at least
    #[arg(long, env = "AUDIT_KEEP_DAYS", default_value_t = 400)]
    pub audit_keep_days: u32,
}

impl SweeperConfig {
    /// Holds the settings against what they stand for.
    ///
    /// # Errors
    /// One is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if (365..=36_500).contains(&self.audit_keep_days) {
            return Ok(());
        }
        Err(ConfigError::Invalid("AUDIT_KEEP_DAYS must be 365 to 36,500".to_owned()))
    }
}
