//! What goes wrong on an on-sale day, and what holds afterwards.

mod behind;
mod bounds;
mod cluster;
mod gateway;
mod gone_away;
mod jobs;
mod locks;
mod named;
mod postgres;
mod redis;
mod starting;
mod vanished;
mod worker;

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::{EventId, SeatId};

use crate::lab::{EventPlan, Lab, Shopper, eventually, make_event};

/// Whatever is decided takes PostgreSQL two milliseconds a job, at its commit.
const SLOW_COMMITS: &str = "
    create function dawdle() returns trigger language plpgsql as
        $$ begin perform pg_sleep(0.002); return null; end $$;
    create constraint trigger dawdle after insert on job_outcomes deferrable initially deferred
        for each row execute function dawdle()";

/// Moments that are others each time, and the same ones again with `USHER_SEED`.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let given = std::env::var("USHER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(()));
        eprintln!("USHER_SEED={seed}");
        Self(seed)
    }

    /// The next one, sooner than this (splitmix64).
    fn next(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros((mixed ^ (mixed >> 31)) % most)
    }
}

/// Every shopper takes a place for one seat, one after another, so that the order of arrival is known.
async fn queue_up(shoppers: &[Shopper], event: EventId) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    queue_up_for(shoppers, event, |_| json!({"quantity": 1})).await
}

/// The same, each with a request of their own, by their place among these shoppers.
async fn queue_up_for(
    shoppers: &[Shopper],
    event: EventId,
    request: impl Fn(usize) -> Value,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    const AT_ONCE: usize = 50;
    let mut jobs = Vec::with_capacity(shoppers.len());
    for (nth, part) in shoppers.chunks(AT_ONCE).enumerate() {
        let booked = part.iter().enumerate().map(|(at, shopper)| {
            let body = request(nth * AT_ONCE + at);
            async move { book(shopper, event, body).await.map_err(|error| error.to_string()) }
        });
        for job in futures_util::future::join_all(booked).await {
            jobs.push(job?);
        }
    }
    Ok(jobs)
}

/// Whoever is told at once that a seat is gone takes the best one there is.
async fn book(
    shopper: &Shopper,
    event: EventId,
    mut body: Value,
) -> Result<String, Box<dyn std::error::Error>> {
    match shopper.book(event, body.clone()).await {
        Err(_) if body["seatIds"].is_array() => {
            body["fallback"] = json!("any");
            shopper.book(event, body).await
        }
        booked => booked,
    }
}

/// Books until it is acknowledged; the same request is the same job, however often it is made.
async fn book_at_last(shopper: &Shopper, event: EventId) -> String {
    let mut job = String::new();
    eventually("a booking is acknowledged", async || {
        match shopper.book(event, json!({"quantity": 1})).await {
            Ok(booked) => {
                job = booked;
                true
            }
            Err(_) => false,
        }
    })
    .await;
    job
}

/// An event, and what there is to ask for at it.
struct Mix {
    event: EventId,
    seats: Vec<SeatId>,
    area: i64,
    tier: i64,
    section: i64,
}

impl Mix {
    /// Makes an event that has seats and an area.
    async fn make(lab: &Lab, plan: &EventPlan) -> Result<Self, Box<dyn std::error::Error>> {
        let (event, seats, area) = make_event(lab.store(), plan).await?;
        let (tier, section): (i64, i64) = sqlx::query_as(
            "select (select min(id) from price_tiers where event_id = $1),
                 (select min(id) from sections where event_id = $1)",
        )
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await?;
        Ok(Self { event, seats, area, tier, section })
    }

    /// A shopper after the other takes a place, each for something else; the first of them is the `first`. They ask for
    /// ten or eleven places by six, two of which are in the area at most.
    async fn queue_up(
        &self,
        shoppers: &[Shopper],
        first: usize,
    ) -> Result<Vec<String>, Box<dyn std::error::Error>> {
        queue_up_for(shoppers, self.event, |at| self.request(first + at)).await
    }

    fn request(&self, nth: usize) -> Value {
        let round = nth / 6;
        match nth % 6 {
            0 => json!({"quantity": 1}),
            1 => json!({"quantity": 2 + round % 3, "adjacent": true}),
            2 => {
                // Two want the same pair, from the first one on.
                let from = (round & !1) % (self.seats.len() - 1);
                json!({"seatIds": &self.seats[from..from + 2], "fallback": "any"})
            }
            3 => json!({"quantity": 1 + round % 2, "areaId": self.area}),
            // From the last one on, so that they are had while there is enough.
            4 => json!({"seatIds": [self.seats[self.seats.len() - 1 - round % self.seats.len()]]}),
            _ => json!({"quantity": 1 + round % 3, "tierId": self.tier, "sectionId": self.section}),
        }
    }
}

/// How many outcomes an event has.
async fn decided(lab: &Lab, event: EventId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from job_outcomes where event_id = $1")
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await
}
