//! Venues.

use super::{By, Part, audit};
use crate::store::{Store, StoreError};

/// What is told of a venue.
#[derive(Debug, Clone, Default)]
pub struct VenueData {
    /// As shown.
    pub name: String,
    /// As shown.
    pub city: String,
    /// Street and number; may be empty.
    pub address: String,
}

impl Store {
    /// Adds a venue; its id.
    ///
    /// # Errors
    /// The constraint `venues_name_key` when there is one of that name in that city.
    pub async fn insert_venue(&self, venue: &VenueData, by: &By) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let id = sqlx::query_scalar!(
            "insert into venues (name, city, address) values ($1, $2, $3) returning id",
            venue.name,
            venue.city,
            venue.address
        )
        .fetch_one(&mut *tx)
        .await?;
        audit(&mut tx, by, "venue.create", &format!("venue {id}")).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// One venue.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn venue(&self, id: i64) -> Result<Option<VenueData>, StoreError> {
        let venue = sqlx::query_as!(VenueData, "select name, city, address from venues where id = $1", id);
        Ok(venue.fetch_optional(&self.pool).await?)
    }

    /// Venues by name; those whose names begin so, if that is given.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn venues(&self, beginning: &str, part: Part) -> Result<Vec<(i64, VenueData)>, StoreError> {
        let rows = sqlx::query!(
            "select id, name, city, address from venues
             where starts_with(lower(name), lower($1)) order by lower(name), id offset $2 limit $3",
            beginning,
            part.offset,
            part.limit
        )
        .fetch_all(&self.pool)
        .await?;
        let venue = |name, city, address| VenueData { name, city, address };
        Ok(rows.into_iter().map(|row| (row.id, venue(row.name, row.city, row.address))).collect())
    }

    /// Changes a venue; `None` when there is none.
    ///
    /// # Errors
    /// What `change` says, or the constraint `venues_name_key` when there is one of that name in that city.
    pub async fn change_venue<E: From<StoreError>>(
        &self,
        id: i64,
        by: &By,
        change: impl FnOnce(VenueData) -> Result<VenueData, E>,
    ) -> Result<Option<VenueData>, E> {
        let mut tx = self.begin().await?;
        let before = sqlx::query_as!(
            VenueData,
            "select name, city, address from venues where id = $1 for no key update",
            id
        );
        let Some(before) = before.fetch_optional(&mut *tx).await.map_err(StoreError::from)? else {
            return Ok(None);
        };
        let venue = change(before)?;
        sqlx::query!(
            "update venues set name = $2, city = $3, address = $4 where id = $1",
            id,
            venue.name,
            venue.city,
            venue.address
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
        audit(&mut tx, by, "venue.change", &format!("venue {id}")).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Some(venue))
    }

    /// Deletes a venue; false when there is none.
    ///
    /// # Errors
    /// The constraint `events_venue_id_fkey` or `venue_layouts_venue` when it has events or layouts.
    pub async fn delete_venue(&self, id: i64, by: &By) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query!("delete from venues where id = $1", id).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
        audit(&mut tx, by, "venue.delete", &format!("venue {id}")).await?;
        tx.commit().await?;
        Ok(true)
    }
}
