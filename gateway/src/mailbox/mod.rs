//! The mailbox: messages that were put there instead of being sent. For callers on this machine and for admins, and only
//! where the settings open it.

mod list;
mod show;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::{Admin, ClientIp};
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
        if ip.is_loopback() && is_local(parts) {
            return Ok(Self);
        }
        let Admin(caller) = Admin::from_request_parts(parts, app).await?;
        if caller.is_service() { Err(Problem::plain(Code::Forbidden)) } else { Ok(Self) }
    }
}

/// Whether a request was meant for this machine. A page whose name was made to lead here says its own name, and a proxy
/// on this machine says for whom it asks.
fn is_local(parts: &Parts) -> bool {
    let is_passed_on = ["forwarded", "x-forwarded-for"].iter().any(|name| parts.headers.contains_key(*name));
    // HTTP/2 has no such header; there the host stands in the URI.
    let host = match parts.headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => parts.uri.authority().map(Authority::as_str),
    };
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    let is_here = |host: Authority| {
        let name = host.host().to_ascii_lowercase();
        !host.as_str().contains('@') && matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    };
    !is_passed_on && host.is_some_and(is_here)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn is_local_with(headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri("/mailbox");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_local(&request.body(()).expect("a request").into_parts().0)
    }

    #[test]
    fn only_what_was_meant_for_this_machine_is_local() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]", "[::1]:8000"] {
            assert!(is_local_with(&[("host", host)]), "{host}");
        }
        for host in
            ["", "evil.test", "evil.test:8000", "localhost.evil.test", "localhost@evil.test", "a@localhost"]
        {
            assert!(!is_local_with(&[("host", host)]), "{host}");
        }
        assert!(!is_local_with(&[]));
        for passed_on in ["forwarded", "x-forwarded-for"] {
            assert!(!is_local_with(&[("host", "localhost"), (passed_on, "127.0.0.1")]), "{passed_on}");
        }
        let http2 = Request::builder().uri("http://localhost:8000/mailbox").body(()).expect("a request");
        assert!(is_local(&http2.into_parts().0));
    }
}
