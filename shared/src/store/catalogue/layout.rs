//! The places of an event.

use super::small;
use crate::domain::{
    Area, AreaId, EventId, Layout, Money, SeatId, SeatRecord, Section, SectionId, Tier, TierId,
};
use crate::store::{Store, StoreError};

impl Store {
    /// All places of an event; `None` when there is no such event.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn layout(&self, event: EventId) -> Result<Option<Layout>, StoreError> {
        let Some(version) = sqlx::query_scalar!("select layout_version from events where id = $1", event.0)
            .fetch_optional(&self.pool)
            .await?
        else {
            return Ok(None);
        };
        let tiers = sqlx::query!(
            "select id, name, price_minor, currency from price_tiers where event_id = $1
             order by price_minor desc, id",
            event.0
        )
        .map(|row| Tier {
            id: TierId(row.id),
            name: row.name,
            price: Money { amount: row.price_minor, currency: row.currency },
        })
        .fetch_all(&self.pool)
        .await?;
        let sections =
            sqlx::query!("select id, name from sections where event_id = $1 order by position, id", event.0)
                .map(|row| Section { id: SectionId(row.id), name: row.name })
                .fetch_all(&self.pool)
                .await?;
        let areas = sqlx::query!(
            r#"select id, name, tier_id, coalesce(cut_to, capacity) as "capacity!"
               from areas where event_id = $1 order by position, id"#,
            event.0
        )
        .map(|row| Area {
            id: AreaId(row.id),
            name: row.name,
            tier: TierId(row.tier_id),
            capacity: small(row.capacity),
        })
        .fetch_all(&self.pool)
        .await?;
        let section_index = |id: i64| {
            sections.iter().position(|section| section.id.0 == id).and_then(|at| u32::try_from(at).ok())
        };
        let rows = sqlx::query!(
            "select s.id, s.section_id, s.tier_id, s.row_label, s.seat_label, s.x, s.y
             from seats s join sections c on c.id = s.section_id
             where s.event_id = $1
             order by c.position, c.id, s.row_position, s.seat_position",
            event.0
        )
        .fetch_all(&self.pool)
        .await?;
        let seats = rows
            .into_iter()
            .map(|row| {
                Ok(SeatRecord {
                    id: SeatId(row.id),
                    section: section_index(row.section_id)
                        .ok_or(StoreError::Row("a seat in a section of another event"))?,
                    row: row.row_label,
                    label: row.seat_label,
                    tier: TierId(row.tier_id),
                    x: row.x,
                    y: row.y,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Some(Layout::new(event, small(version), tiers, sections, seats, areas)))
    }
}
