//! What goes wrong on an on-sale day, and what holds afterwards.

mod bounds;
mod cluster;
mod gateway;
mod gone_away;
mod jobs;
mod named;
mod postgres;
mod redis;
mod starting;
mod vanished;
mod worker;

use serde_json::json;
use shared::domain::EventId;

use crate::lab::{Lab, Shopper};

/// Every shopper takes a place for one seat, one after another, so that the order of arrival is known.
async fn queue_up(shoppers: &[Shopper], event: EventId) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut jobs = Vec::with_capacity(shoppers.len());
    for part in shoppers.chunks(50) {
        let booked = part.iter().map(|shopper| async move {
            shopper.book(event, json!({"quantity": 1})).await.map_err(|error| error.to_string())
        });
        for job in futures_util::future::join_all(booked).await {
            jobs.push(job?);
        }
    }
    Ok(jobs)
}

/// How many outcomes an event has.
async fn decided(lab: &Lab, event: EventId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from job_outcomes where event_id = $1")
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await
}
