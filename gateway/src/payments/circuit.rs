//! `GET /api/payments/circuit-breaker-status`

use axum::Json;
use axum::extract::State;
use shared::pay::CircuitStatus;

use crate::app::App;
use crate::caller::{Caller, ClientIp};
use crate::problem::{Code, Problem, ProblemBody};

/// Whether the provider is asked at the moment, as this gateway sees it.
#[utoipa::path(get, path = "/api/payments/circuit-breaker-status", tag = "checkout",
    responses((status = 200, body = CircuitStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_circuit(
    State(app): State<App>,
    _caller: Caller,
    ClientIp(ip): ClientIp,
) -> Result<Json<CircuitStatus>, Problem> {
    app.limits.check_read(ip)?;
    let circuit = app.checkout.circuit();
    circuit.map(Json).ok_or_else(|| Problem::new(Code::NotFound, "No circuit stands before the provider"))
}
