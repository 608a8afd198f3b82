//! A mail server and the connections to it that are kept between mails.
//!
//! Not lettre's pool: that one takes back a connection whose mail was given up in the middle, and the next mail would
//! then read the answer to that one as its own. Nor does it limit how long an answer may take. Here a connection goes
//! back only after a mail was taken on it, and everything has one time limit.

use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use parking_lot::Mutex;
use reqwest::Url;
use tokio::sync::Semaphore;

use crate::config::ConfigError;

/// Connections at the same time.
const CONNECTIONS: usize = 8;
/// How long an idle one is kept; servers close theirs after five minutes.
const IDLE: Duration = Duration::from_mins(1);

/// Why a mail was not taken.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server did not answer in time.
    Late,
    /// What lettre says.
    Smtp(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}

/// How what is said is encrypted.
enum Encryption {
    None,
    /// From the first byte on.
    Wrapped(TlsParameters),
    /// Begun in the clear, and ended there if the server cannot.
    StartTls(TlsParameters),
}

/// A mail server.
pub(super) struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
    hello: ClientId,
    limit: Duration,
    room: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

fn no_url(why: &str) -> ConfigError {
    ConfigError::Invalid(format!("SMTP_URL {why}; it is like smtps://user:password@mail.example.com"))
}

impl Server {
    /// The server of a URL, which greets it by this name; it is not asked yet.
    ///
    /// # Errors
    /// The URL makes no sense, or the password would leave the machine unencrypted.
    pub(super) fn new(text: &str, hello: &str, limit: Duration) -> Result<Self, ConfigError> {
        let url = Url::parse(text).map_err(|_| no_url("is no URL"))?;
        let host = url.host_str().ok_or_else(|| no_url("names no server"))?;
        let wants_tls = url.query_pairs().any(|(name, value)| name == "tls" && value == "required");
        let bare = host.trim_matches(['[', ']']);
        let tls = || {
            TlsParameters::new(bare.to_owned())
                .map_err(|_| no_url("asks for TLS, but this machine has no certificates to check it with"))
        };
        let (encryption, port) = match (url.scheme(), wants_tls) {
            ("smtps", _) => (Encryption::Wrapped(tls()?), 465),
            ("smtp", true) => (Encryption::StartTls(tls()?), 587),
            ("smtp", false) => (Encryption::None, 25),
            _ => return Err(no_url("begins with neither smtp:// nor smtps://")),
        };
        let credentials = credentials(&url)?;
        let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        if credentials.is_some() && matches!(encryption, Encryption::None) && !is_here {
            return Err(ConfigError::Invalid(
                "SMTP_URL would send its password unencrypted; use smtps://, or smtp:// with ?tls=required"
                    .to_owned(),
            ));
        }
        Ok(Self {
            host: bare.to_owned(),
            port: url.port().unwrap_or(port),
            encryption,
            credentials,
            hello: ClientId::Domain(hello.to_owned()),
            limit,
            room: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
        })
    }

    /// Hands a mail over.
    pub(super) async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), Failure> {
        // Never closed.
        let _room = self.room.acquire().await;
        let handing = async {
            let mut connection = self.connection().await?;
            connection.send(envelope, mail).await?;
            Ok::<_, Error>(connection)
        };
        let connection = tokio::time::timeout(self.limit, handing).await.map_err(|_| Failure::Late)??;
        self.idle.lock().push((connection, Instant::now()));
        Ok(())
    }

    /// A connection that answers: one that is idle, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Error> {
        loop {
            let kept = self.idle.lock().pop();
            match kept {
                Some((mut connection, since)) if since.elapsed() < IDLE => {
                    if connection.test_connected().await {
                        return Ok(connection);
                    }
                }
                Some(_) => {}
                None => return self.connect().await,
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let wrapped = match &self.encryption {
            Encryption::Wrapped(tls) => Some(tls.clone()),
            Encryption::None | Encryption::StartTls(_) => None,
        };
        let address = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.limit), &self.hello, wrapped, None)
                .await?;
        if let Encryption::StartTls(tls) = &self.encryption {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// User and password of a URL, if it has them.
fn credentials(url: &Url) -> Result<Option<Credentials>, ConfigError> {
    let Some(password) = url.password() else { return Ok(None) };
    let decoded =
        |text: &str| percent_decoded(text).ok_or_else(|| no_url("has a user or password that is no text"));
    Ok(Some(Credentials::new(decoded(url.username())?, decoded(password)?)))
}

/// Text in which `%41` stands for `A`; `None` when that makes no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, ConfigError> {
        Server::new(url, "tickets.test", Duration::from_secs(1))
    }

    #[test]
    fn a_password_does_not_leave_the_machine_unencrypted() {
        for (good, port) in [
            ("smtps://me:secret@mail.example.com", 465),
            ("smtp://me:secret@mail.example.com?tls=required", 587),
            ("smtp://me:secret@127.0.0.1:2525", 2525),
            ("smtp://me:secret@[::1]", 25),
            ("smtp://relay.internal", 25),
        ] {
            assert_eq!(server(good).map(|server| server.port).ok(), Some(port), "{good}");
        }
        for bad in [
            "smtp://me:secret@mail.example.com",
            "smtp://me:secret@mail.example.com?tls=opportunistic",
            "smtp://me:%ff@127.0.0.1",
            "http://mail.example.com",
            "mail.example.com",
        ] {
            let told = server(bad).map(drop).expect_err(bad).to_string();
            assert!(!told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn a_password_may_hold_any_letter() {
        assert_eq!(percent_decoded("p%40ss%2Fw%C3%B6rd").as_deref(), Some("p@ss/wörd"));
        assert_eq!(percent_decoded("100%"), None);
    }
}
