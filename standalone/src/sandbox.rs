//! A sandbox for payments in this process, for whoever names no other and for the tests.

use std::net::SocketAddr;
use std::path::Path;

use sandbox::{SandboxConfig, SandboxError};
use secrecy::SecretString;
use shared::config::is_given;
use shared::pay::config::{PayConfig, PaymentProvider};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::secrets::{self, SecretsError};
use crate::settings::{Part, Settings};

/// Where it listens when nothing says otherwise.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8008);

/// What keeps a sandbox from starting.
#[derive(Debug, thiserror::Error)]
pub enum PrivateSandboxError {
    /// The address is taken or not ours.
    #[error("the sandbox cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Its keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The settings of payment.
    #[error(transparent)]
    Config(#[from] shared::config::ConfigError),
    /// The sandbox itself.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// A sandbox that runs; dropping it stops it.
#[derive(Debug)]
pub struct PrivateSandbox {
    /// Where it answers.
    pub url: String,
    /// The key of its API.
    pub key: SecretString,
    /// What its webhooks are signed with.
    pub webhook_secret: SecretString,
    shutdown: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl PrivateSandbox {
    /// Starts one with these secrets; without an address on port 8008 of this machine, or on a free one where that is
    /// taken.
    ///
    /// # Errors
    /// The address is taken or not ours, or a secret is too short.
    pub async fn start(
        address: Option<SocketAddr>,
        key: SecretString,
        webhook_secret: SecretString,
    ) -> Result<Self, PrivateSandboxError> {
        let listener = listen(address).await?;
        let local = listener.local_addr().map_err(SandboxError::Serve)?;
        let config = SandboxConfig::with_secrets(key.clone(), webhook_secret.clone());
        // Told now rather than by a task that ends.
        config.key()?;
        config.webhook_secret()?;
        let shutdown = CancellationToken::new();
        let told = shutdown.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = sandbox::serve(listener, config, told).await {
                tracing::error!(error = shared::telemetry::chain(&error), "the sandbox ended");
            }
        });
        Ok(Self { url: format!("http://{local}"), key, webhook_secret, shutdown, task: Some(task) })
    }

    /// Starts one with random secrets on any port.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start_throwaway() -> Result<Self, PrivateSandboxError> {
        let secret = || SecretString::from(shared::auth::random_hex());
        Self::start(Some(SocketAddr::from(([127, 0, 0, 1], 0))), secret(), secret()).await
    }

    /// Stops it and waits.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for PrivateSandbox {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn listen(address: Option<SocketAddr>) -> Result<TcpListener, PrivateSandboxError> {
    let wanted = address.unwrap_or(USUAL);
    match TcpListener::bind(wanted).await {
        Err(source) if address.is_none() && source.kind() == std::io::ErrorKind::AddrInUse => {
            let any = SocketAddr::new(USUAL.ip(), 0);
            TcpListener::bind(any)
                .await
                .map_err(|source| PrivateSandboxError::Listen { address: any, source })
        }
        bound => bound.map_err(|source| PrivateSandboxError::Listen { address: wanted, source }),
    }
}

/// Sets what is not set for the sandbox, and starts it where payers are answered; nothing where only other providers or
/// another sandbox are meant.
///
/// # Errors
/// Its keys cannot be kept, or it cannot listen.
pub async fn start_unless_set(
    settings: &mut Settings,
    only: &[Part],
    data_dir: &Path,
) -> Result<Option<PrivateSandbox>, PrivateSandboxError> {
    let address = settings.sandbox_listen;
    let pay = &mut settings.services.pay;
    let is_set = pay.sandbox.sandbox_url.as_deref().is_some_and(|url| !url.is_empty());
    if !pay.connects(PaymentProvider::Sandbox) || is_set {
        return Ok(None);
    }
    keep_secrets(pay, data_dir)?;
    // Parts on their own use the sandbox of the one with the gateway.
    if !only.is_empty() && !only.contains(&Part::Gateway) {
        pay.sandbox.sandbox_url = Some(format!("http://{}", address.unwrap_or(USUAL)));
        return Ok(None);
    }
    let webhook_secrets = pay.sandbox.webhook_secrets()?;
    let webhook_secret = webhook_secrets.into_iter().next().unwrap_or_default();
    let sandbox = PrivateSandbox::start(address, pay.sandbox.key()?, webhook_secret).await?;
    pay.sandbox.sandbox_url = Some(sandbox.url.clone());
    Ok(Some(sandbox))
}

fn keep_secrets(pay: &mut PayConfig, data_dir: &Path) -> Result<(), SecretsError> {
    let sandbox = &mut pay.sandbox;
    if !is_given(sandbox.sandbox_key.as_ref(), sandbox.sandbox_key_file.as_ref()) {
        sandbox.sandbox_key_file = Some(secrets::secret_file(data_dir, "sandbox-key")?);
    }
    let (secret, file) = (&sandbox.sandbox_webhook_secret, &sandbox.sandbox_webhook_secret_file);
    if !is_given(secret.as_ref(), file.as_ref()) {
        sandbox.sandbox_webhook_secret_file = Some(secrets::secret_file(data_dir, "sandbox-webhook")?);
    }
    Ok(())
}
