//! Using tickets at the door: each once, whoever scans it at the same time.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{EventId, TicketId, UserId};
use crate::store::claims::{Fact, append_outbox};
use crate::store::{Store, StoreError};

/// A ticket that was shown at a door.
#[derive(Debug, Clone)]
pub struct NewScan {
    /// Which.
    pub ticket: TicketId,
    /// The event that the door belongs to.
    pub event: EventId,
    /// Which door.
    pub gate: String,
    /// When, as the scanner says that was offline; otherwise now.
    pub scanned_at: Option<DateTime<Utc>>,
}

/// What becomes of somebody at the door.
#[derive(Debug, Clone)]
pub enum Entry {
    /// They go in.
    Admitted {
        /// Their ticket's number.
        number: String,
        /// Their place.
        place: String,
        /// Its price tier.
        tier: String,
        /// Their first name.
        first_name: String,
        /// From when on the ticket is used.
        used_at: DateTime<Utc>,
    },
    /// The ticket was used before.
    AlreadyUsed {
        /// When.
        at: DateTime<Utc>,
        /// At which door.
        gate: String,
    },
    /// The ticket is not good any more, or the event does not take place.
    Cancelled,
    /// The ticket is for another event.
    WrongEvent,
    /// The event is over.
    Over,
    /// No such ticket.
    Unknown,
}

/// What the fact says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TicketUsed<'a> {
    ticket_id: TicketId,
    gate: &'a str,
    scanned_by: UserId,
    used_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

/// A ticket that is locked, as far as the door is concerned.
struct Shown {
    event: EventId,
    number: String,
    status: String,
    issued_at: DateTime<Utc>,
    used: Option<(DateTime<Utc>, i64, String)>,
    place: String,
    tier: String,
    first_name: String,
    is_event_cancelled: bool,
    over_at: DateTime<Utc>,
}

impl Store {
    /// The tickets that have these numbers.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn tickets_by_number(
        &self,
        numbers: &[String],
    ) -> Result<HashMap<String, TicketId>, StoreError> {
        let rows = sqlx::query!("select id, number from tickets where number = any($1)", numbers)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| (row.number, TicketId(row.id))).collect())
    }

    /// Uses tickets, in this order; what became of each. A scan that is told once more by the same scanner, with its time,
    /// is admitted as before; but not when that time was before the ticket was issued, or later than now. Who scanned, and
    /// from where, is told with each.
    ///
    /// # Errors
    /// PostgreSQL is away; then none was used.
    pub async fn check_in(
        &self,
        scans: &[NewScan],
        (by, ip): (UserId, Option<IpAddr>),
        event_hours: u16,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut tx = self.begin().await?;
        let mut shown = lock(&mut tx, scans, event_hours).await?;
        // Read after the locks were waited for.
        let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&mut *tx).await?;
        let mut used: Vec<(&NewScan, DateTime<Utc>)> = Vec::new();
        let mut entries = Vec::with_capacity(scans.len());
        for scan in scans {
            let Some(ticket) = shown.get_mut(&scan.ticket) else {
                entries.push(Entry::Unknown);
                continue;
            };
            let moment = scan.scanned_at.unwrap_or(now).max(ticket.issued_at).min(now);
            let entry = ticket.decide(scan, by, moment);
            if matches!(entry, Entry::Admitted { .. }) && ticket.used.is_none() {
                ticket.used = Some((moment, by.0, scan.gate.clone()));
                used.push((scan, moment));
            }
            entries.push(entry);
        }
        write(&mut tx, &used, (by, ip)).await?;
        tx.commit().await?;
        Ok(entries)
    }
}

impl Shown {
    fn decide(&self, scan: &NewScan, by: UserId, moment: DateTime<Utc>) -> Entry {
        if self.event != scan.event {
            return Entry::WrongEvent;
        }
        if self.status == "cancelled" || self.is_event_cancelled {
            return Entry::Cancelled;
        }
        if let Some((at, who, gate)) = &self.used {
            // By the scanner's own words: two scans that count from another moment than they say are not one.
            let is_same = (Some(*at), *who, gate) == (scan.scanned_at, by.0, &scan.gate);
            if !is_same {
                return Entry::AlreadyUsed { at: *at, gate: gate.clone() };
            }
        } else if self.over_at <= moment {
            return Entry::Over;
        }
        Entry::Admitted {
            number: self.number.clone(),
            place: self.place.clone(),
            tier: self.tier.clone(),
            first_name: self.first_name.clone(),
            used_at: moment,
        }
    }
}

/// Locks the tickets, in the order of their ids, so that two batches cannot wait for each other.
async fn lock(
    connection: &mut PgConnection,
    scans: &[NewScan],
    event_hours: u16,
) -> Result<HashMap<TicketId, Shown>, StoreError> {
    let ids: Vec<Uuid> = scans.iter().map(|scan| scan.ticket.0).collect();
    let rows = sqlx::query!(
        r#"select t.id, t.event_id, t.number, t.status, t.issued_at, t.used_at, t.used_by, t.used_gate,
               i.place, i.tier_name, u.first_name, e.status = 'cancelled' as "is_event_cancelled!",
               coalesce(e.ends_at, e.starts_at + make_interval(hours => $2)) as "over_at!"
           from tickets t
           join order_items i on i.id = t.order_item_id
           join events e on e.id = t.event_id
           join users u on u.id = t.user_id
           where t.id = any($1) order by t.id for update of t"#,
        &ids,
        i32::from(event_hours)
    )
    .fetch_all(connection)
    .await?;
    let shown = rows.into_iter().map(|row| {
        let gate = row.used_gate.unwrap_or_default();
        let ticket = Shown {
            event: EventId(row.event_id),
            number: row.number,
            status: row.status,
            issued_at: row.issued_at,
            used: row.used_at.map(|at| (at, row.used_by.unwrap_or_default(), gate)),
            place: row.place,
            tier: row.tier_name,
            first_name: row.first_name,
            is_event_cancelled: row.is_event_cancelled,
            over_at: row.over_at,
        };
        (TicketId(row.id), ticket)
    });
    Ok(shown.collect())
}

async fn write(
    connection: &mut PgConnection,
    used: &[(&NewScan, DateTime<Utc>)],
    (by, ip): (UserId, Option<IpAddr>),
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = used.iter().map(|(scan, _)| scan.ticket.0).collect();
    let gates: Vec<String> = used.iter().map(|(scan, _)| scan.gate.clone()).collect();
    let moments: Vec<DateTime<Utc>> = used.iter().map(|(_, at)| *at).collect();
    let changed = sqlx::query!(
        "update tickets t set status = 'used', used_at = s.at, used_by = $4, used_gate = s.gate
         from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as s (id, gate, at)
         where t.id = s.id and t.status = 'valid'",
        &ids,
        &gates,
        &moments,
        by.0
    )
    .execute(&mut *connection)
    .await?;
    if usize::try_from(changed.rows_affected()).ok() != Some(used.len()) {
        return Err(StoreError::Row("a ticket that is used, or not, and is not what it was under its lock"));
    }
    let mut facts: BTreeMap<EventId, Vec<Fact>> = BTreeMap::new();
    for (scan, at) in used {
        let told = TicketUsed { ticket_id: scan.ticket, gate: &scan.gate, scanned_by: by, used_at: *at, ip };
        facts.entry(scan.event).or_default().push(Fact::new("ticket.used", &told));
    }
    for (event, facts) in facts {
        append_outbox(connection, event, &facts).await?;
    }
    Ok(())
}
