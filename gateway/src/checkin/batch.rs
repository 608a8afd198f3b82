//! `POST /api/checkin/batch`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::shop::{CheckedIn, Scan};
use utoipa::ToSchema;

use super::{ScanBody, check_in_all};
use crate::app::App;
use crate::caller::{Body, ClientIp, Scanner};
use crate::problem::{Code, Problem, ProblemBody};

/// Scans in one request at most.
const MAX_SCANS: usize = 500;

/// Scans of a device that was offline, in their order.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ScanBatch {
    /// 1 to 500.
    #[schema(min_items = 1, max_items = 500)]
    scans: Vec<ScanBody>,
}

/// What became of each, in the same order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanResults {
    items: Vec<ScanResult>,
    /// How many went in.
    admitted: usize,
}

/// What became of a scan: one of the two.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanResult {
    /// Somebody goes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    admitted: Option<CheckedIn>,
    /// Somebody does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<ScanRefusal>,
}

/// Why somebody does not go in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanRefusal {
    /// As in an error by itself.
    code: String,
    /// A sentence.
    detail: String,
    /// With `already_used`: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<DateTime<Utc>>,
    /// With `already_used`: at which door.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
}

impl From<Problem> for ScanResult {
    fn from(problem: Problem) -> Self {
        let (used_at, gate) = problem.used.map(|used| (used.at, used.gate)).unzip();
        let code = problem.code.word().to_owned();
        Self { admitted: None, refused: Some(ScanRefusal { code, detail: problem.detail, used_at, gate }) }
    }
}

impl From<Result<CheckedIn, Problem>> for ScanResult {
    fn from(answer: Result<CheckedIn, Problem>) -> Self {
        match answer {
            Ok(entered) => Self { admitted: Some(entered), refused: None },
            Err(problem) => problem.into(),
        }
    }
}

/// Uses the tickets that a device scanned while it was offline. One bad scan does not keep the others from counting; the
/// same scans may be sent again.
#[utoipa::path(post, path = "/api/checkin/batch", tag = "check-in", request_body = ScanBatch,
    responses((status = 200, body = ScanResults), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn check_in_batch(
    State(app): State<App>,
    Scanner(caller): Scanner,
    ClientIp(ip): ClientIp,
    Body(body): Body<ScanBatch>,
) -> Result<Json<ScanResults>, Problem> {
    // Not the budget of writes: more than a hundred a minute come through a door.
    app.limits.check_heavy_read(ip)?;
    if !(1..=MAX_SCANS).contains(&body.scans.len()) {
        return Err(Problem::new(Code::Validation, format!("send 1 to {MAX_SCANS} scans")));
    }
    let parsed: Vec<Result<Scan, Problem>> = body.scans.into_iter().map(ScanBody::parse).collect();
    let good: Vec<Scan> = parsed.iter().filter_map(|scan| scan.as_ref().ok()).cloned().collect();
    let mut answers = check_in_all(&app, (caller, ip), &good).await?.into_iter();
    let results = parsed.into_iter().map(|scan| match scan {
        Ok(_) => answers.next().map_or_else(|| Problem::plain(Code::Internal).into(), ScanResult::from),
        Err(problem) => problem.into(),
    });
    let items: Vec<ScanResult> = results.collect();
    let admitted = items.iter().filter(|item| item.admitted.is_some()).count();
    tracing::info!(user.id = caller.user.0, scans = items.len(), admitted, "scans were uploaded");
    Ok(Json(ScanResults { items, admitted }))
}
