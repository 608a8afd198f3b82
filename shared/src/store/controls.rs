//! Pauses, which outlive Redis.

use super::{Store, StoreError};
use crate::domain::{EventId, UserId};
use crate::queue::control::{Controls, Pause};

/// The row that stands for the whole queue.
const WHOLE_QUEUE: EventId = EventId(0);

impl Store {
    /// Pauses or resumes the whole queue or one lane.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn set_pause(
        &self,
        event: Option<EventId>,
        pause: &Pause,
        by: UserId,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into queue_controls (event_id, paused, message, changed_by) values ($1, $2, $3, $4)
             on conflict (event_id) do update
             set paused = excluded.paused, message = excluded.message, changed_by = excluded.changed_by,
                 changed_at = clock_timestamp()",
            event.unwrap_or(WHOLE_QUEUE).0,
            pause.paused,
            pause.message,
            by.0
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Every pause.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn controls(&self) -> Result<Controls, StoreError> {
        let rows = sqlx::query!("select event_id, paused, message from queue_controls")
            .fetch_all(&self.pool)
            .await?;
        let mut controls = Controls::default();
        for row in rows {
            let pause = Pause { paused: row.paused, message: row.message.unwrap_or_default() };
            if row.event_id == WHOLE_QUEUE.0 {
                controls.queue = pause;
            } else {
                controls.lanes.insert(EventId(row.event_id), pause);
            }
        }
        Ok(controls)
    }
}
