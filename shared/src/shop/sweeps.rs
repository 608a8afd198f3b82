//! What the sweeper does. Each of these takes no input, is bounded, and is safe to run twice or by two at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::Fault;
use super::admin::cut_area;
use super::carts::announce;
use super::copy_controls;
use super::jobs::queue_jobs;
use super::reservation_keys::show_event;
use crate::domain::{BookingId, EventId};
use crate::queue::inspect::Finished;
use crate::queue::jobs;
use crate::queue::standby::Turn;
use crate::queue::{Partition, Queue};
use crate::rush;
use crate::store::{DuePlace, Emptied, Lead, Store};

/// Bookings in one transaction: they take some 6 ms, and no statement of them more than 25 on a busy machine.
const BOOKINGS: usize = 200;
/// Such transactions at the same time: while one is announced in Redis others work in PostgreSQL.
const AT_ONCE: usize = 3;
/// How long a pass waits until what it freed is told, so that passes do not outrun a Redis that keeps up.
const TELLING: Duration = Duration::from_millis(250);
/// The same as [`AT_ONCE`] where bookings are only closed, which nobody waits for.
const CLOSING_AT_ONCE: usize = 2;
/// Bookings that are due in one page of the list.
const DUE: usize = 2_000;
/// Pages in one run at most, freed or closed.
const PAGES: usize = 2_000;
/// Pages that are freed and not closed at most.
const AHEAD: usize = 60;
/// How long so many may be.
const AHEAD_FOR: Duration = Duration::from_secs(10);
/// Passes over the listings in one run at most.
const LISTINGS: usize = 20;
/// Rows in one statement of the retention.
const ROWS: i64 = 5_000;
/// Days for which finished jobs of named queues are kept.
const JOB_DAYS: i32 = 14;
/// Days for which webhooks of payments are known; no provider sends one again after so long.
const WEBHOOK_DAYS: i32 = 60;
/// Days for which messages that no consumer could handle are kept.
const STREAM_DAYS: i32 = 30;
/// Pages, of some hundreds each, of those who stand by for an event that are asked again in one run.
const RECALLS: usize = 10;
/// Areas that are made smaller looked at in one run.
const AREAS: i64 = 20;

/// The sweeps; clones share the connections.
#[derive(Clone)]
pub struct Sweeps {
    store: Store,
    queue: Queue,
}

impl Sweeps {
    /// Sweeps over these.
    pub fn new(store: Store, queue: Queue) -> Self {
        Self { store, queue }
    }

