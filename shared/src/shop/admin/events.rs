//! Events.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{AdminError, Administration, Change, invalid, line, paragraphs};
use crate::domain::EventId;
use crate::store::{By, Deleted, EventData, EventRow, NewTier, Part};

/// Days that an event should be on sale before it begins.
const ON_SALE_DAYS: i64 = 60;
/// Artists that one event may have.
const ARTISTS: usize = 100;
/// Prices that one event may have.
const TIERS: usize = 100;
/// No price is higher, in minor units.
const DEAREST: i64 = 100_000_000_000;

/// What is to be changed of an event. A new one needs a venue, a name, and its times.
#[derive(Debug, Clone, Default)]
pub struct EventPatch {
    /// Where it is.
    pub venue: Option<i64>,
    /// As shown.
    pub name: Option<String>,
    /// As shown.
    pub description: Change<String>,
    /// Who plays, in order.
    pub artists: Option<Vec<i64>>,
    /// When it begins.
    pub starts_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub ends_at: Change<DateTime<Utc>>,
    /// From when on it is sold.
    pub sales_open_at: Option<DateTime<Utc>>,
    /// Until when it is sold.
    pub sales_close_at: Option<DateTime<Utc>>,
    /// Places that one shopper may have.
    pub seat_limit: Option<u32>,
    /// Seconds that a reservation holds.
    pub hold_seconds: Option<u32>,
    /// One booking a person.
    pub one_booking_each: Option<bool>,
    /// Tickets may be given back until so many hours before the beginning.
    pub refund_until_hours: Change<u32>,
    /// Prices; those of a name that is there already change.
    pub tiers: Vec<NewTier>,
}

/// Something about an event that an admin may not have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// It is on sale for less than 60 days before it begins.
    SaleOpensLate,
    /// It is sold after it has begun.
    SaleClosesLate,
    /// It has begun.
    HasBegun,
    /// There is nothing to sell.
    NoPlaces,
}

impl Warning {
    /// The warnings about an event.
    pub fn of(event: &EventRow) -> Vec<Self> {
        let data = &event.data;
        let all = [
            (Self::SaleOpensLate, data.starts_at - data.sales_open_at < TimeDelta::days(ON_SALE_DAYS)),
            (Self::SaleClosesLate, data.sales_close_at > data.starts_at),
            (Self::HasBegun, data.starts_at <= event.read_at),
            (Self::NoPlaces, event.capacity == 0),
        ];
        all.into_iter().filter(|(_, is_so)| *is_so).map(|(warning, _)| warning).collect()
    }

    /// As sent.
    pub fn code(self) -> &'static str {
        match self {
            Self::SaleOpensLate => "sale_opens_late",
            Self::SaleClosesLate => "sale_closes_late",
            Self::HasBegun => "has_begun",
            Self::NoPlaces => "no_places",
        }
    }

    /// A sentence about it.
    pub fn text(self) -> &'static str {
        match self {
            Self::SaleOpensLate => "the sale opens less than 60 days before the event begins",
            Self::SaleClosesLate => "the sale closes after the event has begun",
            Self::HasBegun => "the event has begun already",
            Self::NoPlaces => "the event has no places yet",
        }
    }
}

impl EventPatch {
    fn first(&self) -> Result<EventData, AdminError> {
        let need = |name: &str| AdminError::Invalid(format!("{name} is needed"));
        Ok(EventData {
            venue: self.venue.ok_or_else(|| need("venueId"))?,
            name: self.name.clone().ok_or_else(|| need("name"))?,
            description: String::new(),
            artists: Vec::new(),
            starts_at: self.starts_at.ok_or_else(|| need("startsAt"))?,
            ends_at: None,
            sales_open_at: self.sales_open_at.ok_or_else(|| need("salesOpenAt"))?,
            sales_close_at: self.sales_close_at.ok_or_else(|| need("salesCloseAt"))?,
            seat_limit: 6,
            hold_seconds: 900,
            one_booking_each: false,
            refund_until_hours: Some(24),
        })
    }

    fn apply(self, mut event: EventData) -> Result<EventData, AdminError> {
        let mut description = Some(event.description);
        self.description.apply(&mut description);
        event.venue = self.venue.unwrap_or(event.venue);
        event.name = line(&self.name.unwrap_or(event.name), "name", 200)?;
        event.description = paragraphs(&description.unwrap_or_default(), "description", 10_000)?;
        event.artists = self.artists.unwrap_or(event.artists);
        event.starts_at = self.starts_at.unwrap_or(event.starts_at);
        self.ends_at.apply(&mut event.ends_at);
        event.sales_open_at = self.sales_open_at.unwrap_or(event.sales_open_at);
        event.sales_close_at = self.sales_close_at.unwrap_or(event.sales_close_at);
        event.seat_limit = self.seat_limit.unwrap_or(event.seat_limit);
        event.hold_seconds = self.hold_seconds.unwrap_or(event.hold_seconds);
        event.one_booking_each = self.one_booking_each.unwrap_or(event.one_booking_each);
        self.refund_until_hours.apply(&mut event.refund_until_hours);
        check(&event)?;
        Ok(event)
    }
}

