//! The mailbox: messages that were put there instead of being sent. For callers on this machine and for admins, and only
//! where the settings open it.

mod list;
mod show;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use shared::auth::Role;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::{Caller, ClientIp};
use crate::problem::{Code, Problem};

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list::list_mailbox)).routes(routes!(show::show_mailbox))
}

/// Somebody who may look into the mailbox. A closed one is not there, whoever asks.
#[derive(Debug, Clone, Copy)]
pub struct MailboxReader;

impl FromRequestParts<App> for MailboxReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if !app.mailbox.is_open() {
            return Err(Problem::plain(Code::NotFound));
        }
        let ClientIp(ip) = ClientIp::from_request_parts(parts, app).await?;
        app.limits.check_read(ip)?;
        if ip.is_loopback() {
            return Ok(Self);
        }
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.role == Role::Admin { Ok(Self) } else { Err(Problem::plain(Code::Forbidden)) }
    }
}
