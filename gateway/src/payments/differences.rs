//! `GET /api/admin/payments/differences`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::PaymentId;
use shared::store::DifferenceRecord;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Admin, Query};
use crate::problem::{Problem, ProblemBody};

/// Rows in one answer at most.
const MOST: i64 = 1_000;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
pub struct DifferenceQuery {
    /// 1 to 1,000.
    #[serde(default = "most")]
    #[param(minimum = 1, maximum = 1_000)]
    limit: i64,
}

fn most() -> i64 {
    MOST
}

/// What the provider's list and ours did not agree on, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DifferenceList {
    items: Vec<DifferenceView>,
}

/// One of these.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceView {
    id: i64,
    provider: String,
    /// The provider's name for the payment.
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<PaymentId>,
    /// `unknown_here`, `missing_there`, `status`, `amount`, `refunds`, `kept`; and what a person decides:
    /// `partly_charged_back`, `dispute_won`, `refunded_there`.
    kind: String,
    ours: String,
    theirs: String,
    /// Our side was brought to theirs.
    repaired: bool,
    found_at: DateTime<Utc>,
}

impl From<DifferenceRecord> for DifferenceView {
    fn from(record: DifferenceRecord) -> Self {
        let DifferenceRecord {
            id,
            provider,
            provider_ref,
            payment_id,
            kind,
            ours,
            theirs,
            repaired,
            found_at,
        } = record;
        let payment_id = payment_id.map(PaymentId);
        Self { id, provider, reference: provider_ref, payment_id, kind, ours, theirs, repaired, found_at }
    }
}

/// Differences that the daily comparison with the provider has found, and those that webhooks have told.
#[utoipa::path(get, path = "/api/admin/payments/differences", tag = "payments", params(DifferenceQuery),
    responses((status = 200, body = DifferenceList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_differences(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<DifferenceQuery>,
) -> Result<Json<DifferenceList>, Problem> {
    let found = app.checkout.payments().differences(query.limit.clamp(1, MOST)).await?;
    Ok(Json(DifferenceList { items: found.into_iter().map(DifferenceView::from).collect() }))
}
