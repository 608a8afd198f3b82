//! Messages that follow from facts: many at a time, each once however often its fact is told.

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{LANES, Outgoing, QUEUE};
use crate::store::{NewNamedJob, StoreError, insert_jobs_once};

/// The id of a message, from words that nothing else is told under.
pub fn id_of(words: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.len().to_le_bytes());
        hash.update(word);
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Writes the jobs that send these messages, in one statement. One whose id was written before stays as it is; ids are
/// remembered for as long as finished jobs are kept.
///
/// # Errors
/// PostgreSQL is away.
pub async fn send_once(
    connection: &mut PgConnection,
    messages: &[(Uuid, Outgoing)],
) -> Result<(), StoreError> {
    let jobs: Vec<(Uuid, NewNamedJob<&Outgoing>)> = messages
        .iter()
        .map(|(id, outgoing)| {
            // Never the first lane, which is for codes.
            let lane = 1 + u16::try_from(id.as_u128() % u128::from(LANES - 1)).unwrap_or(0);
            (*id, NewNamedJob { queue: QUEUE, lane, payload: outgoing, run_at: None })
        })
        .collect();
    insert_jobs_once(connection, &jobs).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_the_words_and_their_borders() {
        assert_eq!(id_of(&["a", "b"]), id_of(&["a", "b"]));
        assert_ne!(id_of(&["a", "b"]), id_of(&["ab"]));
    }
}
