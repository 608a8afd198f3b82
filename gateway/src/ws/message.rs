//! What browsers and Usher say to each other, one JSON object a message.

use serde::{Deserialize, Serialize};
use shared::domain::{AreaId, BookingId, EventId, SeatId};
use shared::shop::{ReservationView, Status, WaitRange};

/// From a browser.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Request {
    /// Who this is.
    Auth {
        /// An access token.
        token: String,
    },
    /// Tell me of this job.
    Subscribe {
        /// Its reference.
        #[serde(alias = "job_id")]
        job_id: String,
    },
    /// No more.
    Unsubscribe {
        /// Its reference.
        #[serde(alias = "job_id")]
        job_id: String,
    },
    /// Tell me of this event.
    Watch {
        /// Which.
        #[serde(alias = "event_id")]
        event_id: EventId,
    },
    /// No more.
    Unwatch {
        /// Which.
        #[serde(alias = "event_id")]
        event_id: EventId,
    },
    /// Are you there?
    Ping,
}

/// To a browser.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Message {
    Authenticated,
    Status {
        job_id: String,
        #[serde(flatten)]
        status: Status,
    },
    Place {
        job_id: String,
        place: u64,
        waiting: u64,
        estimated_wait_time: String,
        wait_range: WaitRange,
    },
    Processing {
        job_id: String,
        progress: u8,
    },
    Reserved {
        job_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<ReservationView>,
    },
    Failed {
        job_id: String,
        error: String,
        code: String,
    },
    Expired {
        booking_id: BookingId,
        event_id: EventId,
        seat_ids: Vec<SeatId>,
        /// Area and slot of each.
        slots: Vec<(AreaId, u32)>,
    },
    Released {
        booking_id: BookingId,
        event_id: EventId,
        seat_ids: Vec<SeatId>,
        /// Area and slot of each.
        slots: Vec<(AreaId, u32)>,
    },
    Event {
        event_id: EventId,
        paused: bool,
        #[serde(skip_serializing_if = "String::is_empty")]
        message: String,
        waiting: u64,
        version: u64,
    },
    Paused {
        event_id: EventId,
        message: String,
    },
    Resumed {
        event_id: EventId,
        #[serde(skip_serializing_if = "String::is_empty")]
        message: String,
    },
    #[serde(rename = "message")]
    Told {
        event_id: EventId,
        message: String,
    },
    Availability {
        event_id: EventId,
        version: u64,
        /// Index and state of each changed seat.
        changes: Vec<(u32, u8)>,
        /// What is free in each area.
        areas: Vec<(AreaId, u32)>,
        /// Too much has changed: fetch the bytes.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reload: bool,
    },
    Pong,
    Error {
        code: &'static str,
        detail: String,
    },
}

impl Message {
    pub(super) fn text(&self) -> axum::extract::ws::Utf8Bytes {
        serde_json::to_string(self).unwrap_or_default().into()
    }
}
