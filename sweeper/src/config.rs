//! The sweeper's settings. A field's comment is its `--help`.

use clap::Args;

/// The sweeper's settings.
#[derive(Debug, Clone, Args)]
pub struct SweeperConfig {
    /// When it ticks, as cron with seconds; slower than every second means later releases
    #[arg(long, env = "SWEEPER_SCHEDULE", default_value = "* * * * * *")]
    pub sweeper_schedule: String,
}
