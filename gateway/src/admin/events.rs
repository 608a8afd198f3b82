//! `GET` and `POST /api/admin/events`, `GET`, `PATCH` and `DELETE /api/admin/events/:id`,
//! `POST /api/admin/events/:id/cancel`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::{EventId, Money, TierId};
use shared::shop::admin::{Change, EventPatch, Warning};
use shared::store::{EventRow, NewTier};
use utoipa::ToSchema;

use super::{PageQuery, by, change};
use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// What is told of an event. A new one needs venue, name, startsAt, salesOpenAt and salesCloseAt; `null` removes what need not
/// be there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventBody {
    #[serde(alias = "venue_id")]
    venue_id: Option<i64>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    description: Change<String>,
    /// Who plays, in order; 100 at most.
    #[serde(alias = "artist_ids")]
    artist_ids: Option<Vec<i64>>,
    #[serde(alias = "starts_at")]
    starts_at: Option<DateTime<Utc>>,
    #[serde(default, alias = "ends_at", deserialize_with = "change")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    ends_at: Change<DateTime<Utc>>,
    #[serde(alias = "sales_open_at")]
    sales_open_at: Option<DateTime<Utc>>,
    #[serde(alias = "sales_close_at")]
    sales_close_at: Option<DateTime<Utc>>,
    /// Places that one shopper may have; 6 if it is not told.
    #[serde(alias = "seat_limit")]
    #[schema(minimum = 1, maximum = 100)]
    seat_limit: Option<u32>,
    /// Seconds that a reservation holds; 900 if it is not told.
    #[serde(alias = "hold_seconds")]
    #[schema(minimum = 1, maximum = 86_400)]
    hold_seconds: Option<u32>,
    /// One booking a person.
    #[serde(alias = "one_booking_each")]
    one_booking_each: Option<bool>,
    /// Tickets may be given back until so many hours before the beginning; 24 if it is not told, `null`: never.
    #[serde(default, alias = "refund_until_hours", deserialize_with = "change")]
    #[schema(value_type = Option<u32>)]
    refund_until_hours: Change<u32>,
    /// Prices by name; one of a name that is there already gets the new price.
    #[serde(default)]
    tiers: Vec<TierBody>,
    /// A new event gets the places of this layout of its venue.
    #[serde(alias = "layout_id")]
    layout_id: Option<i64>,
}

/// A price.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TierBody {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    price: Money,
}

impl From<EventBody> for EventPatch {
    fn from(body: EventBody) -> Self {
        let tiers = body.tiers.into_iter().map(|tier| NewTier { name: tier.name, price: tier.price });
        Self {
            venue: body.venue_id,
            name: body.name,
            description: body.description,
            artists: body.artist_ids,
            starts_at: body.starts_at,
            ends_at: body.ends_at,
            sales_open_at: body.sales_open_at,
            sales_close_at: body.sales_close_at,
            seat_limit: body.seat_limit,
            hold_seconds: body.hold_seconds,
            one_booking_each: body.one_booking_each,
            refund_until_hours: body.refund_until_hours,
            tiers: tiers.collect(),
        }
    }
}

/// An event as admins see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminEventView {
    id: EventId,
    venue_id: i64,
    name: String,
    description: String,
    artist_ids: Vec<i64>,
    starts_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
    sales_open_at: DateTime<Utc>,
    sales_close_at: DateTime<Utc>,
    seat_limit: u32,
    hold_seconds: u32,
    one_booking_each: bool,
    refund_until_hours: Option<u32>,
    /// `scheduled` or `cancelled`.
    status: String,
    layout_version: u32,
    total_seats: u32,
    tiers: Vec<AdminTierView>,
    /// What may not have been meant.
    warnings: Vec<WarningView>,
}

/// A price.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminTierView {
    id: TierId,
    name: String,
    price: Money,
}

/// Something that may not have been meant.
#[derive(Debug, Serialize, ToSchema)]
pub struct WarningView {
    /// `sale_opens_late`, `sale_closes_late`, `has_begun`, `no_places`.
    code: &'static str,
    detail: &'static str,
}

/// Events, latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminEventList {
    items: Vec<AdminEventView>,
}

