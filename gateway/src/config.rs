//! The gateway's settings. A field's comment is its `--help`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use ipnet::{AddrParseError, IpNet};
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
    /// Requests that change something which one account may make per time window
    #[arg(long, env = "RATE_LIMIT_MAX", default_value_t = 100)]
    pub rate_limit_max: u32,
    /// The time window, in milliseconds
    #[arg(long, env = "RATE_LIMIT_TIME_WINDOW", default_value_t = 60_000)]
    pub rate_limit_time_window: u64,
    /// Requests that change something which one address may make per time window (IPv6: one network of 64 bits)
    #[arg(long, env = "RATE_LIMIT_IP_MAX", default_value_t = 6_000)]
    pub rate_limit_ip_max: u32,
    /// Registrations and log-ins of one address per time window, and tries of codes for themselves
    #[arg(long, env = "RATE_LIMIT_LOGIN_IP_MAX", default_value_t = 100)]
    pub rate_limit_login_ip_max: u32,
    /// Refreshes of sessions of one address per time window, for themselves: whole offices share one
    #[arg(long, env = "RATE_LIMIT_REFRESH_IP_MAX", default_value_t = 1_000)]
    pub rate_limit_refresh_ip_max: u32,
    /// Log-ins with one login per time window, over all gateways
    #[arg(long, env = "RATE_LIMIT_LOGIN_MAX", default_value_t = 20)]
    pub rate_limit_login_max: u32,
    /// Tries of codes for one account per time window, over all gateways
    #[arg(long, env = "RATE_LIMIT_CODE_MAX", default_value_t = 10)]
    pub rate_limit_code_max: u32,
    /// Reads (polls among them) that one address may make per second
    #[arg(long, env = "RATE_LIMIT_READS_PER_SECOND", default_value_t = 200)]
    pub rate_limit_reads_per_second: u32,
    /// Sockets that one address may hold
    #[arg(long, env = "MAX_SOCKETS_PER_IP", default_value_t = 200)]
    pub max_sockets_per_ip: u32,
    /// Connections that one address may hold, sockets among them; trusted proxies may hold any number
    #[arg(long, env = "MAX_CONNECTIONS_PER_IP", default_value_t = 2_000)]
    pub max_connections_per_ip: u32,
    /// Milliseconds after which a connection ends whose other side takes in nothing of what is sent
    #[arg(long, env = "WRITE_TIMEOUT_MS", default_value_t = 30_000)]
    pub write_timeout_ms: u64,
    /// Milliseconds between two questions to a socket whether it is there
    #[arg(long, env = "SOCKET_PING_MS", default_value_t = 20_000)]
    pub socket_ping_ms: u64,
    /// Milliseconds without a word of a socket after which it is closed; looked at with every question
    #[arg(long, env = "SOCKET_SILENCE_MS", default_value_t = 60_000)]
    pub socket_silence_ms: u64,
    /// Milliseconds after which a socket ends that has no room for the next message
    #[arg(long, env = "SOCKET_SEND_MS", default_value_t = 5_000)]
    pub socket_send_ms: u64,
    /// Proxies whose X-Forwarded-For is believed, as addresses or networks (10.0.0.0/8) separated by commas
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',', value_parser = read_network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Origins besides our own whose pages may use the API and the WebSocket, separated by commas
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,
    /// The certificate and its chain, as PEM; with it and its key TLS 1.2 and 1.3 are spoken, and nothing else
    #[arg(long, env = "TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// The certificate's key, as PEM; both files are read anew when they change
    #[arg(long, env = "TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// Where plain HTTP is sent over to HTTPS
    #[arg(long, env = "HTTP_REDIRECT_LISTEN")]
    pub http_redirect_listen: Option<SocketAddr>,
    /// Set the Secure attribute on cookies; on behind TLS, and always where we speak it ourselves
    #[arg(long, env = "COOKIE_SECURE", default_value_t = false)]
    pub cookie_secure: bool,
    /// Operators and admins act only with a second factor
    #[arg(long, env = "REQUIRE_SECOND_FACTOR", default_value_t = false)]
    pub require_second_factor: bool,
    /// Milliseconds for which a stopping gateway goes on as before while /ready already answers 503, so that a balancer
    /// sends nobody any more when the port is closed
    #[arg(long, env = "SHUTDOWN_DRAIN_MS", default_value_t = 0)]
    pub shutdown_drain_ms: u64,
    /// Share of Redis' memory above which nothing new is queued (0 to 1)
    #[arg(long, env = "QUEUE_WATERMARK", default_value_t = 0.9)]
    pub queue_watermark: f64,
}

impl GatewayConfig {
    /// Whether this gateway speaks TLS itself.
    pub fn has_tls(&self) -> bool {
        self.tls_cert_file.is_some()
    }

