//! The QR code alone, as a picture for pages.

use bytes::Bytes;

use super::face::TicketFace;
use super::format::{RenderError, TicketFormat};
use super::qr::Qr;
use crate::domain::Language;

/// The QR code of the first ticket as SVG.
#[derive(Debug, Clone, Copy)]
pub struct QrPicture;

impl TicketFormat for QrPicture {
    fn name(&self) -> &'static str {
        "qr"
    }

    fn media_type(&self) -> &'static str {
        "image/svg+xml"
    }

    fn extension(&self) -> &'static str {
        "svg"
    }

    fn render(&self, tickets: &[TicketFace], _: Language) -> Result<Bytes, RenderError> {
        let nothing = || RenderError::Document("there is no ticket to draw".to_owned());
        let ticket = tickets.first().ok_or_else(nothing)?;
        Ok(Qr::new(&ticket.code)?.svg().into())
    }
}
