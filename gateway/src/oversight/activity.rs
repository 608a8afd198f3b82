//! `GET /api/admin/activity`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::store::ActivityRecord;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Operator, Query};
use crate::problem::{Problem, ProblemBody};

/// Minutes in one answer at most: a week.
const MOST: i32 = 10_080;

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ActivityQuery {
    /// 1 to 10,080.
    #[serde(default = "hour")]
    #[param(minimum = 1, maximum = 10_080)]
    minutes: i32,
}

fn hour() -> i32 {
    60
}

/// Minutes in which something was done, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivityList {
    items: Vec<ActivityView>,
}

/// What people did in one minute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityView {
    /// When it began.
    at: DateTime<Utc>,
    /// People who registered.
    registrations: i64,
    /// Log-ins.
    logins: i64,
    /// Requests that were given places.
    bookings: i64,
    /// Requests that were refused by the queue.
    refusals: i64,
    /// Orders that were made.
    orders: i64,
}

impl From<ActivityRecord> for ActivityView {
    fn from(minute: ActivityRecord) -> Self {
        let ActivityRecord { at, registrations, logins, bookings, refusals, orders } = minute;
        Self { at, registrations, logins, bookings, refusals, orders }
    }
}

/// How much is going on, minute by minute, some seconds old.
#[utoipa::path(get, path = "/api/admin/activity", tag = "administration", params(ActivityQuery),
    responses((status = 200, body = ActivityList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_activity(
    State(app): State<App>,
    Operator(_caller): Operator,
    Query(query): Query<ActivityQuery>,
) -> Result<Json<ActivityList>, Problem> {
    let minutes = app.oversight.activity(query.minutes.clamp(1, MOST)).await?;
    Ok(Json(ActivityList { items: minutes.into_iter().map(ActivityView::from).collect() }))
}
