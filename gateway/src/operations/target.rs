//! Which queue or lane an operator means.

use shared::domain::EventId;
use shared::queue::jobs::LANES;

use crate::problem::{Code, Problem};

/// A queue, or one of its lanes.
pub(super) enum Target {
    /// The booking queue, or one event's lane.
    Bookings(Option<EventId>),
    /// A named queue, or one of its lanes.
    Named(String, Option<u16>),
}

impl Target {
    /// Reads it from the fields of a body.
    pub(super) fn of(
        queue: Option<String>,
        event: Option<EventId>,
        lane: Option<u16>,
    ) -> Result<Self, Problem> {
        match (queue, event, lane) {
            (Some(_), Some(_), _) => {
                Err(invalid("eventId names a lane of the booking queue: no queue with it"))
            }
            (None, _, Some(_)) => Err(invalid("lane names a lane of a named queue: queue goes with it")),
            (Some(_), None, Some(lane)) if lane >= LANES => Err(invalid("lane must be 0 to 63")),
            (Some(queue), None, lane) => Ok(Self::Named(queue, lane)),
            (None, event, None) => Ok(Self::Bookings(event)),
        }
    }
}

fn invalid(why: &'static str) -> Problem {
    Problem::new(Code::Validation, why)
}
