//! Time-outs on this side of a connection. PostgreSQL's own end a statement that takes too long, and say so; of a machine
//! that vanished nothing is heard, and whoever waits for an answer waits until the kernel gives up, or for ever. So loops
//! that must go on ask in time.
//!
//! What is given up is dropped in the midst of its statement. Its connection must not serve anybody else before that was
//! answered; sqlx sees to that by a question of its own when the connection comes back to the pool, and waits for the
//! answer without an end, while the connection's place in the pool stays taken. [`giving_up`] puts an end to it.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgPoolOptions;
use tokio::time::timeout;

use super::StoreError;

/// For a statement, or a transaction of a few: PostgreSQL ends each after 10 s at most.
pub const STATEMENT: Duration = Duration::from_secs(30);
/// For a round of a loop, which makes many of them.
pub const ROUND: Duration = Duration::from_mins(1);
/// For the answer to what was given up, before its connection is closed.
const LAST_ANSWER: Duration = Duration::from_secs(15);

/// Does it, or gives up. What was given up may have been carried out, as with any connection that is lost.
///
/// # Errors
/// As the work, or [`StoreError::Late`].
pub async fn in_time<T, E: From<StoreError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => {
            metrics::counter!("usher_store_given_up_total").increment(1);
            Err(StoreError::Late(limit).into())
        }
    }
}

/// A pool that closes connections whose last statement is not answered any more. Of others nothing is asked: `flush`,
/// which sqlx does not document, waits only for answers that are still to come, so it costs nothing otherwise.
pub(super) fn giving_up(options: PgPoolOptions) -> PgPoolOptions {
    options.after_release(|connection, _| {
        Box::pin(async move {
            match timeout(LAST_ANSWER, connection.flush()).await {
                Ok(answered) => answered.map(|()| true),
                Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
            }
        })
    })
}
