//! Artists.

use super::{AdminError, Administration, Change, invalid, line, optional, paragraphs};
use crate::store::{ArtistData, By, Part};

/// Works that one artist may have.
const WORKS: usize = 200;

/// What is to be changed of an artist.
#[derive(Debug, Clone, Default)]
pub struct ArtistPatch {
    /// As shown.
    pub name: Option<String>,
    /// What they play.
    pub genre: Change<String>,
    /// What they do.
    pub occupation: Change<String>,
    /// A few sentences about them.
    pub biography: Change<String>,
    /// Albums, films, books.
    pub works: Change<Vec<String>>,
}

impl ArtistPatch {
    fn apply(self, mut artist: ArtistData) -> Result<ArtistData, AdminError> {
        artist.name = line(&self.name.unwrap_or(artist.name), "name", 200)?;
        self.genre.apply(&mut artist.genre);
        self.occupation.apply(&mut artist.occupation);
        self.biography.apply(&mut artist.biography);
        let mut works = Some(artist.works);
        self.works.apply(&mut works);
        artist.genre = optional(artist.genre, "genre", |text, name| line(text, name, 100))?;
        artist.occupation = optional(artist.occupation, "occupation", |text, name| line(text, name, 100))?;
        artist.biography =
            optional(artist.biography, "biography", |text, name| paragraphs(text, name, 10_000))?;
        let works = works.unwrap_or_default();
        if works.len() > WORKS {
            return invalid(format!("works must be {WORKS} at most"));
        }
        artist.works = works.iter().map(|work| line(work, "each of works", 200)).collect::<Result<_, _>>()?;
        Ok(artist)
    }
}

impl Administration {
    /// Adds an artist.
    ///
    /// # Errors
    /// A value is not acceptable, or there is an artist of that name.
    pub async fn create_artist(&self, artist: ArtistPatch, by: &By) -> Result<(i64, ArtistData), AdminError> {
        let artist = artist.apply(ArtistData::default())?;
        Ok((self.store.insert_artist(&artist, by).await?, artist))
    }

    /// One artist.
    ///
    /// # Errors
    /// There is none.
    pub async fn artist(&self, id: i64) -> Result<ArtistData, AdminError> {
        let artist = self.store.artist(id).await?;
        artist.map(Into::into).ok_or(AdminError::NotFound("artist"))
    }

    /// Artists by name, those whose names begin so.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn artists(&self, beginning: &str, part: Part) -> Result<Vec<(i64, ArtistData)>, AdminError> {
        let artists = self.store.artists(beginning, part).await?;
        Ok(artists.into_iter().map(|artist| (artist.id, artist.into())).collect())
    }

    /// Changes an artist.
    ///
    /// # Errors
    /// There is none, a value is not acceptable, or there is another one of that name.
    pub async fn change_artist(
        &self,
        id: i64,
        patch: ArtistPatch,
        by: &By,
    ) -> Result<ArtistData, AdminError> {
        let changed = self.store.change_artist(id, by, |artist| patch.apply(artist)).await?;
        changed.ok_or(AdminError::NotFound("artist"))
    }

    /// Deletes an artist who plays nowhere.
    ///
    /// # Errors
    /// There is none, or they play somewhere.
    pub async fn delete_artist(&self, id: i64, by: &By) -> Result<(), AdminError> {
        match self.store.delete_artist(id, by).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdminError::NotFound("artist")),
            Err(error) if error.constraint() == Some("event_artists_artist_id_fkey") => {
                Err(AdminError::InUse("this artist plays at an event; take them out of it first"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
