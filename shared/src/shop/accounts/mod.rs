//! Accounts, in reading order:
//!
//! - [`Fields`](fields) of a registration; registering and logging in (`sign_in`), going on and logging out (`sessions`).
//! - Who a request comes from (`identify`): a token, a name with its password, a service's key; [`Actor`].
//! - What one changes of oneself: `profile`, `changes` (by a code), `passwords`, `second_factor`; `verification` of the
//!   e-mail address.
//! - What is kept of oneself: `history`, `personal_data`.
//! - What admins do: `people`, `api_keys`.

mod api_keys;
mod changes;
mod error;
pub mod fields;
mod history;
mod identify;
mod passwords;
mod people;
mod personal_data;
mod profile;
mod second_factor;
mod sessions;
mod sign_in;
mod verification;

pub use api_keys::{KeyRequest, MadeKey};
pub use changes::{Change, SentCode};
pub use error::AccountError;
pub use history::{History, HistoryPage};
pub use identify::{Actor, BasicCredentials, KEY_PREFIX};
pub use profile::ProfileEdit;
pub use second_factor::Enrolment;
pub use sessions::Session;
pub use sign_in::{LogIn, NewPerson};

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Mutex;

use super::Carts;
use crate::auth::{
    AccessTokens, CodeKeys, EndedSessions, Fingerprints, Passwords, RefreshKeys, Remembered,
    SecondFactorKeys, TargetKeys,
};
use crate::domain::UserId;
use crate::store::{CodeLimits, Store};

/// People with remembered credentials, at least.
const REMEMBERED: usize = 500_000;
/// How long credentials are good without being verified again.
const REMEMBER: Duration = Duration::from_mins(5);
/// Services with remembered keys, at least.
const REMEMBERED_KEYS: usize = 10_000;
/// How long a key is good without being looked up again.
const REMEMBER_KEY: Duration = Duration::from_mins(1);

/// The accounts; clones share them.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

/// See [`Accounts`].
pub struct Inner {
    store: Store,
    carts: Carts,
    passwords: Passwords,
    tokens: AccessTokens,
    ended: EndedSessions,
    codes: CodeKeys,
    code_limits: CodeLimits,
    refresh_keys: RefreshKeys,
    second_factors: SecondFactorKeys,
    fingerprints: Fingerprints,
    basic: Remembered<Actor>,
    keys: Remembered<Actor>,
    handing_out: Mutex<()>,
}

impl std::ops::Deref for Accounts {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// Who changes something for others, and from where: for the audit log.
#[derive(Debug, Clone, Copy)]
pub struct By {
    /// Who.
    pub user: UserId,
    /// From where.
    pub ip: Option<IpAddr>,
}

impl Accounts {
    /// Accounts over these, with keys that follow from the secrets, newest first. `sms_codes_a_day` is how many codes go out by
    /// SMS in a day, whoever asks for them.
    pub fn new(
        (store, carts): (Store, Carts),
        (tokens, passwords): (AccessTokens, Passwords),
        secrets: &[SecretString],
        sms_codes_a_day: u32,
    ) -> Self {
        let inner = Inner {
            store,
            carts,
            passwords,
            tokens,
            ended: EndedSessions::default(),
            codes: CodeKeys::new(secrets),
            code_limits: CodeLimits { targets: TargetKeys::new(secrets), sms_a_day: sms_codes_a_day },
            refresh_keys: RefreshKeys::new(secrets),
            second_factors: SecondFactorKeys::new(secrets),
            fingerprints: Fingerprints::default(),
            basic: Remembered::new(REMEMBERED, REMEMBER),
            keys: Remembered::new(REMEMBERED_KEYS, REMEMBER_KEY),
            handing_out: Mutex::const_new(()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Which sessions have ended.
    pub fn ended(&self) -> &EndedSessions {
        &self.ended
    }
}
