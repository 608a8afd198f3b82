//! The gateway's settings. A field's comment is its `--help`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use shared::config::ConfigError;

/// The gateway's settings.
#[derive(Debug, Clone, Args)]
pub struct GatewayConfig {
    /// Where to listen
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// The built web pages
    #[arg(long, env = "WEB_DIR", default_value = "web/dist")]
    pub web_dir: PathBuf,
    /// Writes and log-ins that one address or one account may make per time window
    #[arg(long, env = "RATE_LIMIT_MAX", default_value_t = 100)]
    pub rate_limit_max: u32,
    /// The time window, in milliseconds
    #[arg(long, env = "RATE_LIMIT_TIME_WINDOW", default_value_t = 60_000)]
    pub rate_limit_time_window: u64,
    /// Reads (polls among them) that one address may make per second
    #[arg(long, env = "RATE_LIMIT_READS_PER_SECOND", default_value_t = 200)]
    pub rate_limit_reads_per_second: u32,
    /// Sockets that one address may hold
    #[arg(long, env = "MAX_SOCKETS_PER_IP", default_value_t = 200)]
    pub max_sockets_per_ip: u32,
    /// Proxies whose X-Forwarded-For is believed, as addresses separated by commas
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// Origins besides our own whose pages may use the WebSocket, separated by commas
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,
    /// Set the Secure attribute on cookies; on behind TLS
    #[arg(long, env = "COOKIE_SECURE", default_value_t = false)]
    pub cookie_secure: bool,
    /// Share of Redis' memory above which nothing new is queued (0 to 1)
    #[arg(long, env = "QUEUE_WATERMARK", default_value_t = 0.9)]
    pub queue_watermark: f64,
}

impl GatewayConfig {
    /// Holds the settings against what they stand for.
    ///
    /// # Errors
    /// One is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let positive = [
            ("RATE_LIMIT_MAX", u64::from(self.rate_limit_max)),
            ("RATE_LIMIT_TIME_WINDOW", self.rate_limit_time_window),
            ("RATE_LIMIT_READS_PER_SECOND", u64::from(self.rate_limit_reads_per_second)),
            ("MAX_SOCKETS_PER_IP", u64::from(self.max_sockets_per_ip)),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Invalid(format!("{name} must be at least 1")));
        }
        if !(0.0..=1.0).contains(&self.queue_watermark) {
            return Err(ConfigError::Invalid("QUEUE_WATERMARK must lie between 0 and 1".to_owned()));
        }
        Ok(())
    }
}
