//! Messages to everybody who has bought places at an event, some hundred people at a time.

use super::Fault;
use crate::messages::{Message, Outgoing, Recipient, id_of, send_once};
use crate::store::{Broadcast, Store, StoreError, next_broadcast_part};

/// Items of orders in one transaction.
const ITEMS: i64 = 1_000;

/// Goes on with the oldest message to everybody; how many people were told, `None` when there is nothing to tell. Whoever
/// has several places is told once.
///
/// # Errors
/// PostgreSQL is away; the next call goes on from where this one began.
pub async fn continue_broadcast(store: &Store) -> Result<Option<usize>, Fault> {
    let mut tx = store.begin().await?;
    let Some(part) = next_broadcast_part(&mut tx, ITEMS).await? else { return Ok(None) };
    let message = match part.what {
        Broadcast::EventCancelled => Message::EventCancelled { event: part.event },
        Broadcast::EventChanged => Message::EventChanged { event: part.event },
    };
    let to_user = |user| {
        let id = id_of(&["broadcast", &part.id.to_string(), &format!("{user}")]);
        (id, Outgoing { to: Recipient::User { id: user }, message: message.clone() })
    };
    let messages: Vec<_> = part.users.iter().copied().map(to_user).collect();
    send_once(&mut tx, &messages).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Some(messages.len()))
}
