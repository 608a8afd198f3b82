//! All ways to a place lead through the same line.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::{EventId, SeatId};

use crate::lab::{EventPlan, Lab, Shopper, TestResult, assert_invariants, make_event};

/// A way to ask for a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `PATCH /api/seats/select`
    Select,
    /// `POST /tickets/:id/queue`
    Queue,
    /// `POST /api/bookings/reserve`
    Reserve,
    /// `POST /api/bookings/:id/book`
    Book,
}

impl Way {
    const ALL: [Self; 4] = [Self::Select, Self::Queue, Self::Reserve, Self::Book];

    fn request(self, event: EventId, seat: SeatId) -> (Method, String, Option<Value>) {
        match self {
            Self::Select => (Method::PATCH, "/api/seats/select".to_owned(), Some(json!({"seatId": seat}))),
            Self::Queue => (Method::POST, format!("/tickets/{seat}/queue"), None),
            Self::Reserve => {
                (Method::POST, "/api/bookings/reserve".to_owned(), Some(json!({"eventId": event})))
            }
            Self::Book => {
                (Method::POST, format!("/api/bookings/{event}/book"), Some(json!({"seatIds": [seat]})))
            }
        }
    }

    /// Whether its answer waits for the outcome.
    fn is_patient(self) -> bool {
        matches!(self, Self::Select | Self::Reserve)
    }

    /// What those are told who come too late by it.
    fn refusal(self) -> &'static str {
        match self {
            Self::Reserve => "sold_out",
            Self::Select | Self::Queue | Self::Book => "seat_taken",
        }
    }

    /// Asks in a line that stands still; the job.
    async fn ask(
        self,
        shopper: &Shopper,
        event: EventId,
        seat: SeatId,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let (method, path, body) = self.request(event, seat);
        let started = Instant::now();
        let (status, accepted) = shopper.call(method, &path, body).await?;
        let waited = started.elapsed();
        assert_eq!(status, StatusCode::ACCEPTED, "{self:?}: {accepted}");
        if self.is_patient() {
            let two_seconds = Duration::from_millis(1_900)..Duration::from_secs(4);
            assert!(two_seconds.contains(&waited), "{self:?} waits up to 2 s, not {waited:?}");
        }
        Ok(accepted["jobId"].as_str().ok_or("a job")?.to_owned())
    }
}

/// An event of one seat, and two who come for it one after the other, each in another way.
struct Race {
    event: EventId,
    seat: SeatId,
    people: [Shopper; 2],
    ways: [Way; 2],
}

#[tokio::test]
async fn whoever_comes_first_wins_by_whatever_way_they_come() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let mut races = Vec::new();
    for first in Way::ALL {
        for second in Way::ALL.into_iter().filter(|second| *second != first) {
            let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
            let people = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
            races.push(Race { event, seat: seats[0], people, ways: [first, second] });
        }
    }
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let mut jobs = Vec::new();
    for nth in 0..2 {
        let asked = races.iter().map(|race| race.ways[nth].ask(&race.people[nth], race.event, race.seat));
        jobs.push(futures_util::future::try_join_all(asked).await?);
    }
    operator.post("/api/admin/queue/resume", json!({})).await?;
    for ((race, first), second) in races.iter().zip(&jobs[0]).zip(&jobs[1]) {
        let won = race.people[0].outcome(first).await?;
        assert_eq!(won["status"], "completed", "{:?}: {won}", race.ways);
        let lost = race.people[1].outcome(second).await?;
        assert_eq!(
            (&lost["status"], &lost["code"]),
            (&json!("failed"), &json!(race.ways[1].refusal())),
            "{:?}: {lost}",
            race.ways
        );
        assert_invariants(lab.store(), race.event).await?;
    }
    Ok(())
}
