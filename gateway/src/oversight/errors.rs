//! `GET /api/admin/errors`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::store::ErrorRecord;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Operator, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Errors in one answer at most: more than there can be of some ten processes.
const MOST: i64 = 1_000;
/// Names are no longer.
const TEXT: usize = 100;

/// Which errors.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct ErrorQuery {
    /// `gateway`, `worker`, `sweeper`, or one of them as listed, such as `gateway@host`.
    process: Option<String>,
    /// As in the table of errors, or as the worker and the sweeper name theirs.
    code: Option<String>,
}

/// Errors by process and code, latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorList {
    items: Vec<ErrorView>,
}

/// An error that was seen.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorView {
    process: String,
    code: String,
    /// Since `firstSeen`.
    count: i64,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    /// `requestId` of the last one, where a request met it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl From<ErrorRecord> for ErrorView {
    fn from(error: ErrorRecord) -> Self {
        let ErrorRecord { process, code, count, first_seen, last_seen, request_id } = error;
        Self { process, code, count, first_seen, last_seen, request_id }
    }
}

/// What goes wrong, of all processes, some seconds old.
#[utoipa::path(get, path = "/api/admin/errors", tag = "administration", params(ErrorQuery),
    responses((status = 200, body = ErrorList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_errors(
    State(app): State<App>,
    Operator(_caller): Operator,
    Query(query): Query<ErrorQuery>,
) -> Result<Json<ErrorList>, Problem> {
    let is_name = |text: &String| text.len() <= TEXT && !text.contains('\0');
    if ![&query.process, &query.code].into_iter().flatten().all(is_name) {
        return Err(Problem::new(
            Code::Validation,
            format!("process and code must be at most {TEXT} characters"),
        ));
    }
    let errors = app.oversight.errors(query.process.as_deref(), query.code.as_deref(), MOST).await?;
    Ok(Json(ErrorList { items: errors.into_iter().map(ErrorView::from).collect() }))
}
