//! `GET /api/admin/audit`

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::UserId;
use shared::store::{AuditFilter, AuditRecord};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Admin, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Lines in one answer at most.
const MOST: i64 = 500;
/// Words that are searched for are no longer.
const TEXT: usize = 200;

/// Which lines; what is left out does not matter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct AuditQuery {
    /// Not before.
    from: Option<DateTime<Utc>>,
    /// Before.
    to: Option<DateTime<Utc>>,
    /// By whom.
    #[serde(alias = "user_id")]
    user_id: Option<UserId>,
    /// From this address.
    #[param(value_type = Option<String>)]
    ip: Option<IpAddr>,
    /// Such as `queue.pause`; with a dot at its end (`queue.`) all that begin so.
    action: Option<String>,
    /// Words that the object contains, such as `event 7`.
    object: Option<String>,
    /// `done`, or the code of a refusal.
    result: Option<String>,
    /// `next` of the answer before.
    cursor: Option<String>,
    /// 1 to 500.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 500)]
    limit: i64,
}

fn usual() -> i64 {
    50
}

/// Lines of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    items: Vec<AuditLine>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A line of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditLine {
    id: i64,
    at: DateTime<Utc>,
    ip: Option<String>,
    /// Absent for nobody known.
    user_id: Option<UserId>,
    action: String,
    object: String,
    result: String,
}

impl From<AuditRecord> for AuditLine {
    fn from(line: AuditRecord) -> Self {
        let AuditRecord { id, at, ip, user, action, object, result } = line;
        Self { id, at, ip, user_id: user, action, object, result }
    }
}

/// Who did what, when, from where and with which result; refused bookings are in it too, seconds later.
#[utoipa::path(get, path = "/api/admin/audit", tag = "administration", params(AuditQuery),
    responses((status = 200, body = AuditList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn search_audit(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditList>, Problem> {
    let limit = query.limit.clamp(1, MOST);
    let filter = parse(query)?;
    let mut items: Vec<AuditLine> =
        app.oversight.audit_lines(&filter, limit + 1).await?.into_iter().map(AuditLine::from).collect();
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = items.len() <= page;
    items.truncate(page);
    let next = items.last().filter(|_| !is_last).map(cursor);
    Ok(Json(AuditList { items, next }))
}

fn parse(query: AuditQuery) -> Result<AuditFilter, Problem> {
    let text = |value: Option<String>, name: &str| match value {
        Some(value) if value.is_empty() || value.chars().count() > TEXT || value.contains('\0') => {
            Err(Problem::new(Code::Validation, format!("{name} must be 1 to {TEXT} characters")))
        }
        value => Ok(value),
    };
    let refused = || Problem::new(Code::Validation, "cursor must be `next` of an answer");
    let before = match &query.cursor {
        Some(cursor) => Some(read_cursor(cursor).ok_or_else(refused)?),
        None => None,
    };
    let bounded = |time: Option<DateTime<Utc>>| match time {
        Some(time) if !(1_970..=9_999).contains(&chrono::Datelike::year(&time)) => {
            Err(Problem::new(Code::Validation, "from and to must lie between 1970 and 9999"))
        }
        time => Ok(time),
    };
    Ok(AuditFilter {
        from: bounded(query.from)?,
        to: bounded(query.to)?,
        user: query.user_id,
        ip: query.ip,
        action: text(query.action, "action")?,
        object: text(query.object, "object")?,
        result: text(query.result, "result")?,
        before,
    })
}

/// Time and id of the last line of a page.
fn cursor(line: &AuditLine) -> String {
    format!("{}.{}", line.at.timestamp_micros(), line.id)
}

fn read_cursor(text: &str) -> Option<(DateTime<Utc>, i64)> {
    let (at, id) = text.split_once('.')?;
    let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
    (1_970..=9_999).contains(&chrono::Datelike::year(&at)).then_some(())?;
    Some((at, id.parse().ok()?))
}
