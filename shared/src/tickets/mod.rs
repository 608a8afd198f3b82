//! Tickets: the document for one order item, with a code that a scanner checks without asking anybody.
//!
//! [`TicketKeys`] signs what [`TicketCode`] says; [`TicketFace`] is what stands on a ticket, and a [`TicketFormat`] prints
//! it, by a [`Press`] that does so beside the threads that answer.

pub mod calendar;
mod code;
pub mod config;
mod face;
mod format;
mod keys;
mod language;
mod number;
pub mod pdf;
mod press;
mod qr;
mod svg;

pub use code::{CodeError, TicketCode, ToSign};
pub use face::TicketFace;
pub use format::{Formats, RenderError, TicketFormat};
pub use keys::{Jwk, JwkSet, TicketKeys, TicketVerifier, new_key_pem};
pub use language::Words;
pub use number::{NumberError, TicketNumber};
pub use press::{Document, Press};
pub use qr::{QUIET, Qr, Run};
pub use svg::QrPicture;

/// The queue that issues the tickets of paid orders.
pub const QUEUE: &str = "tickets";

/// A job of that queue: issue the tickets of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IssueTickets {
    /// The order.
    pub order: crate::domain::OrderId,
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, NaiveDateTime, TimeZone as _, Utc};

    use super::*;
    use crate::domain::Language;
    use crate::domain::{EventId, Money, TicketId};

    /// A ticket with everything on it.
    pub(super) fn face() -> TicketFace {
        let keys = TicketKeys::new(&new_key_pem().expect("a key")).expect("an Ed25519 key");
        let (id, number) = (TicketId::new(), TicketNumber::random().to_string());
        let place = "Партер, ряд 12, місце 34";
        let issued_at = Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).single().expect("a time");
        let code = keys.code(ToSign { id, number: &number, event: EventId(7), place, issued_at });
        let there: Option<NaiveDateTime> =
            NaiveDate::from_ymd_opt(2027, 1, 30).and_then(|day| day.and_hms_opt(20, 0, 0));
        TicketFace {
            id,
            number,
            code,
            event: "Marta Vesna & Night Tram Ensemble".to_owned(),
            artists: vec!["Marta Vesna".to_owned(), "Night Tram Ensemble".to_owned()],
            venue: "Lantern Theatre".to_owned(),
            city: "Lviv".to_owned(),
            starts_at: Utc.with_ymd_and_hms(2027, 1, 30, 18, 0, 0).single().expect("a time"),
            starts_there: there.expect("a time"),
            time_zone: "Europe/Kyiv".to_owned(),
            place: place.to_owned(),
            tier: "Parterre".to_owned(),
            price: Money { amount: 120_000, currency: "UAH".to_owned() },
            holder: "Соломія Їжакевич-Ґалаґан".to_owned(),
            read_at: issued_at,
        }
    }

    #[tokio::test]
    async fn another_format_plugs_in_and_an_unknown_one_is_told() {
        struct Plain;
        impl TicketFormat for Plain {
            fn name(&self) -> &'static str {
                "plain"
            }
            fn media_type(&self) -> &'static str {
                "text/plain"
            }
            fn extension(&self) -> &'static str {
                "txt"
            }
            fn render(
                &self,
                tickets: &[TicketFace],
                language: Language,
            ) -> Result<bytes::Bytes, RenderError> {
                let words = language.words();
                let lines: Vec<String> =
                    tickets.iter().map(|ticket| format!("{} {}", words.ticket, ticket.number)).collect();
                Ok(lines.join("\n").into())
            }
        }
        let press = Press::new(Formats::default().with(std::sync::Arc::new(Plain)));
        assert_eq!(press.formats().names(), ["a4", "phone", "calendar", "qr", "plain"]);
        let ticket = face();
        let printed = press.print("plain", vec![ticket.clone()], Language::Uk).await.expect("a document");
        assert_eq!(printed.bytes, format!("Квиток {}", ticket.number).as_bytes());
        let refused = press.print("papyrus", vec![ticket], Language::En).await;
        assert!(matches!(refused, Err(RenderError::NoSuchFormat(name)) if name == "papyrus"));
    }
}
