//! The sandbox as a process of its own.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::Parser as _;
use sandbox::SandboxConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = SandboxConfig::parse();
    tracing_subscriber::fmt()
        // What `RUST_LOG` says, and no less.
        .with_env_filter(
            EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy(),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let listener = tokio::net::TcpListener::bind(config.sandbox_listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.sandbox_listen))?;
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        told.cancel();
    });
    Ok(sandbox::serve(listener, config, shutdown).await?)
}
