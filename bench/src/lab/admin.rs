//! What operators do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use shared::domain::EventId;

use super::Lab;
use super::server::Server;

/// A pause is to be effective within a second.
const EFFECT_LIMIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Lab {
    /// Pauses a lane, and returns when workers know.
    pub async fn pause(&self, usher: &Server, event: EventId) -> Result<()> {
        self.tell_pause(usher, event, "One moment, please").await?;
        self.wait_for_pause(event, true).await
    }

    /// Pauses a lane; workers and sockets learn of it in a moment.
    pub async fn tell_pause(&self, usher: &Server, event: EventId, message: &str) -> Result<()> {
        self.post(usher, "/api/admin/queue/pause", json!({"eventId": event, "message": message})).await
    }

    /// Resumes a lane, and returns when workers know.
    pub async fn resume(&self, usher: &Server, event: EventId) -> Result<()> {
        self.post(usher, "/api/admin/queue/resume", json!({"eventId": event})).await?;
        self.wait_for_pause(event, false).await
    }

    /// Resumes several lanes at once, and returns when workers know of all.
    pub async fn resume_all(&self, usher: &Server, events: &[EventId]) -> Result<()> {
        for event in events {
            self.post(usher, "/api/admin/queue/resume", json!({"eventId": event})).await?;
        }
        for event in events {
            self.wait_for_pause(*event, false).await?;
        }
        Ok(())
    }

    async fn post(&self, usher: &Server, path: &str, body: Value) -> Result<()> {
        let request = self.http.post(format!("{}{path}", usher.target.url()));
        let answer =
            request.bearer_auth(&self.operator).json(&body).send().await.context("tell the queue")?;
        if !answer.status().is_success() {
            bail!("{path} was answered with {}: {}", answer.status(), answer.text().await?);
        }
        Ok(())
    }

    async fn wait_for_pause(&self, event: EventId, is_paused: bool) -> Result<()> {
        let deadline = Instant::now() + EFFECT_LIMIT;
        while self.queue.lane_state(event).await?.pause().paused != is_paused {
            if Instant::now() > deadline {
                bail!("a pause took no effect within {EFFECT_LIMIT:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
