//! The keys in Redis that show who has reserved what. They are nobody's proof: PostgreSQL says what holds.

use super::Fault;
use crate::domain::{AreaId, EventId, SeatId};
use crate::queue::Queue;
use crate::store::Store;

/// Places read at once.
const PLACES: i64 = 1_000;

/// Writes the keys of all that is reserved of an event, as PostgreSQL has it; how many.
///
/// # Errors
/// A store is away.
pub(super) async fn show_event(store: &Store, queue: &Queue, event: EventId) -> Result<usize, Fault> {
    let (keys, mut written) = (queue.keys(), 0);
    let mut after = SeatId(0);
    loop {
        let page = store.reservations_after(event, after, PLACES).await?;
        let Some((last, ..)) = page.last() else { break };
        after = *last;
        written += page.len();
        let held =
            page.into_iter().map(|(seat, user, ttl_ms)| (keys.seat_reserved(event, seat), user, ttl_ms));
        queue.show_reservations(&held.collect::<Vec<_>>()).await?;
    }
    let mut after = (AreaId(0), 0);
    loop {
        let page = store.slot_reservations_after(event, after, PLACES).await?;
        let Some((last, ..)) = page.last() else { return Ok(written) };
        after = *last;
        written += page.len();
        let shown = |((area, slot), user, ttl_ms)| (keys.slot_reserved(event, area, slot), user, ttl_ms);
        let held: Vec<_> = page.into_iter().map(shown).collect();
        queue.show_reservations(&held).await?;
    }
}
