//! Carts: made, looked at, emptied. None of this queues; it only makes more free.

use std::net::IpAddr;

use chrono::Utc;

use super::{BookingView, CartView, Catalogue, Fault};
use crate::domain::{BookingId, EventId, Refusal, Reservation, UserId};
use crate::queue::Queue;
use crate::queue::feed::{SeatsChanged, Told};
use crate::store::{BookingFigures, BookingRecord, ClaimedPlace, Closed, Freed, Store, StoreError};

/// Why a cart was not changed.
#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// No such event, booking or place of this shopper.
    #[error("there is no such event, booking or place in your cart")]
    NotFound,
    /// The event is not being sold.
    #[error("this event is not on sale now")]
    SaleClosed,
    /// The event gives one booking a person.
    #[error("you have already booked a place at this event")]
    AlreadyBooked,
    /// The booking is no longer open.
    #[error("this booking is {0} and cannot be changed")]
    Closed(String),
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for CartError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// The carts; clones share them.
#[derive(Clone)]
pub struct Carts {
    store: Store,
    queue: Queue,
    catalogue: Catalogue,
}

impl Carts {
    /// Carts over these.
    pub fn new(store: Store, queue: Queue, catalogue: Catalogue) -> Self {
        Self { store, queue, catalogue }
    }

    /// Opens a booking, or finds the open one; true when it is new. None is opened when the event is not on sale.
    ///
    /// # Errors
    /// No such event, its sale is closed and no booking open, or a store is away.
    pub async fn open(
        &self,
        event: EventId,
        user: UserId,
        ip: Option<IpAddr>,
    ) -> Result<(BookingView, bool), CartError> {
        let known = self.catalogue.event(event).await?.ok_or(CartError::NotFound)?;
        if !known.is_on_sale() {
            let mut bookings = self.store.bookings(user, Some(event), None).await?.into_iter();
            let open = bookings.find(|booking| booking.status == "created").ok_or(CartError::SaleClosed)?;
            return Ok((self.view(open).await?, false));
        }
        let opened =
            self.store.open_booking(event, user, ip).await.map_err(|error| match error.constraint() {
                Some("bookings_only_key") => CartError::AlreadyBooked,
                _ => error.into(),
            })?;
        announce(&self.queue, &opened.freed, true).await;
        Ok((self.view(opened.booking).await?, opened.is_new))
    }

    /// The latest bookings of somebody.
    ///
    /// # Errors
    /// A store is away.
    pub async fn bookings(&self, user: UserId) -> Result<Vec<BookingView>, CartError> {
        let mut views = Vec::new();
        for booking in self.store.bookings(user, None, None).await? {
            views.push(self.view(booking).await?);
        }
        Ok(views)
    }

    /// One booking of somebody.
    ///
    /// # Errors
    /// It is not theirs, or a store is away.
    pub async fn booking(&self, user: UserId, id: BookingId) -> Result<BookingView, CartError> {
        let mut bookings = self.store.bookings(user, None, Some(id)).await?;
        self.view(bookings.pop().ok_or(CartError::NotFound)?).await
    }

    /// One booking, whosever it is; with its owner.
    ///
    /// # Errors
    /// There is none, or a store is away.
    pub async fn any_booking(&self, id: BookingId) -> Result<(UserId, BookingView), CartError> {
        let owner = self.store.booking_owner(id).await?.ok_or(CartError::NotFound)?;
        Ok((owner, self.booking(owner, id).await?))
    }

    /// How much somebody has booked.
    ///
    /// # Errors
    /// There is nobody of this id, or a store is away.
    pub async fn figures(&self, user: UserId) -> Result<BookingFigures, CartError> {
        self.store.booking_figures(user).await?.ok_or(CartError::NotFound)
    }

    /// What somebody has in their cart.
    ///
    /// # Errors
    /// A store is away.
    pub async fn cart(&self, user: UserId) -> Result<CartView, CartError> {
        let mut items = Vec::new();
        for booking in self.store.cart(user).await? {
            items.push(self.view(booking).await?);
        }
        Ok(CartView::new(items, self.store.now().await?))
    }

    /// Takes a place out of somebody's cart; with a booking's id, out of that one only.
    ///
    /// # Errors
    /// It is not in their cart, or a store is away.
    pub async fn release(
        &self,
        user: UserId,
        place: ClaimedPlace,
        only: Option<BookingId>,
    ) -> Result<BookingView, CartError> {
        if let Some(id) = only {
            let booking =
                self.store.bookings(user, None, Some(id)).await?.pop().ok_or(CartError::NotFound)?;
            if !booking.claims.iter().any(|claim| claim.place == place) {
                return Err(CartError::NotFound);
            }
        }
        let closed = self.store.release_place(user, place).await?.ok_or(CartError::NotFound)?;
        self.told(closed).await
    }

    /// Cancels an open booking; one that is cancelled already stays so.
    ///
    /// # Errors
    /// It is not theirs, it is paid or expired, or a store is away.
    pub async fn cancel(
        &self,
        user: UserId,
        id: BookingId,
        ip: Option<IpAddr>,
    ) -> Result<BookingView, CartError> {
        let closed = self.store.cancel_booking(user, id, ip).await?.ok_or(CartError::NotFound)?;
        if closed.booking.status != "cancelled" {
            return Err(CartError::Closed(closed.booking.status));
        }
        self.told(closed).await
    }

