//! Who somebody is, in reading order: [`Role`] and [`Scopes`] say what they may do, [`Passwords`] and [`AccessTokens`] who
//! they are, [`EndedSessions`] who they are no longer. [`CodeKeys`] makes the digits that are sent, [`SecondFactorKeys`]
//! seals what authenticators share, [`Remembered`] keeps what was verified a moment ago.

mod codes;
mod ended;
mod keyed;
mod passwords;
mod remembered;
mod role;
mod second_factor;
mod tokens;

pub use codes::{CODE_DIGITS, CodeKeys};
pub use ended::EndedSessions;
pub use keyed::Fingerprints;
pub use passwords::{PasswordError, Passwords};
pub use remembered::Remembered;
pub use role::{Role, Scope, Scopes};
pub use second_factor::{SealError, SecondFactorKeys, SharedSecret};
pub use tokens::{
    AccessClaims, AccessTokens, NewToken, TokenError, new_refresh_token, random_hex, refresh_token_hash,
};
