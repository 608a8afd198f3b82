//! Pauses and limits, which outlive Redis.

use super::{Store, StoreError};
use crate::domain::{EventId, UserId};
use crate::queue::control::{Controls, Pause, Rate};

/// The row that stands for the whole queue.
const WHOLE_QUEUE: EventId = EventId(0);

impl Store {
    /// Pauses or resumes the whole queue or one lane.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn set_pause(
        &self,
        queue: &str,
        event: Option<EventId>,
        pause: &Pause,
        by: UserId,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into queue_controls (event_id, paused, message, changed_by, queue) values ($1, $2, $3, $4, $5)
             on conflict (queue, event_id) do update
             set paused = excluded.paused, message = excluded.message, changed_by = excluded.changed_by,
                 changed_at = clock_timestamp(), version = nextval('queue_controls_version')",
            event.unwrap_or(WHOLE_QUEUE).0,
            pause.paused,
            pause.message,
            by.0,
            queue
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Limits the whole queue or one lane; `None` lifts a limit.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn set_limits(
        &self,
        queue: &str,
        event: Option<EventId>,
        rate: Option<Rate>,
        lanes_at_once: Option<u32>,
        by: UserId,
    ) -> Result<(), StoreError> {
        let column = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        sqlx::query!(
            "insert into queue_controls (queue, event_id, rate_max, rate_ms, lanes_at_once, changed_by)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (queue, event_id) do update
             set rate_max = excluded.rate_max, rate_ms = excluded.rate_ms,
                 lanes_at_once = excluded.lanes_at_once, changed_by = excluded.changed_by,
                 changed_at = clock_timestamp(), version = nextval('queue_controls_version')",
            queue,
            event.unwrap_or(WHOLE_QUEUE).0,
            rate.map(|rate| column(rate.max)),
            rate.map(|rate| column(rate.window_ms)),
            lanes_at_once.map(column),
            by.0
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Every pause and limit of a queue.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn controls(&self, queue: &str) -> Result<Controls, StoreError> {
        let rows = sqlx::query!(
            "select event_id, paused, message, rate_max, rate_ms, lanes_at_once, version
             from queue_controls where queue = $1",
            queue
        )
        .fetch_all(&self.pool)
        .await?;
        let mut controls = Controls::default();
        for row in rows {
            let value = |column: i32| u32::try_from(column).unwrap_or(0);
            controls.version = controls.version.max(row.version);
            let rate = row.rate_max.zip(row.rate_ms);
            let rate = rate.map(|(max, window_ms)| Rate { max: value(max), window_ms: value(window_ms) });
            let pause = Pause { paused: row.paused, message: row.message.unwrap_or_default() };
            if row.event_id == WHOLE_QUEUE.0 {
                controls.queue = pause;
                controls.rate = rate;
                controls.lanes_at_once = row.lanes_at_once.map(value);
            } else {
                controls.lane_rates.extend(rate.map(|rate| (EventId(row.event_id), rate)));
                controls.lanes.insert(EventId(row.event_id), pause);
            }
        }
        Ok(controls)
    }
}
