//! At the door: `POST /api/checkin` and `POST /api/checkin/batch`, for scanners and admins.

mod batch;
mod single;

use axum::extract::DefaultBodyLimit;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::domain::EventId;
use shared::shop::{Scan, Shown};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Code, Problem};

/// Bodies larger than this are refused: 500 scans, each with a code and room to spare.
const MAX_BODY: usize = 512 * 1024;
/// Longer names of gates, and longer codes, are refused.
const MAX_GATE: usize = 64;
const MAX_CODE: usize = 1_024;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    let batch = OpenApiRouter::new().routes(routes!(batch::check_in_batch));
    OpenApiRouter::new().routes(routes!(single::check_in)).merge(batch.layer(DefaultBodyLimit::max(MAX_BODY)))
}

/// A ticket that was shown at a door: its code or its number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanBody {
    /// What the QR code says.
    code: Option<String>,
    /// Or the number, as it was read out.
    number: Option<String>,
    /// The event that the door belongs to.
    #[serde(alias = "event_id")]
    event_id: EventId,
    /// Which door; 1 to 64 characters.
    gate: String,
    /// When it was scanned by a device that was offline; otherwise now. The same scan may then be sent again.
    #[serde(alias = "scanned_at")]
    scanned_at: Option<DateTime<Utc>>,
}

impl ScanBody {
    fn parse(self) -> Result<Scan, Problem> {
        let refuse = |detail: String| Err(Problem::new(Code::Validation, detail));
        let shown = match (self.code, self.number) {
            (Some(code), None) => Shown::Code(code),
            (None, Some(number)) => Shown::Number(number),
            (Some(_), Some(_)) | (None, None) => return refuse("give either code or number".to_owned()),
        };
        let (Shown::Code(text) | Shown::Number(text)) = &shown;
        if text.len() > MAX_CODE {
            return refuse(format!("a code has {MAX_CODE} characters at most"));
        }
        let gate = self.gate.trim().to_owned();
        if gate.is_empty() || gate.chars().count() > MAX_GATE || gate.chars().any(char::is_control) {
            return refuse(format!("gate must be 1 to {MAX_GATE} visible characters"));
        }
        Ok(Scan { shown, event: self.event_id, gate, scanned_at: self.scanned_at })
    }
}
