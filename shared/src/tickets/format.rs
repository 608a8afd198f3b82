//! The port to what a ticket can be printed as.

use std::sync::Arc;

use bytes::Bytes;

use super::calendar::Calendar;
use super::face::TicketFace;
use super::pdf::{A4, Phone};
use super::svg::QrPicture;
use crate::domain::Language;

/// Why a document could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The fonts that are built in cannot be read.
    #[error("the fonts cannot be used")]
    Font,
    /// The code is too long for a QR code.
    #[error("the code does not fit into a QR code")]
    Qr,
    /// A page cannot be made or written.
    #[error("the document cannot be written: {0}")]
    Document(String),
    /// No such format.
    #[error("there is no format {0}")]
    NoSuchFormat(String),
    /// Too many documents are being made.
    #[error("too many documents are being made; try again in a moment")]
    Busy,
}

/// One way to print tickets. It is called off the threads that answer, so it may take some milliseconds.
pub trait TicketFormat: Send + Sync + 'static {
    /// Its name in paths and parameters.
    fn name(&self) -> &'static str;

    /// The media type of what it makes.
    fn media_type(&self) -> &'static str;

    /// What the names of such files end with.
    fn extension(&self) -> &'static str;

    /// Prints these tickets into one document, in their order.
    ///
    /// # Errors
    /// The document cannot be made.
    fn render(&self, tickets: &[TicketFace], language: Language) -> Result<Bytes, RenderError>;
}

/// The formats that there are; others plug in by [`Self::with`].
#[derive(Clone)]
pub struct Formats(Vec<Arc<dyn TicketFormat>>);

impl Default for Formats {
    fn default() -> Self {
        Self(vec![Arc::new(A4), Arc::new(Phone), Arc::new(Calendar), Arc::new(QrPicture)])
    }
}

impl Formats {
    /// The same, and one more; it comes in place of another one of its name.
    #[must_use]
    pub fn with(mut self, format: Arc<dyn TicketFormat>) -> Self {
        self.0.retain(|known| known.name() != format.name());
        self.0.push(format);
        self
    }

    /// The one of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn TicketFormat>, RenderError> {
        let found = self.0.iter().find(|format| format.name() == name);
        found.cloned().ok_or_else(|| RenderError::NoSuchFormat(name.chars().take(32).collect()))
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|format| format.name()).collect()
    }
}