    /// Takes the lead, if nobody has it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn try_lead(&self) -> Result<Option<Lead>, Fault> {
        Ok(self.store.try_lead().await?)
    }

    /// Releases what has run out, and tells; returns how many places came free. Once `stop` is cancelled, no further pass
    /// begins.
    ///
    /// # Errors
    /// PostgreSQL is away. Without Redis places are released all the same.
    pub async fn release_expired(&self, stop: &CancellationToken) -> Result<usize, Fault> {
        let (due, _) = self.store.due_bookings(DuePlace::START, DUE).await?;
        let released = match due.len() {
            0 => 0,
            // A few are closed with what they held.
            1..=BOOKINGS => self.release(&due, Emptied::Close).await?,
            _ => self.release_many(stop).await?,
        };
        if released > 0 {
            tracing::info!(places = released, "{released} places came free because their time ran out");
        }
        Ok(released)
    }

    /// Of many the places come free first, and bookings are closed when there is nothing more to free, or when those that
    /// are not closed are too many. Returns how many places came free; what somebody has locked, as it is being changed
    /// right now, is left for the next time, as is what falls due at the very end.
    async fn release_many(&self, stop: &CancellationToken) -> Result<usize, Fault> {
        let (mut released, mut fault) = (0, None);
        let mut note = |page: Result<usize, Fault>| match page {
            Ok(places) => released += places,
            // The others go on.
            Err(error) => fault = Some(error),
        };
        let (mut freed, mut closed) = (DuePlace::START, DuePlace::START);
        let (mut ahead, mut has_freed, began) = (0, false, Instant::now());
        for _ in 0..PAGES {
            if stop.is_cancelled() {
                break;
            }
            // After a while one page is closed for each that is freed, so that a run that is cut short got somewhere.
            let may_free = if began.elapsed() < AHEAD_FOR { ahead < AHEAD } else { !has_freed };
            has_freed = false;
            if may_free {
                let (due, last) = self.store.due_bookings(freed, DUE).await?;
                note(self.release_page(&due, Emptied::Keep, stop).await);
                (freed, ahead, has_freed) = (last, ahead + 1, due.len() == DUE);
            }
            if has_freed {
                continue;
            }
            let (due, last) = self.store.due_bookings(closed, DUE).await?;
            note(self.release_page(&due, Emptied::Close, stop).await);
            (closed, freed, ahead) = (last, freed.max(last), ahead.saturating_sub(1));
            if due.len() < DUE {
                break;
            }
        }
        fault.map_or(Ok(released), Err)
    }

    async fn release_page(
        &self,
        due: &[BookingId],
        emptied: Emptied,
        stop: &CancellationToken,
    ) -> Result<usize, Fault> {
        let at_once = match emptied {
            Emptied::Keep => AT_ONCE,
            Emptied::Close => CLOSING_AT_ONCE,
        };
        let passes: Vec<_> = due.chunks(BOOKINGS).map(<[_]>::to_vec).collect();
        let mut passes = stream::iter(passes)
            .take_while(|_| std::future::ready(!stop.is_cancelled()))
            .map(|bookings| {
                let sweeps = self.clone();
                async move { sweeps.release(&bookings, emptied).await }
            })
            .buffer_unordered(at_once);
        let mut released = Ok(0);
        // One that fails leaves the others to their end.
        while let Some(places) = passes.next().await {
            released = released.and_then(|released| Ok(released + places?));
        }
        released
    }

    /// One pass, and tells of it; returns how many places came free.
    async fn release(&self, bookings: &[BookingId], emptied: Emptied) -> Result<usize, Fault> {
        let freed = self.store.release_expired(bookings, emptied).await?.freed;
        let places = freed.len();
        if places > 0 {
            rush::note(places);
            metrics::counter!("usher_expired_places_total").increment(places as u64);
            // It is told to its end, even if nobody waits for it any more: a Redis that hangs makes no seat late.
            let queue = self.queue.clone();
            let telling = tokio::spawn(async move { announce(&queue, &freed, true).await });
            let _ = tokio::time::timeout(TELLING, telling).await;
        }
        Ok(places)
    }

    /// Goes on taking places away from areas that were made smaller; returns how many went.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn cut_areas(&self) -> Result<usize, Fault> {
        let mut removed = 0;
        for (event, area) in self.store.areas_being_cut(AREAS).await? {
            let cut = cut_area(&self.store, &self.queue, (event, area)).await?;
            removed += cut.held + cut.sold;
            if cut.held + cut.sold > 0 {
                tracing::info!(
                    event.id = event.0,
                    area.id = area.0,
                    held = cut.held,
                    sold = cut.sold,
                    left = cut.left,
                    "places of an area that was made smaller are taken away"
                );
            }
        }
        Ok(removed)
    }

    /// Copies pauses to Redis, and puts lanes back that somebody waits in and no worker would look at; returns
    /// how many pauses changed.
    ///
    /// # Errors
    /// A store is away.
    pub async fn copy_controls(&self) -> Result<u64, Fault> {
        for name in self.store.named_queues().await? {
            copy_controls(&self.store, &self.queue.named(&name), jobs::partition()).await?;
        }
        let controls = self.store.controls(self.queue.name()).await?;
        let mut changed = 0;
        for partition in Partition::all() {
            changed += self.queue.copy_controls(partition, &controls).await?;
        }
        Ok(changed)
    }

    /// Queues what was written for named queues and is not in Redis; returns how many jobs.
    ///
    /// # Errors
    /// A store is away.
    pub async fn queue_jobs(&self) -> Result<usize, Fault> {
        queue_jobs(&self.store, &self.queue).await
    }

    /// Asks those who stand by again, some thousands of each event: an announcement of freed places may have been lost,
    /// and whoever was called back may have left, or have a limit of their own. `turns` says how far it has come with those
    /// of an event. Returns how many.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn recall_standby(&self, turns: &mut HashMap<EventId, Turn>) -> Result<u64, Fault> {
        let (mut recalled, mut fault) = (0, None);
        for partition in Partition::all() {
            for event in self.queue.lanes(partition).await? {
                let mut turn = turns.remove(&event);
                match self.queue.recall_standby(event, &mut turn, RECALLS).await {
                    Ok(now) => recalled += now,
                    // The others go on.
                    Err(error) => fault = Some(error),
                }
                turns.extend(turn.map(|turn| (event, turn)));
            }
        }
        fault.map_or(Ok(recalled), |fault| Err(fault.into()))
    }

    /// Writes the reservation keys of a partition anew, after Redis may have lost them; returns how many.
    ///
    /// # Errors
    /// A store is away.
    pub async fn rebuild_reservations(&self, partition: Partition) -> Result<usize, Fault> {
        let mut written = 0;
        for event in self.store.events_with_claims().await? {
            if Partition::of(event) == partition {
                written += show_event(&self.store, &self.queue, event).await?;
            }
        }
        Ok(written)
    }

    /// The epochs of all partitions, to notice a new one by.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn epochs(&self) -> Result<Vec<(Partition, String)>, Fault> {
        let mut epochs = Vec::new();
        for partition in Partition::all() {
            epochs.push((partition, self.queue.partition_state(partition).await?.epoch));
        }
        Ok(epochs)
    }

    /// Moves events that have begun to the archive, and makes the listings anew that are due; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn archive_events(&self) -> Result<u64, Fault> {
        let mut listed = 0;
        for _ in 0..LISTINGS {
            let now = self.store.sweep_listings().await?;
            listed += now;
            if now == 0 {
                break;
            }
        }
        Ok(listed)
    }

    /// Copies refused bookings into the audit log, so many at most; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn audit_refusals(&self, at_most: i64) -> Result<u64, Fault> {
        Ok(self.store.copy_refusals(at_most).await?)
    }

    /// Forgets what is no longer of use, the audit log's months after so many days, and makes its months ahead;
    /// returns how many rows, lanes and months went.
    ///
    /// # Errors
    /// A store is away.
    pub async fn forget_old(&self, audit_keep_days: i32) -> Result<u64, Fault> {
        let (made, dropped) = self.store.turn_audit_months(audit_keep_days).await?;
        if made + dropped > 0 {
            tracing::info!(made, dropped, "months of the audit log: {made} made, {dropped} dropped");
        }
        self.archive_events().await?;
        let mut gone = self.store.sweep_retention(ROWS).await?;
        gone += self.store.forget_old_requests(ROWS).await?;
        gone += self.store.forget_webhooks(WEBHOOK_DAYS, ROWS).await?;
        gone += self.store.forget_jobs(JOB_DAYS, ROWS).await?;
        gone += self.store.forget_sent(ROWS).await?;
        gone += self.store.forget_consumed(STREAM_DAYS, ROWS).await?;
        gone += self.store.forget_seen().await? + dropped;
        gone += self.store.forget_messages(ROWS).await?;
        gone += self.store.sweep_accounts(ROWS).await?;
        for partition in Partition::all() {
            let lanes = self.queue.lanes(partition).await?;
            for event in self.store.past_events(&lanes).await? {
                gone += u64::from(self.queue.obliterate(event).await?);
            }
            gone += forget_finished(&self.queue, lanes).await?;
        }
        for name in self.store.queues_with_jobs().await? {
            let named = self.queue.named(&name);
            gone += forget_finished(&named, named.lanes(jobs::partition()).await?).await?;
        }
        Ok(gone)
    }
}

/// Forgets what Redis keeps of jobs of these lanes that finished long ago; returns how many jobs.
async fn forget_finished(queue: &Queue, lanes: Vec<EventId>) -> Result<u64, Fault> {
    let keep = Duration::from_secs(queue.config().queue_keep_finished_s);
    let mut gone = 0;
    for lane in lanes {
        for which in [Finished::Completed, Finished::Failed] {
            gone += queue.clean(lane, which, keep, usize::MAX).await?;
        }
    }
    Ok(gone)
}
