//! What admins do: artists, venues, layouts, events, and the places of events that are on sale. Every change is written
//! to the audit log in its own transaction.

mod artists;
mod events;
mod layouts;
mod places;
mod table;
mod template;
mod venues;

pub use artists::ArtistPatch;
pub use events::{EventPatch, Warning};
pub use layouts::{Format, LayoutInput};
pub use places::PlacesRemoved;
pub(super) use places::cut_area;
pub use template::{Template, TemplateArea, TemplateRow, TemplateSeat, TemplateSection};
pub use venues::VenuePatch;

use crate::queue::Queue;
use crate::shop::Fault;
use crate::store::{Store, StoreError};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No such thing; its name.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A value is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// There is one of that name.
    #[error("there is {0} of that name already")]
    Exists(&'static str),
    /// Something else still needs it.
    #[error("{0}")]
    InUse(&'static str),
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error.constraint() {
            Some("artists_name_key") => Self::Exists("an artist"),
            Some("venues_name_key") => Self::Exists("a venue in that city"),
            Some("venue_layouts_name_key") => Self::Exists("a layout of that venue"),
            // Named alike whether something points at what is not there or something that goes is pointed at; which of the two
            // it was is known where it is deleted.
            Some("events_venue_id_fkey" | "venue_layouts_venue") => {
                Self::Invalid("there is no such venue".to_owned())
            }
            Some("event_artists_artist_id_fkey") => Self::Invalid("there is no such artist".to_owned()),
            _ => Self::Fault(error.into()),
        }
    }
}

/// The admins' side of the catalogue; clones share it.
#[derive(Clone)]
pub struct Administration {
    store: Store,
    queue: Queue,
}

impl Administration {
    /// Administration over these.
    pub fn new(store: Store, queue: Queue) -> Self {
        Self { store, queue }
    }
}

/// A value that a change may set, remove, or leave as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// As it is.
    #[default]
    Keep,
    /// Removed.
    Remove,
    /// This from now on.
    Set(T),
}

impl<T> Change<T> {
    fn apply(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Remove => *value = None,
            Self::Set(new) => *value = Some(new),
        }
    }
}

fn invalid<T>(text: impl Into<String>) -> Result<T, AdminError> {
    Err(AdminError::Invalid(text.into()))
}

/// A line of text: trimmed, not empty, of so many characters at most.
fn line(value: &str, name: &str, most: usize) -> Result<String, AdminError> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > most || value.chars().any(char::is_control) {
        return invalid(format!("{name} must be 1 to {most} characters in one line"));
    }
    Ok(value.to_owned())
}

/// Text of several lines; may be empty.
fn paragraphs(value: &str, name: &str, most: usize) -> Result<String, AdminError> {
    let value = value.trim().replace("\r\n", "\n");
    let is_bad = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if value.chars().count() > most || value.chars().any(is_bad) {
        return invalid(format!("{name} must be {most} characters at most"));
    }
    Ok(value)
}

/// Text that may be missing; nothing but spaces is missing too.
fn optional(
    value: Option<String>,
    name: &str,
    check: impl FnOnce(&str, &str) -> Result<String, AdminError>,
) -> Result<Option<String>, AdminError> {
    match value {
        Some(value) if !value.trim().is_empty() => check(&value, name).map(Some),
        Some(_) | None => Ok(None),
    }
}