    /// Leaves every line that somebody is in; what is decided meanwhile stays decided. Returns how many jobs that were.
    ///
    /// # Errors
    /// A store is away; doing it again is safe.
    pub async fn leave_lines(&self, user: UserId) -> Result<usize, Fault> {
        let jobs = self.queue.jobs_of(user).await?;
        for (event, number, envelope) in &jobs {
            let standing = self.store.end_job(*event, *number, envelope, Refusal::Left).await?;
            self.queue.leave(*event, &[(*number, envelope.clone(), standing)]).await?;
        }
        Ok(jobs.len())
    }

    /// Gives back what a job won whose owner has left; returns what came free by it, to be announced.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn give_back(
        &self,
        event: EventId,
        user: UserId,
        won: &Reservation,
    ) -> Result<Vec<Freed>, Fault> {
        let seats = won.seats.iter().map(|seat| ClaimedPlace::Seat(*seat));
        let slots = won.slots.iter().map(|(area, slot)| ClaimedPlace::Slot(*area, *slot));
        let mut freed = Vec::new();
        for place in seats.chain(slots) {
            if let Some(closed) = self.store.release_place(user, place).await? {
                freed.extend(closed.freed);
            }
        }
        tracing::info!(event.id = event.0, user.id = user.0, "shopper left while winning; places given back");
        Ok(freed)
    }

    /// Tells everybody of places that were given back.
    pub async fn announce(&self, freed: &[Freed]) {
        announce(&self.queue, freed, false).await;
    }

    async fn told(&self, closed: Closed) -> Result<BookingView, CartError> {
        announce(&self.queue, &closed.freed, false).await;
        self.view(closed.booking).await
    }

    async fn view(&self, booking: BookingRecord) -> Result<BookingView, CartError> {
        let seats = booking.claims.iter().filter_map(|claim| match claim.place {
            ClaimedPlace::Seat(seat) => Some(seat),
            ClaimedPlace::Slot(..) => None,
        });
        let event = self.catalogue.event_with(booking.event, &seats.collect::<Vec<_>>()).await?;
        let name = event.as_ref().map(|event| event.record.name.clone()).unwrap_or_default();
        let now = event.as_ref().map_or_else(Utc::now, super::Event::now);
        Ok(BookingView::new(booking, name, event.as_ref().map(|event| &*event.layout), now))
    }
}

/// Tells everybody of places that came free, to the end even if the caller hangs up. It is only a hint: when Redis is away,
/// what shoppers see lags until gateways read the seats anew.
pub(super) async fn announce(queue: &Queue, freed: &[Freed], is_expiry: bool) {
    let mut events: std::collections::BTreeMap<EventId, SeatsChanged> = std::collections::BTreeMap::new();
    for one in freed {
        let changed = events.entry(one.event).or_default();
        note_told(&mut changed.told, one, is_expiry);
        note_free(changed, one.place);
    }
    let queue = queue.clone();
    let telling = tokio::spawn(async move {
        for (event, changed) in events {
            if let Err(error) = queue.announce_seats(event, &changed).await {
                tracing::warn!(
                    event.id = event.0,
                    error = crate::telemetry::chain(&error),
                    "freed places could not be announced; gateways find them within half a minute"
                );
            }
        }
    });
    let _ = telling.await;
}

/// Tells everybody of places that are sold now; a hint likewise.
pub(super) async fn announce_sold(queue: &Queue, sold: &[Freed]) {
    let mut events: std::collections::BTreeMap<EventId, SeatsChanged> = std::collections::BTreeMap::new();
    for one in sold {
        let changed = events.entry(one.event).or_default();
        match one.place {
            ClaimedPlace::Seat(seat) => changed.sold.push(seat),
            ClaimedPlace::Slot(area, slot) => changed.sold_slots.push((area, slot)),
        }
    }
    for (event, changed) in events {
        if let Err(error) = queue.announce_sold(event, &changed).await {
            tracing::warn!(
                event.id = event.0,
                error = crate::telemetry::chain(&error),
                "sold places could not be announced; gateways find them within half a minute"
            );
        }
    }
}

/// Adds a place to what its booking is told of. Places of one booking come one after another.
pub(super) fn note_told(all: &mut Vec<Told>, freed: &Freed, is_expiry: bool) {
    if all.last().is_none_or(|last| last.booking != freed.booking) {
        let (user, booking) = (freed.user, freed.booking);
        all.push(Told { user, booking, is_expiry, seats: Vec::new(), slots: Vec::new() });
    }
    let Some(told) = all.last_mut() else { return };
    match freed.place {
        ClaimedPlace::Seat(seat) => told.seats.push(seat),
        ClaimedPlace::Slot(area, slot) => told.slots.push((area, slot)),
    }
}

/// Adds a place to those that came free.
pub(super) fn note_free(changed: &mut SeatsChanged, place: ClaimedPlace) {
    match place {
        ClaimedPlace::Seat(seat) => changed.seats.push(seat),
        ClaimedPlace::Slot(area, slot) => changed.slots.push((area, slot)),
    }
}
