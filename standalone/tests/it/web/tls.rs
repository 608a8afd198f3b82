//! TLS by our own hand: versions, a renewed certificate, and plain HTTP sent over to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use standalone::settings::Part;
use standalone::system::System;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};

use crate::lab::{Lab, TestResult, eventually};

type AnyError = Box<dyn std::error::Error>;

/// A new certificate for `localhost`, written where the gateway looks for it.
fn renew(dir: &Path) -> Result<CertificateDer<'static>, AnyError> {
    let CertifiedKey::<KeyPair> { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()])?;
    // The key first: in between the two do not belong together, which must harm nobody.
    std::fs::write(dir.join("key.pem"), signing_key.serialize_pem())?;
    std::fs::write(dir.join("cert.pem"), cert.pem())?;
    Ok(cert.der().clone())
}

/// Asks over one version, trusting this certificate alone; the version spoken, and the answer.
async fn ask(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    path: &str,
) -> Result<(Option<ProtocolVersion>, String), AnyError> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
    let spoken = stream.get_ref().1.protocol_version();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok((spoken, String::from_utf8_lossy(&answer).into_owned()))
}

struct Secure {
    lab: Lab,
    system: System,
    dir: tempfile::TempDir,
    address: SocketAddr,
    plain: SocketAddr,
    certificate: CertificateDer<'static>,
}

/// A gateway with a certificate of its own, beside the plain one of the lab.
async fn start() -> Result<Secure, AnyError> {
    let lab = Lab::start().await?;
    let dir = tempfile::tempdir()?;
    let certificate = renew(dir.path())?;
    let plain = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let settings = lab.settings(&[
        &format!("--tls-cert-file={}", dir.path().join("cert.pem").display()),
        &format!("--tls-key-file={}", dir.path().join("key.pem").display()),
        &format!("--http-redirect-listen={plain}"),
    ])?;
    let system = System::start(&settings, &[Part::Gateway]).await?;
    let address = system.url.strip_prefix("https://").ok_or("TLS is spoken")?.parse()?;
    eventually("it answers", async || {
        ask(address, &certificate, &TLS13, "/ready").await.is_ok_and(|(_, answer)| answer.contains(" 200 OK"))
    })
    .await;
    Ok(Secure { lab, system, dir, address, plain, certificate })
}

#[tokio::test]
async fn both_versions_are_spoken_and_browsers_are_told_to_stay() -> TestResult {
    let secure = start().await?;
    for version in [&TLS12, &TLS13] {
        let (spoken, answer) = ask(secure.address, &secure.certificate, version, "/concerts").await?;
        assert_eq!(spoken, Some(version.version));
        assert!(answer.to_lowercase().contains("strict-transport-security: max-age="), "{answer:.600}");
    }
    let body = r#"{"login":"a","password":"b"}"#;
    let mut plain = TcpStream::connect(secure.address).await?;
    let request =
        format!("POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    plain.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "nothing is said in plain on that port");
    secure.system.stop().await;
    Ok(())
}

#[tokio::test]
async fn plain_http_is_sent_over_with_its_path() -> TestResult {
    let secure = start().await?;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let answer = client.get(format!("http://{}/api/events?page=2", secure.plain)).send().await?;
    assert_eq!(answer.status().as_u16(), 308);
    let place = answer.headers()["location"].to_str()?.to_owned();
    assert_eq!(place, format!("https://127.0.0.1:{}/api/events?page=2", secure.address.port()));
    let mut stream = TcpStream::connect(secure.plain).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 400"), "a host that is none: {answer}");
    secure.system.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() -> TestResult {
    let secure = start().await?;
    let renewed = renew(secure.dir.path())?;
    eventually("the new one is shown", async || {
        ask(secure.address, &renewed, &TLS13, "/health").await.is_ok()
    })
    .await;
    assert!(ask(secure.address, &secure.certificate, &TLS13, "/health").await.is_err());
    std::fs::write(secure.dir.path().join("cert.pem"), "no certificate")?;
    let operator = secure.lab.with_role(shared::auth::Role::Operator).await?;
    eventually("the broken one is noticed", async || {
        let answer = operator.get("/api/admin/errors?code=certificate").await;
        answer.is_ok_and(|(_, list)| list["items"].as_array().is_some_and(|items| !items.is_empty()))
    })
    .await;
    assert!(ask(secure.address, &renewed, &TLS13, "/health").await.is_ok(), "the one before is still shown");
    secure.system.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut_off() -> TestResult {
    let secure = start().await?;
    let mut stream = TcpStream::connect(secure.address).await?;
    stream.write_all(&[0x16, 0x03, 0x01]).await?;
    let (started, mut answer) = (Instant::now(), Vec::new());
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await?;
    assert!(started.elapsed() > Duration::from_secs(4), "{:?}", started.elapsed());
    secure.system.stop().await;
    Ok(())
}