impl From<EventRow> for AdminEventView {
    fn from(event: EventRow) -> Self {
        let warnings = Warning::of(&event).into_iter();
        let warnings =
            warnings.map(|warning| WarningView { code: warning.code(), detail: warning.text() }).collect();
        let tiers = event.tiers.into_iter();
        let tier =
            |tier: shared::domain::Tier| AdminTierView { id: tier.id, name: tier.name, price: tier.price };
        let data = event.data;
        Self {
            id: event.id,
            venue_id: data.venue,
            name: data.name,
            description: data.description,
            artist_ids: data.artists,
            starts_at: data.starts_at,
            ends_at: data.ends_at,
            sales_open_at: data.sales_open_at,
            sales_close_at: data.sales_close_at,
            seat_limit: data.seat_limit,
            hold_seconds: data.hold_seconds,
            one_booking_each: data.one_booking_each,
            refund_until_hours: data.refund_until_hours,
            status: event.status,
            layout_version: event.layout_version,
            total_seats: event.capacity,
            tiers: tiers.map(tier).collect(),
            warnings,
        }
    }
}

/// All events, past and cancelled ones too, latest first.
#[utoipa::path(get, path = "/api/admin/events", tag = "admin", params(PageQuery),
    responses((status = 200, body = AdminEventList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_events(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<PageQuery>,
) -> Result<Json<AdminEventList>, Problem> {
    let events = app.administration.events(query.part()?).await?;
    Ok(Json(AdminEventList { items: events.into_iter().map(Into::into).collect() }))
}

/// Adds an event, with the places of a layout if one is given; all of it or nothing.
#[utoipa::path(post, path = "/api/admin/events", tag = "admin", request_body = EventBody,
    responses((status = 201, body = AdminEventView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn create_event(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Body(body): Body<EventBody>,
) -> Result<(StatusCode, Json<AdminEventView>), Problem> {
    let by = by(&app, admin, ip)?;
    let layout = body.layout_id;
    let event = app.administration.create_event(body.into(), layout, &by).await?;
    tracing::info!(event.id = event.id.0, user.id = by.user.0, "event created");
    Ok((StatusCode::CREATED, Json(event.into())))
}

/// One event.
#[utoipa::path(get, path = "/api/admin/events/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 200, body = AdminEventView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_event(
    State(app): State<App>,
    Admin(_caller): Admin,
    Path(id): Path<EventId>,
) -> Result<Json<AdminEventView>, Problem> {
    Ok(Json(app.administration.event(id).await?.into()))
}

/// Changes what is given of an event. Those who have tickets are told when it moves in time or space.
#[utoipa::path(patch, path = "/api/admin/events/{id}", tag = "admin", params(("id" = i64, Path)), request_body = EventBody,
    responses((status = 200, body = AdminEventView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn change_event(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<EventId>,
    Body(body): Body<EventBody>,
) -> Result<Json<AdminEventView>, Problem> {
    let by = by(&app, admin, ip)?;
    if body.layout_id.is_some() {
        return Err(Problem::new(Code::Validation, "only a new event gets the places of a layout"));
    }
    let event = app.administration.change_event(id, body.into(), &by).await?;
    tracing::info!(event.id = id.0, user.id = by.user.0, "event changed");
    Ok(Json(event.into()))
}

/// Cancels an event: nothing more of it is sold, carts run out at once, and those who have tickets are told. It stays so.
#[utoipa::path(post, path = "/api/admin/events/{id}/cancel", tag = "admin", params(("id" = i64, Path)),
    responses((status = 200, body = AdminEventView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn cancel_event(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<EventId>,
) -> Result<Json<AdminEventView>, Problem> {
    let by = by(&app, admin, ip)?;
    let event = app.administration.cancel_event(id, &by).await?;
    tracing::info!(event.id = id.0, user.id = by.user.0, "event cancelled");
    Ok(Json(event.into()))
}

/// Deletes an event that nobody has reserved or bought anything of.
#[utoipa::path(delete, path = "/api/admin/events/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn delete_event(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<EventId>,
) -> Result<StatusCode, Problem> {
    let by = by(&app, admin, ip)?;
    app.administration.delete_event(id, &by).await?;
    tracing::info!(event.id = id.0, user.id = by.user.0, "event deleted");
    Ok(StatusCode::NO_CONTENT)
}
