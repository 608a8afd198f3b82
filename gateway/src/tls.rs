//! TLS 1.2 and 1.3 from certificate files, which may be renewed while we run; and plain HTTP sent over to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::RwLock;
use shared::seen::{self, Part};
use shared::telemetry::chain;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::config::GatewayConfig;
use crate::problem::{Code, Problem};
use crate::wire::Wire;

/// A handshake must be over within this time, so that half-made ones do not hold connections.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often it is looked whether the files are new ones.
const LOOK: Duration = Duration::from_secs(2);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of its kind.
    #[error("{path} holds no certificate or key that can be read")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key do not belong together, or are of no use.
    #[error("certificate and key cannot be used")]
    Refused(#[from] rustls::Error),
}

/// Takes TLS connections; clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// The certificate that is shown now.
#[derive(Debug)]
struct Certificate {
    files: [PathBuf; 2],
    shown: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.read().clone())
    }
}

impl Tls {
    /// Reads certificate and key; `None` where no files are set.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub fn load(config: &GatewayConfig) -> Result<Option<Self>, TlsError> {
        let (Some(cert), Some(key)) = (&config.tls_cert_file, &config.tls_key_file) else { return Ok(None) };
        let shown = RwLock::new(Arc::new(read(cert, key)?));
        let certificate = Arc::new(Certificate { files: [cert.clone(), key.clone()], shown });
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(server)), certificate }))
    }

    /// Shakes hands; `None` when that fails or takes too long.
    pub async fn accept(&self, wire: Wire) -> Option<TlsStream<Wire>> {
        match tokio::time::timeout(HANDSHAKE, self.acceptor.accept(wire)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(error = %error, "a handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    /// Shows new certificates as their files change, until `shutdown`. Files that are of no use, or half written, change
    /// nothing.
    pub async fn follow_files(self, shutdown: CancellationToken) {
        let [cert, key] = &self.certificate.files;
        let mut known = stamps(cert, key).await;
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let now = stamps(cert, key).await;
            if now == known {
                continue;
            }
            known = now;
            match read(cert, key) {
                Ok(new) => {
                    *self.certificate.shown.write() = Arc::new(new);
                    tracing::info!("the new certificate is shown from now on");
                }
                Err(error) => {
                    seen::error(Part::Gateway, "certificate", None);
                    tracing::warn!(
                        error = chain(&error),
                        "the certificate's files have changed and cannot be used; the one before is still shown"
                    );
                }
            }
        }
    }
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let of = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).map_err(of(cert))?.collect();
    let key = PrivateKeyDer::from_pem_file(key).map_err(of(key))?;
    Ok(CertifiedKey::from_der(chain.map_err(of(cert))?, key, &ring::default_provider())?)
}

/// When each file was written.
async fn stamps(cert: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    let of = async |path: &Path| tokio::fs::metadata(path).await.ok()?.modified().ok();
    [of(cert).await, of(key).await]
}

/// What answers plain HTTP: everything is elsewhere, at this port of the same host.
pub fn redirects(port: u16) -> Router {
    Router::new().fallback(redirect).with_state(port)
}

async fn redirect(State(port): State<u16>, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let place = host.parse::<Authority>().ok().map(|authority| match port {
        443 => format!("https://{}{path}", authority.host()),
        port => format!("https://{}:{port}{path}", authority.host()),
    });
    match place.and_then(|place| HeaderValue::try_from(place).ok()) {
        Some(place) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response(),
        None => Problem::new(Code::BadRequest, "Say the host, and use HTTPS").into_response(),
    }
}
