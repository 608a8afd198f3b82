//! Artists.

use super::{By, Part, audit};
use crate::store::{ArtistRecord, Store, StoreError};

/// What is told of an artist.
#[derive(Debug, Clone, Default)]
pub struct ArtistData {
    /// As shown.
    pub name: String,
    /// What they play, if they do.
    pub genre: Option<String>,
    /// What they do.
    pub occupation: Option<String>,
    /// A few sentences about them.
    pub biography: Option<String>,
    /// Albums, films, books.
    pub works: Vec<String>,
}

impl From<ArtistRecord> for ArtistData {
    fn from(record: ArtistRecord) -> Self {
        let ArtistRecord { id: _, name, genre, occupation, biography, works } = record;
        Self { name, genre: Some(genre).filter(|genre| !genre.is_empty()), occupation, biography, works }
    }
}

impl Store {
    /// Adds an artist; their id.
    ///
    /// # Errors
    /// The constraint `artists_name_key` when there is one of that name.
    pub async fn insert_artist(&self, artist: &ArtistData, by: &By) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let id = sqlx::query_scalar!(
            "insert into artists (name, genre, occupation, biography, works) values ($1, $2, $3, $4, $5)
             returning id",
            artist.name,
            artist.genre.as_deref().unwrap_or_default(),
            artist.occupation,
            artist.biography,
            &artist.works
        )
        .fetch_one(&mut *tx)
        .await?;
        audit(&mut tx, by, "artist.create", &format!("artist {id}")).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// One artist.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn artist(&self, id: i64) -> Result<Option<ArtistRecord>, StoreError> {
        let artist = sqlx::query_as!(
            ArtistRecord,
            "select id, name, genre, occupation, biography, works from artists where id = $1",
            id
        );
        Ok(artist.fetch_optional(&self.pool).await?)
    }

    /// Artists by name; those whose names begin so, if that is given.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn artists(&self, beginning: &str, part: Part) -> Result<Vec<ArtistRecord>, StoreError> {
        let artists = sqlx::query_as!(
            ArtistRecord,
            "select id, name, genre, occupation, biography, works from artists
             where starts_with(lower(name), lower($1)) order by lower(name), id offset $2 limit $3",
            beginning,
            part.offset,
            part.limit
        );
        Ok(artists.fetch_all(&self.pool).await?)
    }

    /// Changes an artist; `None` when there is none.
    ///
    /// # Errors
    /// What `change` says, or the constraint `artists_name_key` when there is one of that name.
    pub async fn change_artist<E: From<StoreError>>(
        &self,
        id: i64,
        by: &By,
        change: impl FnOnce(ArtistData) -> Result<ArtistData, E>,
    ) -> Result<Option<ArtistData>, E> {
        let mut tx = self.begin().await?;
        let before = sqlx::query_as!(
            ArtistRecord,
            "select id, name, genre, occupation, biography, works from artists where id = $1 for no key update",
            id
        );
        let Some(before) = before.fetch_optional(&mut *tx).await.map_err(StoreError::from)? else {
            return Ok(None);
        };
        let artist = change(before.into())?;
        sqlx::query!(
            "update artists set name = $2, genre = $3, occupation = $4, biography = $5, works = $6 where id = $1",
            id,
            artist.name,
            artist.genre.as_deref().unwrap_or_default(),
            artist.occupation,
            artist.biography,
            &artist.works
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
        audit(&mut tx, by, "artist.change", &format!("artist {id}")).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Some(artist))
    }

    /// Deletes an artist; false when there is none.
    ///
    /// # Errors
    /// The constraint `event_artists_artist_id_fkey` when they play somewhere.
    pub async fn delete_artist(&self, id: i64, by: &By) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query!("delete from artists where id = $1", id).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
        audit(&mut tx, by, "artist.delete", &format!("artist {id}")).await?;
        tx.commit().await?;
        Ok(true)
    }
}
