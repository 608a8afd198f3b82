//! Who asks, and from where.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use shared::auth::{Role, Scope};
use shared::domain::{Language, UserId};
use shared::shop::accounts::{Actor, BasicCredentials};
use shared::shop::checkout::Buyer;

use crate::app::App;
use crate::auth::credentials::{Credentials, read};
use crate::auth::note_guess;
use crate::config::is_among;
use crate::limits::Guess;
use crate::problem::{Code, Problem};

/// The cookie that a browser's log-in sets.
pub const COOKIE: &str = "usher_access";
/// Idempotency keys longer than this are refused.
const MAX_KEY: usize = 128;

/// Somebody who is logged in, or a service with its key.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Who; with a key, the service.
    pub user: UserId,
    /// What they may do; with a key, what follows from its scopes.
    pub role: Role,
    /// How they were identified.
    pub actor: Actor,
}

impl Caller {
    /// A service that acts through its key.
    pub fn is_service(&self) -> bool {
        self.actor.scopes.is_some()
    }

    /// The same as somebody who buys, or leaves off, from this address.
    pub fn buyer(&self, ip: IpAddr) -> Buyer {
        Buyer { user: self.user, ip: Some(ip) }
    }

    /// Whether a service's key permits this; people need no scopes.
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.actor.scopes.is_none_or(|scopes| scopes.has(scope))
    }

    /// An admin, or a service whose key makes it one; where second factors are required, only with one.
    pub fn is_admin(&self, app: &App) -> bool {
        permit(*self, app, self.role == Role::Admin).is_ok()
    }

    /// Whether they may act in the name of `user`: their own, an admin for everybody, a service where its key says so.
    pub fn may_act_for(&self, app: &App, user: UserId) -> bool {
        self.is_or_may_act_for(user, self.is_admin(app))
    }

    fn is_or_may_act_for(&self, user: UserId, is_admin: bool) -> bool {
        self.user == user || self.actor.scopes.map_or(is_admin, |scopes| scopes.has(Scope::Users))
    }
}

impl From<Actor> for Caller {
    fn from(actor: Actor) -> Self {
        Self { user: actor.user, role: actor.role, actor }
    }
}

/// Somebody who may be logged in. Credentials that are no good are an error all the same.
#[derive(Debug, Clone, Copy)]
pub struct MaybeCaller(pub Option<Caller>);

/// A person: no service, whatever its key permits.
#[derive(Debug, Clone, Copy)]
pub struct Person(pub Caller);

/// An operator or admin.
#[derive(Debug, Clone, Copy)]
pub struct Operator(pub Caller);

/// An admin.
#[derive(Debug, Clone, Copy)]
pub struct Admin(pub Caller);

/// Somebody who checks tickets at the door: a scanner or admin.
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
        let actor = match identify(&parts.method, &parts.headers, app)? {
            Identified::Nobody => return Ok(Self(None)),
            Identified::Actor(actor) => actor,
            // Boxed as they are seldom: else every request would carry the room for them.
            Identified::Key(key) => {
                app.limits.check_login(ip_of(parts, app)?)?;
                Box::pin(app.accounts.key_actor(key)).await?
            }
            Identified::Basic(basic) => Box::pin(verify(&basic, ip_of(parts, app)?, app)).await?,
        };
        Ok(Self(Some(actor.into())))
    }
}

/// Who asks, as far as that is known without asking a store.
enum Identified<'a> {
    /// Nobody who is logged in.
    Nobody,
    /// Somebody, or a service, whose credentials are good.
    Actor(Actor),
    /// Whose key this is has to be looked up.
    Key(&'a str),
    /// This password has to be verified.
    Basic(BasicCredentials),
}

fn identify<'a>(method: &Method, headers: &'a HeaderMap, app: &App) -> Result<Identified<'a>, Problem> {
    let Some(credentials) = read(headers)? else { return Ok(Identified::Nobody) };
    let is_safe = method.is_safe();
    let token_actor = |token| {
        if is_safe { app.accounts.asking_actor(token) } else { app.accounts.token_actor(token) }
    };
    Ok(match credentials {
        Credentials::Token(token) => Identified::Actor(token_actor(token)?),
        Credentials::Cookie(token) => match token_actor(token) {
            Ok(actor) if is_safe || is_same_origin(headers) => Identified::Actor(actor),
            Ok(_) => return Err(Problem::plain(Code::CrossSite)),
            // A stale cookie is sent by the browser, not by the shopper: on reads they are simply logged out.
            Err(_) if is_safe => Identified::Nobody,
            Err(error) => return Err(error.into()),
        },
        Credentials::Key(key) => {
            app.accounts.remembered_key(key).map_or(Identified::Key(key), Identified::Actor)
        }
        Credentials::Basic(basic) => match app.accounts.remembered(&basic) {
            Some(actor) => Identified::Actor(actor),
            None => Identified::Basic(basic),
        },
    })
}

/// Who asks, where no store has to be asked for it; `None` also when the credentials are no good.
pub fn known_caller(method: &Method, headers: &HeaderMap, app: &App) -> Option<MaybeCaller> {
    match identify(method, headers, app).ok()? {
        Identified::Nobody => Some(MaybeCaller(None)),
        Identified::Actor(actor) => Some(MaybeCaller(Some(actor.into()))),
        Identified::Key(_) | Identified::Basic(_) => None,
    }
}

