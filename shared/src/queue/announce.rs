//! Telling what changed outside of a batch.

use super::feed::SeatsChanged;
use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{EventId, UserId};

/// Places in one call at most.
const PLACES_PER_CALL: usize = 1_000;

impl Queue {
    /// Tells the feed of places that came free, removes their reservation keys, and brings those who stand by for such
    /// places back to the head of the lane ([`Queue::recall_for`]); returns how many.
    ///
    /// # Errors
    /// Redis is away. What shoppers see then lags until the next reload; who has what does not.
    pub async fn announce_seats(&self, event: EventId, changed: &SeatsChanged) -> Result<u64, QueueError> {
        let (mut standing, mut fault) = (0, None);
        let mut told = Some(changed.told.clone());
        let seats = changed.seats.chunks(PLACES_PER_CALL).map(|seats| (seats, &[][..]));
        let slots = changed.slots.chunks(PLACES_PER_CALL).map(|slots| (&[][..], slots));
        let parts: Vec<_> = seats.chain(slots).collect();
        let parts = if parts.is_empty() { vec![(&[][..], &[][..])] } else { parts };
        for (seats, slots) in parts {
            let entry = SeatsChanged {
                seats: seats.to_vec(),
                slots: slots.to_vec(),
                told: told.take().unwrap_or_default(),
                ..SeatsChanged::default()
            };
            match self.announce(event, &entry).await {
                Ok(now) => standing = now,
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        match fault {
            None if standing == 0 => Ok(0),
            None => self.recall_for(event, changed).await,
            Some(error) => {
                self.recall_for(event, changed).await?;
                Err(error)
            }
        }
    }

    /// Tells the feed of places that were sold, and removes their reservation keys.
    ///
    /// # Errors
    /// As [`Queue::announce_seats`].
    pub async fn announce_sold(&self, event: EventId, sold: &SeatsChanged) -> Result<(), QueueError> {
        let seats = sold.sold.chunks(PLACES_PER_CALL).map(|seats| (seats, &[][..]));
        let slots = sold.sold_slots.chunks(PLACES_PER_CALL).map(|slots| (&[][..], slots));
        for (seats, slots) in seats.chain(slots) {
            let entry =
                SeatsChanged { sold: seats.to_vec(), sold_slots: slots.to_vec(), ..SeatsChanged::default() };
            self.announce(event, &entry).await?;
        }
        Ok(())
    }

    /// One call of the script; returns how many stand by.
    async fn announce(&self, event: EventId, entry: &SeatsChanged) -> Result<u64, QueueError> {
        let (keys, partition) = (self.keys(), Partition::of(event));
        let mut names =
            vec![keys.partition(partition), keys.feed(partition), keys.standby(event), keys.meta(event)];
        names.extend(entry.seats.iter().map(|seat| keys.seat_reserved(event, *seat)));
        names.extend(entry.slots.iter().map(|(area, slot)| keys.slot_reserved(event, *area, *slot)));
        names.extend(entry.sold.iter().map(|seat| keys.seat_reserved(event, *seat)));
        names.extend(entry.sold_slots.iter().map(|(area, slot)| keys.slot_reserved(event, *area, *slot)));
        let args = [
            arg(event),
            arg(serde_json::to_string(entry).unwrap_or_default()),
            arg(u8::from(!entry.is_nothing_freed())),
        ];
        let mut reply = self.call(script!("announce"), &names, &args).await?;
        match reply.word.as_str() {
            "announced" => reply.next(),
            _ => Err(reply.unknown()),
        }
    }

    /// Writes reservation keys, each with its owner and what is left of the hold (ms).
    ///
    /// # Errors
    /// Redis is away.
    pub async fn show_reservations(&self, held: &[(String, UserId, i64)]) -> Result<(), QueueError> {
        for held in held.chunks(PLACES_PER_CALL) {
            let mut pipe = redis::pipe();
            for (key, user, ttl_ms) in held {
                pipe.cmd("SET").arg(key).arg(user.0).arg("PX").arg((*ttl_ms).max(1)).ignore();
            }
            let () = pipe.query_async(&mut self.connection()).await?;
        }
        Ok(())
    }
}
