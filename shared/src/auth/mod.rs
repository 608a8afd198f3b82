//! Who somebody is, in reading order: [`Role`] and [`Scopes`] say what they may do, [`Passwords`] and [`AccessTokens`] who
//! they are, [`RefreshKeys`] makes what they go on with, [`EndedSessions`] knows who they are no longer. [`CodeKeys`] makes
//! the digits that are sent, [`TargetKeys`] knows again where they went, [`SecondFactorKeys`] seals what authenticators
//! share, [`Remembered`] keeps what was verified a moment ago.

mod codes;
mod ended;
mod keyed;
mod passwords;
mod refresh;
mod remembered;
mod role;
mod second_factor;
mod targets;
mod tokens;

pub use codes::{CODE_DIGITS, CodeKeys};
pub use ended::EndedSessions;
pub use keyed::Fingerprints;
pub use passwords::{PasswordError, Passwords};
pub use refresh::{RefreshKeys, new_refresh_token, refresh_token_hash};
pub use remembered::Remembered;
pub use role::{Role, Scope, Scopes};
pub use second_factor::{SealError, SecondFactorKeys, SharedSecret};
pub use targets::TargetKeys;
pub use tokens::{AccessClaims, AccessTokens, NewToken, TokenError, random_hex};
