//! `GET /api/events`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Deserialize;
use shared::store::ListingFilter;
use utoipa::IntoParams;

use super::listed::{EventList, answer, text, wanted};
use crate::app::App;
use crate::caller::{ClientIp, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Which events, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct ListQuery {
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 1_000_000)]
    pub(super) page: u32,
    /// 1 to 100.
    #[serde(default = "usual", alias = "page_size")]
    #[param(minimum = 1, maximum = 100)]
    pub(super) page_size: u32,
    /// Begins then or later: a date in UTC, or a time.
    #[serde(alias = "dateFrom", rename = "date_from")]
    date_from: Option<String>,
    /// Begins on that date or earlier, or before that time.
    #[serde(alias = "dateTo", rename = "date_to")]
    date_to: Option<String>,
    /// The whole name of somebody who plays, or their id.
    #[param(max_length = 200)]
    artist: Option<String>,
    /// The genre of somebody who plays.
    #[param(max_length = 200)]
    genre: Option<String>,
    /// The venue's city.
    #[param(max_length = 200)]
    city: Option<String>,
}

pub(super) fn first() -> u32 {
    1
}

pub(super) fn usual() -> u32 {
    20
}

impl ListQuery {
    pub(super) fn filter(self) -> Result<ListingFilter, Problem> {
        Ok(ListingFilter {
            from: self.date_from.map(|text| time(&text, "date_from", 0)).transpose()?,
            before: self.date_to.map(|text| time(&text, "date_to", 1)).transpose()?,
            artist: text(self.artist, "artist")?,
            genre: text(self.genre, "genre")?,
            city: text(self.city, "city")?,
        })
    }
}

/// A time, or the beginning of a date or so many days later.
fn time(text: &str, name: &str, days: u64) -> Result<DateTime<Utc>, Problem> {
    let refuse = || {
        Problem::new(
            Code::Validation,
            format!("{name} must be a date such as 2026-11-20, or a time in RFC 3339"),
        )
    };
    let text = text.trim();
    let time = match text.parse::<NaiveDate>() {
        Ok(date) => {
            let date = date.checked_add_days(Days::new(days)).ok_or_else(refuse)?;
            date.and_time(NaiveTime::MIN).and_utc()
        }
        Err(_) => DateTime::parse_from_rfc3339(text).map_err(|_| refuse())?.to_utc(),
    };
    // What PostgreSQL and its arithmetic can hold, by far.
    let is_near = (time - DateTime::UNIX_EPOCH).abs() < TimeDelta::days(366 * 5_000);
    if is_near { Ok(time) } else { Err(refuse()) }
}

/// What is to come, soonest first.
#[utoipa::path(get, path = "/api/events", tag = "events", params(ListQuery),
    responses((status = 200, body = EventList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_events(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Query(query): Query<ListQuery>,
) -> Result<Json<EventList>, Problem> {
    app.limits.check_heavy_read(ip)?;
    let (page, size) = (query.page, query.page_size);
    let wanted = wanted(false, page, size)?;
    let found = app.listings.list(&query.filter()?, wanted).await?;
    Ok(Json(answer(&app, found, (page, size)).await?))
}
