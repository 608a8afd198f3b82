//! `GET /api/payments/circuit-breaker-status`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::pay::CircuitStatus;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Caller, ClientIp};
use crate::problem::{Code, Problem, ProblemBody};

/// How the circuits before the connected providers stand, in this gateway: of the one that takes new payments, and of former
/// ones.
#[derive(Debug, Serialize, ToSchema)]
pub struct CircuitsView {
    #[serde(flatten)]
    chosen: CircuitStatus,
    /// Absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<CircuitStatus>,
}

/// Whether the providers are asked at the moment, as this gateway sees it.
#[utoipa::path(get, path = "/api/payments/circuit-breaker-status", tag = "checkout",
    responses((status = 200, body = CircuitsView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_circuit(
    State(app): State<App>,
    _caller: Caller,
    ClientIp(ip): ClientIp,
) -> Result<Json<CircuitsView>, Problem> {
    app.limits.check_read(ip)?;
    let chosen = app.checkout.circuit();
    let chosen =
        chosen.ok_or_else(|| Problem::new(Code::NotFound, "No circuit stands before the provider"))?;
    Ok(Json(CircuitsView { chosen, kept: app.checkout.kept_circuits() }))
}