/// Verifies a password that came with a request. Whoever guesses is counted, slowed down and noted as when logging in.
async fn verify(basic: &BasicCredentials, ip: IpAddr, app: &App) -> Result<Actor, Problem> {
    app.limits.check_guess(Guess::Login, ip, &basic.login.trim().to_lowercase()).await?;
    let actor = app.accounts.verify(basic).await.inspect_err(|error| note_guess(ip, error))?;
    Ok(actor)
}

/// Whoever it is, service or person, whatever it asks for.
async fn anybody(parts: &mut Parts, app: &App) -> Result<Caller, Problem> {
    let MaybeCaller(caller) = MaybeCaller::from_request_parts(parts, app).await?;
    caller.ok_or_else(|| Problem::plain(Code::Unauthenticated))
}

/// Lets those pass whom a role permits this; where second factors are required, only with one.
fn permit(caller: Caller, app: &App, is_permitted: bool) -> Result<Caller, Problem> {
    if !is_permitted {
        return Err(Problem::plain(Code::Forbidden));
    }
    let lacks_second_factor = app.config.require_second_factor
        && caller.role.may_operate()
        && !caller.is_service()
        && !caller.actor.has_second_factor;
    if lacks_second_factor { Err(Problem::plain(Code::SecondFactorRequired)) } else { Ok(caller) }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = anybody(parts, app).await?;
        if caller.has_scope(Scope::Book) || parts.method.is_safe() {
            return Ok(caller);
        }
        Err(Problem::new(Code::Forbidden, "This API key permits reading only"))
    }
}

impl FromRequestParts<App> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = anybody(parts, app).await?;
        if caller.is_service() {
            return Err(Problem::new(Code::Forbidden, "Services have no account of this kind"));
        }
        Ok(Self(caller))
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = anybody(parts, app).await?;
        permit(caller, app, caller.role.may_operate()).map(Self)
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = anybody(parts, app).await?;
        permit(caller, app, caller.role == Role::Admin).map(Self)
    }
}

impl FromRequestParts<App> for Scanner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = anybody(parts, app).await?;
        let may_scan = match caller.actor.scopes {
            Some(scopes) => scopes.has(Scope::Scan),
            None => matches!(caller.role, Role::Scanner | Role::Admin),
        };
        permit(caller, app, may_scan).map(Self)
    }
}

impl FromRequestParts<App> for ClientIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        ip_of(parts, app).map(Self)
    }
}

fn ip_of(parts: &Parts, app: &App) -> Result<IpAddr, Problem> {
    let ConnectInfo(peer) =
        parts.extensions.get::<ConnectInfo<SocketAddr>>().ok_or_else(|| Problem::plain(Code::Internal))?;
    Ok(client_ip(peer.ip(), &parts.headers, &app.config.trusted_proxies))
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

/// The last address in `X-Forwarded-For` that no trusted proxy wrote. What stands left of a hop that cannot be read is
/// believed by nobody: the client may have written it.
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_among(trusted, peer) {
        return peer;
    }
    let mut nearest = peer;
    for line in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in line.to_str().unwrap_or_default().rsplit(',') {
            let Some(hop) = read_hop(hop.trim()) else { return nearest };
            if !is_among(trusted, hop) {
                return hop;
            }
            nearest = hop;
        }
    }
    nearest
}

/// An address, alone or with a port.
fn read_hop(hop: &str) -> Option<IpAddr> {
    let alone = hop.parse().ok();
    let ip = alone.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(ip.to_canonical())
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
        assert_eq!(client_ip(proxy, &sent, &[proxy.into()]), client);
        assert_eq!(client_ip(liar, &sent, &[proxy.into()]), liar);
        assert_eq!(client_ip(proxy, &headers(&[("x-forwarded-for", "nonsense")]), &[proxy.into()]), proxy);
        let with_port = headers(&[("x-forwarded-for", "198.51.100.1, 203.0.113.7:51234")]);
        assert_eq!(client_ip(proxy, &with_port, &[proxy.into()]), client);
        let hidden = headers(&[("x-forwarded-for", "198.51.100.1, unknown")]);
        assert_eq!(client_ip(proxy, &hidden, &[proxy.into()]), proxy, "nothing left of it is believed");
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

    fn caller(user: i64, role: Role, scopes: Option<&[Scope]>) -> Caller {
        let scopes = scopes.map(shared::auth::Scopes::of);
        let user = UserId(user);
        Actor { user, role, version: 0, session: None, has_second_factor: false, scopes }.into()
    }

    #[test]
    fn others_are_acted_for_by_admins_and_by_services_with_that_scope() {
        let may = |caller: Caller, is_admin| caller.is_or_may_act_for(UserId(9), is_admin);
        assert!(may(caller(9, Role::Shopper, None), false));
        assert!(!may(caller(1, Role::Shopper, None), false));
        assert!(!may(caller(1, Role::Operator, None), false));
        assert!(may(caller(1, Role::Admin, None), true));
        assert!(may(caller(1, Role::Shopper, Some(&[Scope::Book, Scope::Users])), false));
        assert!(!may(caller(1, Role::Admin, Some(&[Scope::Admin])), true));
    }

    #[test]
    fn cookie_is_found_by_its_whole_name() {
        let sent = headers(&[("cookie", "xusher_access=no; usher_access=yes; b=c")]);
        assert_eq!(cookie(&sent, COOKIE), Some("yes"));
    }
}