    /// Holds the settings against what they stand for.
    ///
    /// # Errors
    /// One is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let positive = [
            ("RATE_LIMIT_MAX", u64::from(self.rate_limit_max)),
            ("RATE_LIMIT_IP_MAX", u64::from(self.rate_limit_ip_max)),
            ("RATE_LIMIT_LOGIN_IP_MAX", u64::from(self.rate_limit_login_ip_max)),
            ("RATE_LIMIT_REFRESH_IP_MAX", u64::from(self.rate_limit_refresh_ip_max)),
            ("RATE_LIMIT_LOGIN_MAX", u64::from(self.rate_limit_login_max)),
            ("RATE_LIMIT_CODE_MAX", u64::from(self.rate_limit_code_max)),
            ("RATE_LIMIT_TIME_WINDOW", self.rate_limit_time_window),
            ("RATE_LIMIT_READS_PER_SECOND", u64::from(self.rate_limit_reads_per_second)),
            ("MAX_SOCKETS_PER_IP", u64::from(self.max_sockets_per_ip)),
            ("MAX_CONNECTIONS_PER_IP", u64::from(self.max_connections_per_ip)),
            ("WRITE_TIMEOUT_MS", self.write_timeout_ms),
            ("SOCKET_PING_MS", self.socket_ping_ms),
            ("SOCKET_SEND_MS", self.socket_send_ms),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Invalid(format!("{name} must be at least 1")));
        }
        if self.socket_silence_ms <= self.socket_ping_ms {
            return Err(ConfigError::Invalid(
                "SOCKET_SILENCE_MS must be more than SOCKET_PING_MS".to_owned(),
            ));
        }
        if self.http_redirect_listen.is_some() && !self.has_tls() {
            return Err(ConfigError::Invalid("HTTP_REDIRECT_LISTEN needs TLS_CERT_FILE".to_owned()));
        }
        if !(0.0..=1.0).contains(&self.queue_watermark) {
            return Err(ConfigError::Invalid("QUEUE_WATERMARK must lie between 0 and 1".to_owned()));
        }
        Ok(())
    }
}

/// An address, or a network of many.
fn read_network(text: &str) -> Result<IpNet, AddrParseError> {
    text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse())
}

/// Whether an address is one of these.
pub fn is_among(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, CommandFactory as _, FromArgMatches as _};

    use super::*;

    #[derive(clap::Parser)]
    struct Words {
        #[command(flatten)]
        gateway: GatewayConfig,
    }

    #[test]
    fn an_account_may_change_a_hundred_things_a_minute_where_nothing_else_is_set() {
        let named = Words::command();
        let name_of = |id: &str| {
            let setting = named.get_arguments().find(|setting| setting.get_id() == id);
            setting.and_then(Arg::get_env).and_then(std::ffi::OsStr::to_str)
        };
        assert_eq!(name_of("rate_limit_max"), Some("RATE_LIMIT_MAX"));
        assert_eq!(name_of("rate_limit_time_window"), Some("RATE_LIMIT_TIME_WINDOW"));
        // Whatever the environment of this test says.
        let unset = Words::command().mut_args(|setting| setting.env(None::<&'static str>));
        let words = unset.try_get_matches_from(["test"]).expect("nothing must be set");
        let config = Words::from_arg_matches(&words).expect("what is not set has a default").gateway;
        assert_eq!((config.rate_limit_max, config.rate_limit_time_window), (100, 60_000));
        assert!(config.check().is_ok());
    }

    #[test]
    fn sockets_may_be_silent_for_longer_than_they_are_left_unasked() {
        let read = |words: &[&str]| {
            let unset = Words::command().mut_args(|setting| setting.env(None::<&'static str>));
            let words = unset.try_get_matches_from(std::iter::once(&"test").chain(words));
            Words::from_arg_matches(&words.expect("words")).expect("settings").gateway
        };
        let usual = read(&[]);
        assert_eq!(
            (usual.socket_ping_ms, usual.socket_silence_ms, usual.socket_send_ms),
            (20_000, 60_000, 5_000)
        );
        assert!(read(&["--socket-ping-ms=100", "--socket-silence-ms=101"]).check().is_ok());
        for wrong in ["--socket-ping-ms=60000", "--socket-ping-ms=0", "--socket-send-ms=0"] {
            assert!(read(&[wrong]).check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn proxies_are_named_one_by_one_or_by_their_network() {
        let [one, many, v6] =
            ["192.0.2.10", "10.42.0.0/16", "2001:db8::/32"].map(|text| read_network(text).expect(text));
        let is_known = |ip: &str| is_among(&[one, many, v6], ip.parse().expect("ip"));
        assert!(["192.0.2.10", "10.42.7.8", "2001:db8::1"].into_iter().all(is_known));
        assert!(!["192.0.2.11", "10.43.0.1", "2001:db9::1"].into_iter().any(is_known));
        assert!(["ingress", "10.0.0.0/33", ""].into_iter().all(|text| read_network(text).is_err()));
    }
}
