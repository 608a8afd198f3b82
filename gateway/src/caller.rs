//! Who asks, and from where.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use shared::auth::Role;
use shared::domain::{Language, UserId};

use crate::app::App;
use crate::problem::{Code, Problem};

/// The cookie that a browser's log-in sets.
pub const COOKIE: &str = "usher_access";
/// Idempotency keys longer than this are refused.
const MAX_KEY: usize = 128;

/// Somebody who is logged in.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
}

/// Somebody who may be logged in. A token that is no good is an error all the same.
#[derive(Debug, Clone, Copy)]
pub struct MaybeCaller(pub Option<Caller>);

/// An operator or admin.
#[derive(Debug, Clone, Copy)]
pub struct Operator(pub Caller);

/// An admin.
#[derive(Debug, Clone, Copy)]
pub struct Admin(pub Caller);
/// Somebody who checks tickets at the door, or an admin.
#[derive(Debug, Clone, Copy)]
pub struct Scanner(pub Caller);

/// The address that a request came from; a proxy's word counts only when it is a trusted one.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(pub IpAddr);

/// The `Idempotency-Key` header.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

/// The language that the client asks for.
#[derive(Debug, Clone, Copy)]
pub struct Spoken(pub Language);

/// A JSON body whose errors are problems.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

/// Path parameters whose errors are problems.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

/// Query parameters whose errors are problems.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl FromRequestParts<App> for MaybeCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some((token, is_cookie)) = token(&parts.headers)? else { return Ok(Self(None)) };
        let claims = match app.tokens.verify(token) {
            Ok(claims) => claims,
            // A stale cookie is sent by the browser, not by the shopper: on reads they are simply logged out.
            Err(_) if is_cookie && parts.method.is_safe() => return Ok(Self(None)),
            Err(error) => return Err(error.into()),
        };
        if is_cookie && !parts.method.is_safe() && !is_same_origin(&parts.headers) {
            return Err(Problem::plain(Code::CrossSite));
        }
        Ok(Self(Some(Caller { user: claims.sub, role: claims.role })))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let MaybeCaller(caller) = MaybeCaller::from_request_parts(parts, app).await?;
        caller.ok_or_else(|| Problem::plain(Code::Unauthenticated))
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.role.may_operate() { Ok(Self(caller)) } else { Err(Problem::plain(Code::Forbidden)) }
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.role == Role::Admin { Ok(Self(caller)) } else { Err(Problem::plain(Code::Forbidden)) }
    }
}

impl FromRequestParts<App> for Scanner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.role.may_scan() { Ok(Self(caller)) } else { Err(Problem::plain(Code::Forbidden)) }
    }
}

impl FromRequestParts<App> for ClientIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip().to_canonical())
            .ok_or_else(|| Problem::plain(Code::Internal))?;
        Ok(Self(client_ip(peer, &parts.headers, &app.config.trusted_proxies)))
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        match value.to_str() {
            Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Self(Some(key.to_owned()))),
            _ => Err(Problem::new(
                Code::BadRequest,
                format!("Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters"),
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Spoken {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let accepted = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Ok(Self(accepted.map(Language::preferred).unwrap_or_default()))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if has_no_body(request.headers()) {
            return serde_json::from_str("{}")
                .map(Self)
                .map_err(|error| Problem::new(Code::BadJson, format!("The request has no body: {error}")));
        }
        let Json(body) = Json::from_request(request, app).await?;
        Ok(Self(body))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let axum::extract::Path(path) = axum::extract::Path::from_request_parts(parts, app).await?;
        Ok(Self(path))
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let axum::extract::Query(query) = axum::extract::Query::from_request_parts(parts, app).await?;
        Ok(Self(query))
    }
}

/// The token of a request, and whether a cookie brought it.
fn token(headers: &HeaderMap) -> Result<Option<(&str, bool)>, Problem> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        let refused =
            || Problem::new(Code::Unauthenticated, "Authorization must be `Bearer` and an access token");
        return bearer.map(|token| Some((token.trim(), false))).ok_or_else(refused);
    }
    Ok(cookie(headers, COOKIE).map(|token| (token, true)))
}

/// A request that brings nothing, as `curl -X POST` sends it, asks for the defaults.
fn has_no_body(headers: &HeaderMap) -> bool {
    let is_empty = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0");
    is_empty
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && !headers.contains_key(header::CONTENT_TYPE)
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|line| line.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('=')))
}

/// Whether a browser says that its own page made the request. Browsers send `Sec-Fetch-Site` or at least
/// `Origin` with every request that changes something.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), ..) => site == "same-origin",
        (None, Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host))
        }
        (None, _, _) => false,
    }
}

/// The last address in `X-Forwarded-For` that no trusted proxy wrote.
fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<IpAddr> =
        lines.flat_map(|line| line.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
    hops.into_iter().rev().find(|hop| !trusted.contains(hop)).unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().expect("name"), value.parse().expect("value")))
            .collect()
    }

    #[test]
    fn forwarded_address_counts_only_from_a_trusted_proxy() {
        let [proxy, client, liar]: [IpAddr; 3] =
            ["10.0.0.1", "203.0.113.7", "198.51.100.1"].map(|ip| ip.parse().expect("ip"));
        let sent = headers(&[("x-forwarded-for", "198.51.100.1, 203.0.113.7")]);
        assert_eq!(client_ip(proxy, &sent, &[proxy]), client);
        assert_eq!(client_ip(liar, &sent, &[proxy]), liar);
        assert_eq!(client_ip(proxy, &headers(&[("x-forwarded-for", "nonsense")]), &[proxy]), proxy);
    }

    #[test]
    fn only_the_own_page_is_the_same_origin() {
        assert!(is_same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!is_same_origin(&headers(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://a"),
            ("host", "a")
        ])));
        assert!(is_same_origin(&headers(&[("origin", "http://a:8000"), ("host", "a:8000")])));
        assert!(!is_same_origin(&headers(&[("origin", "http://b"), ("host", "a")])));
        assert!(!is_same_origin(&headers(&[("host", "a")])));
    }

    #[test]
    fn cookie_is_found_by_its_whole_name() {
        let sent = headers(&[("cookie", "xusher_access=no; usher_access=yes; b=c")]);
        assert_eq!(cookie(&sent, COOKIE), Some("yes"));
    }
}
