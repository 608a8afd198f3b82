//! The first connection. A pool says only that it took too long; why there is none is told as PostgreSQL or the network
//! says it.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::{Instant, sleep, timeout_at};

use super::StoreError;

/// How long a server that is just being started is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
/// The first major version that Usher is tried with.
const OLDEST: u32 = 15;

/// Opens a connection and closes it again.
///
/// # Errors
/// There is none, for the reason that is the error's source; or the server is too old.
pub(super) async fn reach(options: &PgConnectOptions) -> Result<(), StoreError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let source = match timeout_at(deadline, options.connect()).await {
            Ok(Ok(connection)) => {
                let version = connection.server_version_num();
                let _ = connection.close().await;
                return match version.and_then(too_old) {
                    Some(found) => Err(StoreError::TooOld { found, oldest: OLDEST }),
                    None => Ok(()),
                };
            }
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "nobody answers there").into(),
        };
        if !is_starting(&source) || Instant::now() + PAUSE >= deadline {
            return Err(StoreError::Unreachable { place: place_of(options), source });
        }
        sleep(PAUSE).await;
    }
}

/// As a server answers while it starts, or takes no more connections for a moment.
fn is_starting(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        // https://www.postgresql.org/docs/current/errcodes-appendix.html: too many connections, cannot connect now.
        Some(error) => matches!(error.code().as_deref(), Some("53300" | "57P03")),
        None => {
            matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused)
        }
    }
}

/// The version, where it is too old, of a number as in `server_version_num`: the major version and four digits more; before
/// version 10 it had two parts, the second of them in the first two of the four.
/// <https://www.postgresql.org/docs/current/libpq-status.html#LIBPQ-PQSERVERVERSION>
fn too_old(number: u32) -> Option<String> {
    let (major, minor) = (number / 10_000, number % 10_000);
    let minor = if major < 10 { format!("{}.{}", minor / 100, minor % 100) } else { minor.to_string() };
    (major < OLDEST).then(|| format!("{major}.{minor}"))
}

/// Everything of an address but the password.
fn place_of(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let user = options.get_username();
    format!("{user}@{host}, database {}", options.get_database().unwrap_or(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_postgresql_15_is_too_old() {
        assert_eq!(too_old(140_019).as_deref(), Some("14.19"));
        assert_eq!(too_old(90_624).as_deref(), Some("9.6.24"));
        assert_eq!(too_old(150_000), None);
        assert_eq!(too_old(180_001), None);
    }
}
