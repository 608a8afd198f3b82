//! What a request brings to say who it is: `Authorization: Bearer` with an access token or an API key, `Basic` with a name
//! and a password, `X-Api-Key`, or the cookie.

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::shop::accounts::{BasicCredentials, KEY_PREFIX};

use crate::caller::{COOKIE, cookie};
use crate::problem::{Code, Problem};

/// Where a service may send its key instead.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Basic credentials longer than this are refused unread.
const MAX_BASIC: usize = 1_024;

/// What a request brings to say who it is.
pub enum Credentials<'a> {
    /// An access token.
    Token(&'a str),
    /// An access token that the browser sent by itself.
    Cookie(&'a str),
    /// A service's key.
    Key(&'a str),
    /// A name with its password.
    Basic(BasicCredentials),
}

/// Reads them; `None` when there are none.
///
/// # Errors
/// They are of a kind that is not known here, or garbled.
pub fn read(headers: &HeaderMap) -> Result<Option<Credentials<'_>>, Problem> {
    let text = |name| headers.get(name).map(|value| str::from_utf8(value.as_bytes()).map_err(|_| garbled()));
    if let Some(key) = text(X_API_KEY).transpose()? {
        return Ok(Some(Credentials::Key(key.trim())));
    }
    let Some(value) = text(header::AUTHORIZATION).transpose()? else {
        return Ok(cookie(headers, COOKIE).map(Credentials::Cookie));
    };
    let (scheme, rest) = value.trim().split_once(' ').ok_or_else(garbled)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        let is_key = rest.starts_with(KEY_PREFIX);
        return Ok(Some(if is_key { Credentials::Key(rest) } else { Credentials::Token(rest) }));
    }
    if scheme.eq_ignore_ascii_case("basic") && rest.len() <= MAX_BASIC {
        return basic(rest).map(Credentials::Basic).map(Some).ok_or_else(garbled);
    }
    Err(garbled())
}

fn basic(text: &str) -> Option<BasicCredentials> {
    let plain = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (login, password) = plain.split_once(':')?;
    Some(BasicCredentials { login: login.to_owned(), password: password.to_owned().into() })
}

fn garbled() -> Problem {
    let detail = "Authorization must be `Bearer` and an access token or API key, or `Basic` and e-mail:password in base64";
    Problem::new(Code::Unauthenticated, detail)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn sent(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().expect("name"), value.parse().expect("value"))])
    }

    #[test]
    fn every_kind_of_credentials_is_told_apart() {
        let bearer = sent("authorization", "bearer abc");
        assert!(matches!(read(&bearer), Ok(Some(Credentials::Token("abc")))));
        let key = sent("authorization", "Bearer usher_key_1");
        assert!(matches!(read(&key), Ok(Some(Credentials::Key("usher_key_1")))));
        let key = sent("x-api-key", "usher_key_1");
        assert!(matches!(read(&key), Ok(Some(Credentials::Key("usher_key_1")))));
        let browser = sent("cookie", "usher_access=abc");
        assert!(matches!(read(&browser), Ok(Some(Credentials::Cookie("abc")))));
        assert!(matches!(read(&HeaderMap::new()), Ok(None)));
        let basic = sent("authorization", &format!("Basic {}", STANDARD.encode("a@b.c:pass:word")));
        let Ok(Some(Credentials::Basic(basic))) = read(&basic) else { panic!("not read") };
        assert_eq!((basic.login.as_str(), basic.password.expose_secret()), ("a@b.c", "pass:word"));
    }

    #[test]
    fn garbled_credentials_are_refused() {
        for value in ["", "Bearer", "Nonsense x", "Basic ???", "Basic bm9jb2xvbg=="] {
            assert!(read(&sent("authorization", value)).is_err(), "{value}");
        }
        assert!(read(&sent("authorization", &format!("Basic {}", "A".repeat(2_000)))).is_err());
    }
}
