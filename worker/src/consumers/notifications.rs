//! Tells people what follows from facts. What is paid, not paid in time or given back is told by whoever does it, in the
//! transaction of the order.

use std::collections::HashSet;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use shared::domain::{BookingId, UserId};
use shared::messages::{Message, Outgoing, Recipient, id_of, send_once};
use shared::shop::{Fault, continue_broadcast};
use shared::store::{Broadcast, Consuming, Store};
use shared::stream::config::StreamConfig;
use shared::stream::{Envelope, Group};
use uuid::Uuid;

use super::{ConsumeError, Consumer};

/// The group `notifications`.
pub struct Notifications {
    has_reserved: bool,
    has_expired: bool,
}

/// Whose booking a fact is about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookingFact {
    booking_id: BookingId,
    user_id: UserId,
}

impl Notifications {
    /// Tells what the settings say.
    pub fn new(config: &StreamConfig) -> Self {
        Self { has_reserved: config.notify_reserved, has_expired: config.notify_expired }
    }

    async fn tell(&self, consuming: &mut Consuming, facts: &[&Envelope]) -> Result<(), ConsumeError> {
        let topic = facts.first().map_or("", |fact| fact.topic.as_str());
        match topic {
            "seat.selected" if self.has_reserved => tell_reserved(consuming, facts).await,
            "reservation.expired" if self.has_expired => tell_expired(consuming, facts).await,
            "event.cancelled" => tell_everybody(consuming, facts, Broadcast::EventCancelled).await,
            "event.changed" => tell_everybody(consuming, facts, Broadcast::EventChanged).await,
            _ => Ok(()),
        }
    }
}

fn to_user(id: UserId, message: Message) -> Outgoing {
    Outgoing { to: Recipient::User { id }, message }
}

/// One message a booking, however many seats and requests are in it.
async fn tell_reserved(consuming: &mut Consuming, facts: &[&Envelope]) -> Result<(), ConsumeError> {
    let mut messages: Vec<(Uuid, Outgoing)> = Vec::new();
    for fact in facts {
        let BookingFact { booking_id: booking, user_id } = fact.read()?;
        let id = id_of(&["seats_reserved", &booking.to_string()]);
        messages.push((id, to_user(user_id, Message::SeatsReserved { booking })));
    }
    Ok(send_once(consuming.connection(), &messages).await?)
}

/// One message a fact: a booking may run out in parts.
async fn tell_expired(consuming: &mut Consuming, facts: &[&Envelope]) -> Result<(), ConsumeError> {
    let mut messages: Vec<(BookingId, (Uuid, Outgoing))> = Vec::new();
    for fact in facts {
        let BookingFact { booking_id: booking, user_id } = fact.read()?;
        let id = id_of(&["reservation_expired", &fact.id]);
        messages.push((booking, (id, to_user(user_id, Message::ReservationExpired { booking }))));
    }
    let bookings: Vec<Uuid> = messages.iter().map(|(booking, _)| booking.0).collect();
    let told: HashSet<Uuid> = consuming.with_expired_order(&bookings).await?.into_iter().collect();
    let messages: Vec<(Uuid, Outgoing)> = messages
        .into_iter()
        .filter(|(booking, _)| !told.contains(&booking.0))
        .map(|(_, message)| message)
        .collect();
    Ok(send_once(consuming.connection(), &messages).await?)
}

/// Begins it; the parts follow one by one.
async fn tell_everybody(
    consuming: &mut Consuming,
    facts: &[&Envelope],
    what: Broadcast,
) -> Result<(), ConsumeError> {
    for fact in facts {
        let id = id_of(&[&fact.topic, &fact.id]);
        consuming.begin_broadcast(id, fact.event_id, what, fact.at()).await?;
    }
    Ok(())
}

impl Consumer for Notifications {
    fn group(&self) -> Group {
        Group::Notifications
    }

    fn handle<'a>(
        &'a self,
        consuming: &'a mut Consuming,
        facts: &'a [&'a Envelope],
    ) -> BoxFuture<'a, Result<(), ConsumeError>> {
        self.tell(consuming, facts).boxed()
    }

    fn work<'a>(&'a self, store: &'a Store) -> BoxFuture<'a, Result<bool, Fault>> {
        async move { Ok(continue_broadcast(store).await?.is_some()) }.boxed()
    }
}
