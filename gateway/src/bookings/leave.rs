//! `DELETE /api/bookings/queue/:id`

use axum::Json;
use axum::extract::State;
use shared::shop::Status;

use crate::app::App;
use crate::caller::{Caller, Path};
use crate::problem::{Problem, ProblemBody};

/// Leaves the line. What the job wins meanwhile is released; a job that has ended stays as it ended.
#[utoipa::path(delete, path = "/api/bookings/queue/{id}", tag = "bookings", params(("id" = String, Path, description = "The job's reference")),
    responses((status = 200, body = Status), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn leave_queue(
    State(app): State<App>,
    caller: Caller,
    Path(reference): Path<String>,
) -> Result<Json<Status>, Problem> {
    app.limits.check_write(caller.user)?;
    Ok(Json(app.desk.leave(&reference, caller.user).await?))
}
