//! Logs: text for people, JSON for machines. Figures of processes that serve nothing else.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::ConfigError;

/// How logs are written.
#[derive(Debug, Clone, Args)]
pub struct LogConfig {
    /// Form of the log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged, as level or target=level, separated by commas
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log_filter: String,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
}

/// Starts logging to standard error. A second call in one process changes nothing.
pub fn start(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.log_filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let _ = match config.log_format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}

/// Where figures are told.
#[derive(Debug, Clone, Args)]
pub struct MetricsConfig {
    /// Where a worker or a sweeper tells its figures at /metrics, and at /health that it lives; nowhere without it. A
    /// gateway tells those of its process where it listens
    #[arg(long, env = "METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
}

/// Tells the figures of this process from now on, where that is set.
///
/// # Errors
/// The address is taken or not ours.
pub fn tell_figures(config: &MetricsConfig) -> Result<(), ConfigError> {
    let Some(address) = config.metrics_listen else { return Ok(()) };
    let told = PrometheusBuilder::new().with_http_listener(address).install();
    told.map_err(|error| ConfigError::Invalid(format!("METRICS_LISTEN is of no use: {error}")))?;
    tracing::info!(address = %address, "figures are told at {address}");
    Ok(())
}

/// An error and its sources as one line, for the log at the boundary.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

/// The status that shells know an interrupted program by: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Cancels the token at the first Ctrl-C or SIGTERM, and ends the process at once at a Ctrl-C after that: every part may
/// be killed at any time.
pub async fn shutdown_on_signal(shutdown: tokio_util::sync::CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        },
        Err(error) => {
            tracing::warn!(error = %error, "SIGTERM cannot be heard; Ctrl-C still works");
            let _ = interrupt.await;
        }
    }
    tracing::info!("stopping");
    shutdown.cancel();
    if tokio::signal::ctrl_c().await.is_ok() {
        tracing::warn!("stopping at once");
        std::process::exit(INTERRUPTED);
    }
}
