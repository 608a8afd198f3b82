//! At the door: `POST /api/checkin` and `POST /api/checkin/batch`, for scanners and admins.

mod batch;
mod single;

use std::net::IpAddr;

use axum::extract::DefaultBodyLimit;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::domain::EventId;
use shared::shop::{CheckedIn, Scan, Scanned, Shown};
use shared::store::NewAudit;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::Caller;
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

/// Uses the tickets of these scans. Who did not get in, and why, is in the audit log before anybody is told; who did comes
/// into it by the fact.
///
/// # Errors
/// A store is away; the same scans may be sent again.
async fn check_in_all(
    app: &App,
    (caller, ip): (Caller, IpAddr),
    scans: &[Scan],
) -> Result<Vec<Result<CheckedIn, Problem>>, Problem> {
    let scanned = app.tickets.check_in((caller.user, Some(ip)), scans).await?;
    let (mut answers, mut refused) = (Vec::with_capacity(scans.len()), Vec::new());
    for (scan, Scanned { ticket, entry }) in scans.iter().zip(scanned) {
        let entry = entry.map_err(Problem::from);
        if let Err(problem) = &entry {
            let ticket = ticket.map(|ticket| format!("ticket {ticket}, ")).unwrap_or_default();
            let object = format!("{ticket}event {}, gate {}", scan.event, scan.gate);
            let (action, result) = ("ticket.refuse", problem.code.word());
            refused.push(NewAudit { ip: Some(ip), user: Some(caller.user), action, object, result });
        }
        answers.push(entry);
    }
    if !refused.is_empty() {
        app.store.insert_audits(&refused).await?;
    }
    Ok(answers)
}
