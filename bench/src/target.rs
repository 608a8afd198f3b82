//! Where the load goes: this machine and no other.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};

/// A server on the loopback address.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Host and port, as the `Host` header has them.
    pub host: String,
}

impl Target {
    /// Reads an `http` URL and refuses every host but this one.
    pub async fn of(url: &str) -> Result<Self> {
        let parsed = reqwest::Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        if parsed.scheme() != "http" {
            bail!("{url} is not http://: the load goes to this machine, where nothing else is needed");
        }
        let host = parsed.host_str().with_context(|| format!("{url} names no host"))?.to_owned();
        let port = parsed.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = tokio::net::lookup_host((bare, port))
            .await
            .with_context(|| format!("{host} is not known here"))?
            .collect();
        if found.iter().any(|address| !address.ip().is_loopback()) {
            bail!("{host} is another machine; load goes to this one only (127.0.0.1, ::1, localhost)");
        }
        // `localhost` may have both addresses, and Usher listens on the older one.
        let address = found
            .iter()
            .find(|address| address.is_ipv4())
            .or_else(|| found.first())
            .copied()
            .with_context(|| format!("{host} has no address"))?;
        Ok(Self { address, host: format!("{host}:{port}") })
    }

    /// The target's base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_machine_is_a_target() {
        for url in ["http://127.0.0.1:8000", "http://[::1]:8000/", "http://127.8.8.8:1"] {
            assert!(Target::of(url).await.is_ok(), "{url}");
        }
        for url in ["http://192.0.2.1:8000", "https://127.0.0.1:8000", "nonsense"] {
            assert!(Target::of(url).await.is_err(), "{url}");
        }
    }
}