fn check(event: &EventData) -> Result<(), AdminError> {
    let times = [Some(event.starts_at), event.ends_at, Some(event.sales_open_at), Some(event.sales_close_at)];
    let near = TimeDelta::days(366 * 1_000);
    let distinct: HashSet<i64> = event.artists.iter().copied().collect();
    let rules = [
        (
            times.iter().flatten().all(|at| (*at - DateTime::UNIX_EPOCH).abs() < near),
            "a time is too far away",
        ),
        (event.ends_at.is_none_or(|ends| ends > event.starts_at), "endsAt must be after startsAt"),
        (event.sales_open_at < event.sales_close_at, "salesCloseAt must be after salesOpenAt"),
        ((1..=100).contains(&event.seat_limit), "seatLimit must be 1 to 100"),
        ((1..=86_400).contains(&event.hold_seconds), "holdSeconds must be 1 to 86,400"),
        (
            event.refund_until_hours.is_none_or(|hours| hours <= 100_000),
            "refundUntilHours must be 100,000 at most",
        ),
        (
            event.artists.len() <= ARTISTS && distinct.len() == event.artists.len(),
            "artistIds must be 100 different ones at most",
        ),
    ];
    match rules.into_iter().find(|(is_kept, _)| !is_kept) {
        Some((_, told)) => invalid(told),
        None => Ok(()),
    }
}

fn check_tiers(tiers: &[NewTier]) -> Result<(), AdminError> {
    let mut names = HashSet::new();
    if tiers.len() > TIERS {
        return invalid(format!("tiers must be {TIERS} at most"));
    }
    for tier in tiers {
        line(&tier.name, "a tier's name", 100)?;
        if tier.name.trim() != tier.name || !names.insert(&tier.name) {
            return invalid(format!("tier {:?} stands there twice, or with spaces around it", tier.name));
        }
        let is_iso = tier.price.currency.len() == 3
            && tier.price.currency.bytes().all(|letter| letter.is_ascii_uppercase());
        if !(0..=DEAREST).contains(&tier.price.amount) || !is_iso {
            return invalid(format!(
                "tier {:?} needs a price in minor units of an ISO 4217 currency",
                tier.name
            ));
        }
    }
    Ok(())
}

impl Administration {
    /// Adds an event, with the places of a layout if one is given.
    ///
    /// # Errors
    /// A value is not acceptable; the layout is of another venue, or needs a tier that has no price.
    pub async fn create_event(
        &self,
        mut event: EventPatch,
        layout: Option<i64>,
        by: &By,
    ) -> Result<EventRow, AdminError> {
        let tiers = std::mem::take(&mut event.tiers);
        check_tiers(&tiers)?;
        let first = event.first()?;
        let event = event.apply(first)?;
        if let Some(layout) = layout {
            let layout = self.store.layouts(None, Some(layout)).await?.pop();
            let Some(layout) = layout.filter(|layout| layout.venue == event.venue) else {
                return invalid("this venue has no such layout");
            };
            let missing: Vec<&str> = layout
                .tiers
                .iter()
                .map(String::as_str)
                .filter(|name| !tiers.iter().any(|tier| tier.name == *name))
                .collect();
            if !missing.is_empty() {
                return invalid(format!("the layout needs a price for {}", missing.join(", ")));
            }
        }
        let id = self.store.insert_event(&event, &tiers, layout, by).await?;
        self.event(id).await
    }

    /// One event as admins see it.
    ///
    /// # Errors
    /// There is none.
    pub async fn event(&self, id: EventId) -> Result<EventRow, AdminError> {
        let rows = self.store.event_rows(Some(id), Part { offset: 0, limit: 1 }).await?.pop();
        rows.ok_or(AdminError::NotFound("event"))
    }

    /// All events, cancelled and past ones too, latest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn events(&self, part: Part) -> Result<Vec<EventRow>, AdminError> {
        Ok(self.store.event_rows(None, part).await?)
    }

    /// Changes an event. Those who have tickets are told when it moves in time or space.
    ///
    /// # Errors
    /// There is none, or a value is not acceptable.
    pub async fn change_event(
        &self,
        id: EventId,
        mut patch: EventPatch,
        by: &By,
    ) -> Result<EventRow, AdminError> {
        let tiers = std::mem::take(&mut patch.tiers);
        check_tiers(&tiers)?;
        let changed = self.store.change_event(id, &tiers, by, |event| patch.apply(event)).await?;
        changed.ok_or(AdminError::NotFound("event"))
    }

    /// Cancels an event. Doing it twice does it once.
    ///
    /// # Errors
    /// There is none.
    pub async fn cancel_event(&self, id: EventId, by: &By) -> Result<EventRow, AdminError> {
        if !self.store.cancel_event(id, by).await? {
            return Err(AdminError::NotFound("event"));
        }
        self.event(id).await
    }

    /// Deletes an event that nobody has reserved or bought anything of.
    ///
    /// # Errors
    /// There is none, or somebody has.
    pub async fn delete_event(&self, id: EventId, by: &By) -> Result<(), AdminError> {
        match self.store.delete_event(id, by).await? {
            Deleted::Done => Ok(()),
            Deleted::NotFound => Err(AdminError::NotFound("event")),
            Deleted::InUse => Err(AdminError::InUse(
                "somebody has reserved or bought places of this event; cancel it instead",
            )),
        }
    }
}
