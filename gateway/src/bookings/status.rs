//! `GET /api/bookings/status/:id`

use axum::extract::State;
use shared::shop::Status;

use crate::answer::Answer;
use crate::app::App;
use crate::caller::{ClientIp, MaybeCaller, Path};
use crate::problem::{Problem, ProblemBody};

/// Where a job stands. Whoever has the reference may ask; what was won is told to its owner only.
#[utoipa::path(get, path = "/api/bookings/status/{id}", tag = "bookings", params(("id" = String, Path, description = "The job's reference")),
    responses((status = 200, body = Status), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_status(
    State(app): State<App>,
    MaybeCaller(caller): MaybeCaller,
    ClientIp(ip): ClientIp,
    Path(reference): Path<String>,
) -> Result<Answer<Status>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Answer(app.desk.status(&reference, caller.map(|caller| caller.user)).await?))
}
