//! Layouts: imported from JSON or CSV, as a whole or not at all.

use super::{AdminError, Administration, Template, invalid, line, table};
use crate::shop::Fault;
use crate::store::{By, LayoutRow, NewLayout, StoreError};

/// How the places of a layout are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As [`Template`] describes.
    Json,
    /// Lines `section,row,seat,tier,x,y` and `area,capacity,tier`, each after its header.
    Csv,
}

/// Places as they came in.
#[derive(Debug, Clone)]
pub struct LayoutInput {
    /// How they are written down.
    pub format: Format,
    /// What is written.
    pub bytes: bytes::Bytes,
}

impl LayoutInput {
    /// Reads and checks them, off the threads that answer: a stadium's take some tenths of a second.
    async fn read(self) -> Result<NewLayout, AdminError> {
        let read = tokio::task::spawn_blocking(move || {
            let template = match self.format {
                Format::Json => serde_json::from_slice(&self.bytes).map_err(|error| error.to_string())?,
                Format::Csv => table::read(&self.bytes)?,
            };
            parts(template)
        });
        let read = read.await.map_err(|_| StoreError::Row("a layout that could not be read"))?;
        read.or_else(invalid)
    }
}

fn parts(mut template: Template) -> Result<NewLayout, String> {
    let mistakes = template.check();
    if !mistakes.is_empty() {
        return Err(mistakes.text());
    }
    Ok(NewLayout {
        venue: 0,
        name: String::new(),
        seats: template.seats(),
        places: u32::try_from(template.places()).unwrap_or(u32::MAX),
        tiers: template.tiers(),
        document: serde_json::to_string(&template).map_err(|error| error.to_string())?,
    })
}

impl Administration {
    /// Adds a layout of a venue.
    ///
    /// # Errors
    /// What is wrong with the places, with their lines; there is no such venue, or it has a layout of that name.
    pub async fn create_layout(
        &self,
        venue: i64,
        name: &str,
        input: LayoutInput,
        by: &By,
    ) -> Result<LayoutRow, AdminError> {
        let layout = NewLayout { venue, name: line(name, "name", 200)?, ..input.read().await? };
        let id = self.store.insert_layout(&layout, by).await?;
        self.layout(id).await
    }

    /// A layout without its places.
    ///
    /// # Errors
    /// There is none.
    pub async fn layout(&self, id: i64) -> Result<LayoutRow, AdminError> {
        self.store.layouts(None, Some(id)).await?.pop().ok_or(AdminError::NotFound("layout"))
    }

    /// Layouts, of one venue or of all, without their places.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn layouts(&self, venue: Option<i64>) -> Result<Vec<LayoutRow>, AdminError> {
        Ok(self.store.layouts(venue, None).await?)
    }

    /// The places of a layout.
    ///
    /// # Errors
    /// There is none.
    pub async fn layout_places(&self, id: i64) -> Result<Template, AdminError> {
        let document = self.store.layout_document(id).await?.ok_or(AdminError::NotFound("layout"))?;
        let places = serde_json::from_str(&document);
        places.map_err(|_| AdminError::Fault(Fault::Store(StoreError::Row("a layout that is none"))))
    }

    /// Gives a layout another name, or other places, or both.
    ///
    /// # Errors
    /// There is none, or as in [`Self::create_layout`].
    pub async fn change_layout(
        &self,
        id: i64,
        name: Option<String>,
        input: Option<LayoutInput>,
        by: &By,
    ) -> Result<LayoutRow, AdminError> {
        let name = name.map(|name| line(&name, "name", 200)).transpose()?;
        let places = match input {
            Some(input) => Some(input.read().await?),
            None => None,
        };
        if !self.store.change_layout(id, name.as_deref(), places.as_ref(), by).await? {
            return Err(AdminError::NotFound("layout"));
        }
        self.layout(id).await
    }

    /// Deletes a layout; events made from it keep their places.
    ///
    /// # Errors
    /// There is none.
    pub async fn delete_layout(&self, id: i64, by: &By) -> Result<(), AdminError> {
        if self.store.delete_layout(id, by).await? { Ok(()) } else { Err(AdminError::NotFound("layout")) }
    }
}
