//! Why something was not done with an account.

use super::fields::FieldError;
use crate::auth::{PasswordError, SealError, TokenError};
use crate::shop::Fault;
use crate::store::StoreError;

/// Why something was not done with an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A value is not acceptable.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Somebody has it.
    #[error("somebody has registered with this {0} already")]
    Taken(&'static str),
    /// Wrong name or password.
    #[error("wrong login or password")]
    BadCredentials,
    /// The password is right; the authenticator's is missing.
    #[error("send the authenticator's six digits, or a recovery code, as `code`")]
    SecondFactorNeeded,
    /// With a second factor a password alone, as Basic sends it, is not enough.
    #[error("this account has a second factor; log in for a token")]
    BasicNotEnough,
    /// The authenticator's password is wrong, or was used.
    #[error("these digits are wrong, or were used already")]
    BadSecondFactor,
    /// So many wrong ones came that nothing is looked at for a while.
    #[error("too many wrong codes; wait")]
    SecondFactorBlocked {
        /// Until it is looked at again.
        seconds: u64,
    },
    /// A second factor is in use already.
    #[error("a second factor is in use already; disable it first")]
    SecondFactorInUse,
    /// Only operators and admins have one.
    #[error("a second factor is for operators and admins")]
    SecondFactorNotForYou,
    /// A refresh token is no good.
    #[error("this refresh token is no good; log in again")]
    BadRefreshToken,
    /// The session was ended, or the account is no more.
    #[error("this session has ended; log in again")]
    SessionEnded,
    /// An access token is no good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// An API key is no good.
    #[error("this API key is unknown, revoked or expired")]
    BadKey,
    /// The digits of a code are wrong.
    #[error("these digits are wrong; {tries_left} more tries")]
    BadCode {
        /// Tries that are left.
        tries_left: u32,
    },
    /// The digits of a code that resets a password are wrong, or there is no such code: it is not told which.
    #[error("these digits are wrong or good no more")]
    BadResetCode,
    /// A code is good no more.
    #[error("this code was used, replaced, tried too often, or has expired; ask for another one")]
    CodeExpired,
    /// The e-mail address was not shown to be theirs, which the change of a login or a phone number takes.
    #[error(
        "confirm your e-mail address first, by the code that was sent to it: POST /api/account/verification/confirm; \
         POST /api/account/verification sends another one"
    )]
    EmailNotVerified,
    /// The e-mail address was shown to be theirs before.
    #[error("this e-mail address is confirmed already")]
    EmailVerified,
    /// Too many codes were sent.
    #[error("too many codes were sent within the hour")]
    TooManyCodes {
        /// Until one is sent again.
        seconds: u64,
    },
    /// Too many codes were sent since yesterday.
    #[error("too many codes were sent within the day")]
    TooManyCodesToday {
        /// Until one is sent again.
        seconds: u64,
    },
    /// So many codes went out by SMS, to whomever, that no more do for now.
    #[error("no more codes go out by SMS for now; try again later")]
    NoMoreSms {
        /// Until one is sent again.
        seconds: u64,
    },
    /// There is no such thing.
    #[error("there is no such account, code or key")]
    NotFound,
    /// A payment is under way.
    #[error("a payment is under way; finish it or wait until it has run out")]
    PaymentUnderWay,
    /// Admins do not change their own role, so that one is always left.
    #[error("you cannot change your own role")]
    OwnRole,
    /// Passwords cannot be hashed right now.
    #[error(transparent)]
    Busy(#[from] PasswordError),
    /// A second factor's secret does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error.constraint() {
            Some("users_email_key") => Self::Taken("e-mail address"),
            Some("users_login_key") => Self::Taken("login"),
            Some("users_phone_key") => Self::Taken("phone number"),
            _ => Self::Fault(error.into()),
        }
    }
}
