//! Venues.

use super::{AdminError, Administration, Change, line, optional};
use crate::store::{By, Part, VenueData};

/// What is to be changed of a venue.
#[derive(Debug, Clone, Default)]
pub struct VenuePatch {
    /// As shown.
    pub name: Option<String>,
    /// As shown.
    pub city: Option<String>,
    /// Street and number.
    pub address: Change<String>,
}

impl VenuePatch {
    fn apply(self, mut venue: VenueData) -> Result<VenueData, AdminError> {
        venue.name = line(&self.name.unwrap_or(venue.name), "name", 200)?;
        venue.city = line(&self.city.unwrap_or(venue.city), "city", 100)?;
        let mut address = Some(venue.address);
        self.address.apply(&mut address);
        let address = optional(address, "address", |text, name| line(text, name, 300))?;
        venue.address = address.unwrap_or_default();
        Ok(venue)
    }
}

impl Administration {
    /// Adds a venue.
    ///
    /// # Errors
    /// A value is not acceptable, or there is a venue of that name in that city.
    pub async fn create_venue(&self, venue: VenuePatch, by: &By) -> Result<(i64, VenueData), AdminError> {
        let venue = venue.apply(VenueData::default())?;
        Ok((self.store.insert_venue(&venue, by).await?, venue))
    }

    /// One venue.
    ///
    /// # Errors
    /// There is none.
    pub async fn venue(&self, id: i64) -> Result<VenueData, AdminError> {
        self.store.venue(id).await?.ok_or(AdminError::NotFound("venue"))
    }

    /// Venues by name, those whose names begin so.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn venues(&self, beginning: &str, part: Part) -> Result<Vec<(i64, VenueData)>, AdminError> {
        Ok(self.store.venues(beginning, part).await?)
    }

    /// Changes a venue.
    ///
    /// # Errors
    /// There is none, a value is not acceptable, or there is another one of that name in that city.
    pub async fn change_venue(&self, id: i64, patch: VenuePatch, by: &By) -> Result<VenueData, AdminError> {
        let changed = self.store.change_venue(id, by, |venue| patch.apply(venue)).await?;
        changed.ok_or(AdminError::NotFound("venue"))
    }

    /// Deletes a venue without events and layouts.
    ///
    /// # Errors
    /// There is none, or it has events or layouts.
    pub async fn delete_venue(&self, id: i64, by: &By) -> Result<(), AdminError> {
        match self.store.delete_venue(id, by).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdminError::NotFound("venue")),
            Err(error)
                if matches!(error.constraint(), Some("events_venue_id_fkey" | "venue_layouts_venue")) =>
            {
                Err(AdminError::InUse("this venue has events or layouts; delete or move them first"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
