//! Layouts: a venue's templates, from which events get their places.

use chrono::{DateTime, Utc};

use super::{By, allow_time, audit, column, count};
use crate::store::{Store, StoreError};

/// A layout that is written. Its document is JSON that was checked.
#[derive(Debug, Clone)]
pub struct NewLayout {
    /// Of which venue.
    pub venue: i64,
    /// As shown to admins.
    pub name: String,
    /// Sections and areas, as JSON.
    pub document: String,
    /// How many seats it has.
    pub seats: u32,
    /// Seats and the capacity of areas.
    pub places: u32,
    /// Names of tiers that an event must have a price for.
    pub tiers: Vec<String>,
}

/// A layout without its places.
#[derive(Debug, Clone)]
pub struct LayoutRow {
    /// Its id.
    pub id: i64,
    /// Of which venue.
    pub venue: i64,
    /// As shown to admins.
    pub name: String,
    /// How many seats it has.
    pub seats: u32,
    /// Seats and the capacity of areas.
    pub places: u32,
    /// Names of tiers that an event must have a price for.
    pub tiers: Vec<String>,
    /// When it was written.
    pub updated_at: DateTime<Utc>,
}

impl Store {
    /// Adds a layout; its id.
    ///
    /// # Errors
    /// The constraint `venue_layouts_venue` when there is no such venue, `venue_layouts_name_key` when it has a layout of
    /// that name.
    pub async fn insert_layout(&self, layout: &NewLayout, by: &By) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        let id = sqlx::query_scalar!(
            "insert into venue_layouts (venue_id, name, document, seats, places, tiers)
             values ($1, $2, $3::text::jsonb, $4, $5, $6) returning id",
            layout.venue,
            layout.name,
            layout.document,
            column(layout.seats),
            column(layout.places),
            &layout.tiers
        )
        .fetch_one(&mut *tx)
        .await?;
        audit(&mut tx, by, "layout.create", &format!("layout {id}")).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Layouts of a venue, or one layout, without their places; 1,000 at most.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn layouts(&self, venue: Option<i64>, only: Option<i64>) -> Result<Vec<LayoutRow>, StoreError> {
        let rows = sqlx::query!(
            "select id, venue_id, name, seats, places, tiers, updated_at from venue_layouts
             where ($1::bigint is null or venue_id = $1) and ($2::bigint is null or id = $2)
             order by venue_id, name, id limit 1000",
            venue,
            only
        )
        .fetch_all(&self.pool)
        .await?;
        let layouts = rows.into_iter().map(|row| LayoutRow {
            id: row.id,
            venue: row.venue_id,
            name: row.name,
            seats: count(row.seats),
            places: count(row.places),
            tiers: row.tiers,
            updated_at: row.updated_at,
        });
        Ok(layouts.collect())
    }

    /// The places of a layout, as JSON.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn layout_document(&self, id: i64) -> Result<Option<String>, StoreError> {
        let document = sqlx::query_scalar!(
            r#"select document::text as "document!" from venue_layouts where id = $1"#,
            id
        );
        Ok(document.fetch_optional(&self.pool).await?)
    }

    /// Writes a layout anew, its name or its places or both; false when there is none. Events made from it keep theirs.
    ///
    /// # Errors
    /// The constraint `venue_layouts_name_key` when the venue has a layout of that name.
    pub async fn change_layout(
        &self,
        id: i64,
        name: Option<&str>,
        places: Option<&NewLayout>,
        by: &By,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        let changed = sqlx::query!(
            "update venue_layouts set name = coalesce($2, name), document = coalesce($3::text::jsonb, document),
                 seats = coalesce($4, seats), places = coalesce($5, places), tiers = coalesce($6, tiers),
                 updated_at = clock_timestamp()
             where id = $1",
            id,
            name,
            places.map(|places| places.document.as_str()),
            places.map(|places| column(places.seats)),
            places.map(|places| column(places.places)),
            places.map(|places| places.tiers.as_slice())
        )
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        audit(&mut tx, by, "layout.change", &format!("layout {id}")).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes a layout; false when there is none. Events made from it keep their places.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn delete_layout(&self, id: i64, by: &By) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query!("delete from venue_layouts where id = $1", id).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
        audit(&mut tx, by, "layout.delete", &format!("layout {id}")).await?;
        tx.commit().await?;
        Ok(true)
    }
}
