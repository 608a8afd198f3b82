//! What is tried under `/api/admin` and refused stands in the audit log as well; what is done is written by whoever does it.

use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use shared::seen;
use shared::store::NewAudit;

use crate::app::App;
use crate::caller::{ClientIp, MaybeCaller};
use crate::problem::Code;

/// Longer paths are cut.
const PATH: usize = 200;

/// Notes who was refused what, and why. Somebody unknown is not noted: there is nothing to say of them.
pub async fn note_refused(State(app): State<App>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/admin/") {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let caller = match MaybeCaller::from_request_parts(&mut parts, &app).await {
        Ok(MaybeCaller(caller)) => caller,
        // At once: whoever asks for it again would verify, count and note a wrong password a second time.
        Err(problem) => return problem.into_response(),
    };
    let ip = ClientIp::from_request_parts(&mut parts, &app).await;
    let path: String = parts.uri.path().chars().take(PATH).collect();
    let (object, is_read) = (format!("{} {path}", parts.method), parts.method.is_safe());
    let response = next.run(Request::from_parts(parts, body)).await;
    let (Some(caller), Ok(ClientIp(ip))) = (caller, ip) else { return response };
    let code = response.extensions().get::<Code>().copied();
    if let Some(code) = code.filter(|code| !is_read || *code == Code::Forbidden)
        // Nobody fills the log faster than they may change anything.
        && app.limits.check_write(caller.user).is_ok()
    {
        let user = Some(caller.user);
        seen::audit(NewAudit { ip: Some(ip), user, action: "admin.refuse", object, result: code.word() });
    }
    response
}
