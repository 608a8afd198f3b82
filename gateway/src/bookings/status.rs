//! `GET /api/bookings/status/:id`

use std::net::IpAddr;

use axum::extract::State;
use axum::http::{Method, Request, header};
use axum::response::{IntoResponse as _, Response};
use shared::shop::Status;

use crate::answer::Answer;
use crate::app::App;
use crate::caller::{ClientIp, MaybeCaller, Path, client_ip, known_caller};
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

/// What stands before the reference.
const PATH: &str = "/api/bookings/status/";

/// Answers a poll of a job that has not ended, or refuses it where there were too many; `None` for every other request, and where
/// there is more to say: `show_status` does, and nothing has been counted yet.
///
/// Everybody who waits asks this again and again, and it is known without waiting for anything. Pages of other origins are
/// left to the router, which knows whether they may ask.
pub fn answer_at_once<B>(app: &App, request: &Request<B>, peer: IpAddr) -> Option<Response> {
    let (method, headers) = (request.method(), request.headers());
    if *method != Method::GET || headers.contains_key(header::ORIGIN) {
        return None;
    }
    let reference = request.uri().path().strip_prefix(PATH)?;
    let MaybeCaller(caller) = known_caller(method, headers, app)?;
    let status = app.desk.status_at_once(reference, caller.map(|caller| caller.user))?;
    let counted = app.limits.check_read(client_ip(peer, headers, &app.config.trusted_proxies));
    Some(counted.map(|()| Answer(status)).into_response())
}
