//! `GET /api/events/:id`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::domain::{AreaId, EventId, Money, SectionId, TierId};
use utoipa::ToSchema;

use super::{EventView, load};
use crate::app::App;
use crate::caller::{ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// An event with its prices and places.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventDetail {
    #[serde(flatten)]
    event: EventView,
    tiers: Vec<TierView>,
    sections: Vec<SectionView>,
    areas: Vec<AreaView>,
}

/// A price.
#[derive(Debug, Serialize, ToSchema)]
pub struct TierView {
    id: TierId,
    name: String,
    price: Money,
}

/// A block of rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct SectionView {
    id: SectionId,
    name: String,
    /// Always `seated`.
    kind: &'static str,
    seats: u32,
}

/// A general-admission area.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AreaView {
    pub(super) id: AreaId,
    pub(super) name: String,
    /// Always `ga`.
    pub(super) kind: &'static str,
    pub(super) capacity: u32,
    pub(super) tier_id: TierId,
}

/// One event.
#[utoipa::path(get, path = "/api/events/{id}", tag = "events", params(("id" = i64, Path)),
    responses((status = 200, body = EventDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_event(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Path(id): Path<EventId>,
) -> Result<Json<EventDetail>, Problem> {
    app.limits.check_read(ip)?;
    let (event, lane) = load(&app, id).await?;
    let layout = &event.layout;
    let mut seats = vec![0; layout.sections.len()];
    for row in &layout.rows {
        if let Some(count) = seats.get_mut(row.section as usize) {
            *count += row.len;
        }
    }
    let tiers = layout.tiers.iter();
    let sections = layout.sections.iter().zip(seats);
    Ok(Json(EventDetail {
        event: EventView::new(&event, &lane),
        tiers: tiers
            .map(|tier| TierView { id: tier.id, name: tier.name.clone(), price: tier.price.clone() })
            .collect(),
        sections: sections
            .map(|(section, seats)| SectionView {
                id: section.id,
                name: section.name.clone(),
                kind: "seated",
                seats,
            })
            .collect(),
        areas: areas(layout),
    }))
}

pub(super) fn areas(layout: &shared::domain::Layout) -> Vec<AreaView> {
    let areas = layout.areas.iter();
    areas
        .map(|area| AreaView {
            id: area.id,
            name: area.name.clone(),
            kind: "ga",
            capacity: area.capacity,
            tier_id: area.tier,
        })
        .collect()
}
