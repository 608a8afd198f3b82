//! Places of an event that is on sale, added. It happens under the same lock as their removal.

use sqlx::PgConnection;

use super::events::lock_event;
use super::{By, allow_time, audit, raise_layout};
use crate::domain::{EventId, SeatId};
use crate::store::{Store, StoreError};

/// A seat that is added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSeat {
    /// The section's name; a new one comes after the others.
    pub section: String,
    /// The row's label; a new one comes after the others of its section.
    pub row: String,
    /// Its own label; it comes after the others of its row.
    pub label: String,
    /// The name of its tier.
    pub tier: String,
    /// Where it is drawn; beside the others if that is not told.
    pub at: Option<(f32, f32)>,
}

/// What became of adding places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedPlaces {
    /// They are there.
    Done(Vec<SeatId>),
    /// There is no such event.
    NoEvent,
    /// It has no tier of this name.
    NoTier(String),
    /// It has this seat already.
    Exists(String),
}

impl Store {
    /// Adds seats to an event; all or none.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn add_seats(
        &self,
        event: EventId,
        seats: &[NewSeat],
        by: &By,
    ) -> Result<AddedPlaces, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        if !lock_event(&mut tx, event).await? {
            return Ok(AddedPlaces::NoEvent);
        }
        let texts = |of: fn(&NewSeat) -> &String| -> Vec<String> { seats.iter().map(of).cloned().collect() };
        let (sections, rows) = (texts(|seat| &seat.section), texts(|seat| &seat.row));
        let (labels, tiers) = (texts(|seat| &seat.label), texts(|seat| &seat.tier));
        let missing = sqlx::query_scalar!(
            r#"select asked.name as "name!" from unnest($2::text[]) as asked (name)
               where not exists (select 1 from price_tiers t where t.event_id = $1 and t.name = asked.name)
               limit 1"#,
            event.0,
            &tiers
        );
        if let Some(tier) = missing.fetch_optional(&mut *tx).await? {
            return Ok(AddedPlaces::NoTier(tier));
        }
        let known = sqlx::query_scalar!(
            r#"select format('%s, row %s, seat %s', c.name, s.row_label, s.seat_label) as "place!"
               from unnest($2::text[], $3::text[], $4::text[]) as a (section, line, label)
               join sections c on c.event_id = $1 and c.name = a.section
               join seats s on s.section_id = c.id and s.row_label = a.line and s.seat_label = a.label limit 1"#,
            event.0,
            &sections,
            &rows,
            &labels
        );
        if let Some(place) = known.fetch_optional(&mut *tx).await? {
            return Ok(AddedPlaces::Exists(place));
        }
        add_sections(&mut tx, event, &sections).await?;
        let xs: Vec<Option<f32>> = seats.iter().map(|seat| seat.at.map(|(x, _)| x)).collect();
        let ys: Vec<Option<f32>> = seats.iter().map(|seat| seat.at.map(|(_, y)| y)).collect();
        let ids = sqlx::query_file_scalar!(
            "src/store/sql/add_seats.sql",
            event.0,
            &sections,
            &rows,
            &labels,
            &tiers,
            &xs as &[Option<f32>],
            &ys as &[Option<f32>]
        )
        .fetch_all(&mut *tx)
        .await?;
        raise_layout(&mut tx, event).await?;
        audit(&mut tx, by, "event.add_seats", &format!("{} seats of event {event}", ids.len())).await?;
        tx.commit().await?;
        Ok(AddedPlaces::Done(ids.into_iter().map(SeatId).collect()))
    }
}

async fn add_sections(
    connection: &mut PgConnection,
    event: EventId,
    names: &[String],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sections (event_id, name, position)
         select $1, a.name, row_number() over (order by a.n)
             + coalesce((select max(position) from sections where event_id = $1), 0)
         from (
             select name, min(n) as n from unnest($2::text[]) with ordinality as a (name, n) group by name
         ) a
         where not exists (select 1 from sections s where s.event_id = $1 and s.name = a.name)",
        event.0,
        names
    )
    .execute(connection)
    .await?;
    Ok(())
}
