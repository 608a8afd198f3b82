//! The second factor of operators and admins: an authenticator's digits, or a recovery code.

use secrecy::SecretString;
use sha2::Digest as _;

use super::{AccountError, Accounts, Session};
use crate::auth::SharedSecret;
use crate::domain::UserId;
use crate::store::CredentialRecord;

/// Recovery codes that somebody gets.
const RECOVERY_CODES: usize = 10;

/// A second factor that was begun.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// To be typed into an authenticator.
    pub secret: String,
    /// The same, for a QR code.
    pub link: String,
}

impl Accounts {
    /// Begins a second factor; it is in use once its digits are confirmed. Whoever found a session open does not know the
    /// password, and so cannot lock its owner out by an authenticator of their own.
    ///
    /// # Errors
    /// The password is wrong, one is in use, or this is neither an operator nor an admin.
    pub async fn begin_second_factor(
        &self,
        user: UserId,
        password: SecretString,
    ) -> Result<Enrolment, AccountError> {
        let profile = self.profile(user).await?;
        if !profile.role.may_operate() {
            return Err(AccountError::SecondFactorNotForYou);
        }
        self.check_password(user, password).await?;
        let secret = SharedSecret::draw();
        let sealed = self.second_factors.seal(user, &secret)?;
        if !self.store.begin_second_factor(user, &sealed).await? {
            return Err(AccountError::SecondFactorInUse);
        }
        Ok(Enrolment { secret: secret.base32(), link: secret.link(&profile.email)? })
    }

    /// Takes a second factor into use. All sessions of before end; the answer is the recovery codes, told this once, and a
    /// new session.
    ///
    /// # Errors
    /// The digits are wrong, none was begun, or one is in use.
    pub async fn confirm_second_factor(
        &self,
        user: UserId,
        digits: &str,
    ) -> Result<(Vec<String>, Session), AccountError> {
        let factor = self.store.second_factor(user).await?.ok_or(AccountError::NotFound)?;
        if factor.is_confirmed {
            return Err(AccountError::SecondFactorInUse);
        }
        let secret = self.second_factors.open(user, &factor.secret)?;
        let step = secret.step_of(digits, seconds(factor.now))?.ok_or(AccountError::BadSecondFactor)?;
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let hashes: Vec<Vec<u8>> = codes.iter().map(|code| recovery_hash(code)).collect();
        let confirmed = self.store.confirm_second_factor(user, column(step), &hashes).await?;
        let version = confirmed.ok_or(AccountError::SecondFactorInUse)?;
        self.ended.end_user(user, version);
        tracing::info!(user.id = user.0, "second factor taken into use");
        let user = self.store.credentials_of(user).await?.ok_or(AccountError::SessionEnded)?;
        Ok((codes, self.open_session(&CredentialRecord { version, ..user }, true).await?))
    }

    /// Takes a second factor out of use.
    ///
    /// # Errors
    /// The digits are wrong, or none is there.
    pub async fn disable_second_factor(&self, user: UserId, code: &str) -> Result<(), AccountError> {
        let factor = self.store.second_factor(user).await?.ok_or(AccountError::NotFound)?;
        if factor.is_confirmed {
            self.check_second_factor(user, Some(code)).await?;
        }
        let version = self.store.delete_second_factor(user).await?.ok_or(AccountError::NotFound)?;
        self.ended.end_user(user, version);
        tracing::info!(user.id = user.0, "second factor taken out of use");
        Ok(())
    }

    /// Whether this is the authenticator's password of now and was not used, or a recovery code that was not.
    pub(super) async fn check_second_factor(
        &self,
        user: UserId,
        code: Option<&str>,
    ) -> Result<(), AccountError> {
        let code =
            code.map(str::trim).filter(|code| !code.is_empty()).ok_or(AccountError::SecondFactorNeeded)?;
        let Some(factor) = self.store.try_second_factor(user).await? else {
            let Some(factor) = self.store.second_factor(user).await? else { return Ok(()) };
            let left = factor.blocked_until.map_or(0, |until| (until - factor.now).num_seconds());
            let seconds = u64::try_from(left).unwrap_or(0) + 1;
            return Err(AccountError::SecondFactorBlocked { seconds });
        };
        let step = match self.second_factors.open(user, &factor.secret) {
            Ok(secret) => secret.step_of(code, seconds(factor.now))?,
            // Sealed under a secret that is not known any more, it says nothing: what is left are the recovery codes.
            Err(error) => {
                tracing::warn!(
                    user.id = user.0,
                    error = crate::telemetry::chain(&error),
                    "a second factor cannot be opened with JWT_SECRET or the one before: only its recovery codes are good"
                );
                None
            }
        };
        let is_good = match step {
            Some(step) => self.store.take_step(user, column(step)).await?,
            None => self.store.take_recovery_code(user, &recovery_hash(code)).await?,
        };
        if is_good { Ok(()) } else { Err(AccountError::BadSecondFactor) }
    }
}

fn seconds(at: chrono::DateTime<chrono::Utc>) -> u64 {
    u64::try_from(at.timestamp()).unwrap_or(0)
}

fn column(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}

/// Eighty random bits, in groups that are easily typed.
fn recovery_code() -> String {
    let groups = rand::random::<[u16; 5]>().map(|group| format!("{group:04x}"));
    groups.join("-")
}

/// What is stored of a recovery code; a plain hash, as nobody guesses eighty bits.
fn recovery_hash(code: &str) -> Vec<u8> {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    sha2::Sha256::digest(plain.to_ascii_lowercase()).to_vec()
}
