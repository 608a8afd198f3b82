//! Sessions: opened, gone on with, ended, and followed by every gateway.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{AccountError, Accounts};
use crate::auth::{NewToken, new_refresh_token, refresh_token_hash};
use crate::config::MAX_ACCESS_TOKEN_SECONDS;
use crate::domain::UserId;
use crate::store::{
    CredentialRecord, Ended, NewSession, Refreshed, STATEMENT, StoreError, UserRecord, in_time,
};

/// How often it is looked what has ended elsewhere.
const LOOK: Duration = Duration::from_millis(500);
/// What may have been written before the last look and was not yet committed: statements take 10 s at most.
const OVERLAP: Duration = Duration::from_secs(30);
/// How often what is of no use any more is forgotten.
const TIDY: Duration = Duration::from_mins(1);

/// A new session.
#[derive(Debug)]
pub struct Session {
    /// Good for [`Self::expires_in`] seconds.
    pub access_token: String,
    /// Good once, and for some seconds after that in case the answer was lost.
    pub refresh_token: String,
    /// Seconds.
    pub expires_in: u64,
    /// Whose it is.
    pub user: UserRecord,
}

impl Accounts {
    /// The next session of a log-in. A refresh token that was used some seconds ago gives the same next one once more; one
    /// that was used before that ends all that follows from its log-in.
    ///
    /// # Errors
    /// The token is no good.
    pub async fn refresh(&self, token: &str) -> Result<Session, AccountError> {
        let following = self.refresh_keys.following(token);
        let (next_tokens, next_hashes): (Vec<String>, Vec<Vec<u8>>) = following.into_iter().unzip();
        match self.store.rotate_refresh_token(&refresh_token_hash(token), &next_hashes).await? {
            Refreshed::Good { user, family, has_second_factor, version, nth, is_repeated } => {
                if is_repeated {
                    metrics::counter!("usher_refreshes_repeated_total").increment(1);
                    tracing::info!(user.id = user.0, "a refresh was answered alike once more");
                }
                let next_token = next_tokens.into_iter().nth(nth).ok_or(AccountError::BadRefreshToken)?;
                let user = self.store.credentials_of(user).await?.ok_or(AccountError::BadRefreshToken)?;
                // What ends sessions after the token was used up ends what follows from it.
                let user = CredentialRecord { version, ..user };
                // Nor does one count that was taken away since.
                let has_second_factor = has_second_factor && user.has_second_factor;
                self.session(&user, (family, has_second_factor), next_token).await
            }
            Refreshed::Reused { user, family } => {
                self.ended.end_session(family);
                tracing::warn!(user.id = user.0, "a refresh token was used twice; its log-in has ended");
                Err(AccountError::BadRefreshToken)
            }
            Refreshed::Unknown => Err(AccountError::BadRefreshToken),
        }
    }

    /// Ends one log-in. A token that belongs to none ends all sessions.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn log_out(&self, user: UserId, session: Option<Uuid>) -> Result<(), AccountError> {
        let Some(session) = session else { return self.log_out_everywhere(user).await };
        self.store.end_family(user, session).await?;
        self.ended.end_session(session);
        Ok(())
    }

    /// Ends all sessions of somebody, on every device: access tokens too, at every gateway within a second.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn log_out_everywhere(&self, user: UserId) -> Result<(), AccountError> {
        let version = self.store.end_sessions(user).await?;
        self.ended.end_user(user, version);
        Ok(())
    }

    /// Refused when sessions of the version that was read with the credentials have ended since.
    pub(super) async fn open_session(
        &self,
        user: &CredentialRecord,
        has_second_factor: bool,
    ) -> Result<Session, AccountError> {
        let (refresh_token, token_hash) = new_refresh_token();
        let (id, version, family) = (user.id, user.version, Uuid::now_v7());
        let session = NewSession { user: id, family, version, token_hash: &token_hash, has_second_factor };
        if !self.store.insert_session(&session).await? {
            return Err(AccountError::BadCredentials);
        }
        self.session(user, (family, has_second_factor), refresh_token).await
    }

    /// The session of a refresh token that is kept.
    async fn session(
        &self,
        user: &CredentialRecord,
        (family, has_second_factor): (Uuid, bool),
        refresh_token: String,
    ) -> Result<Session, AccountError> {
        let access_token = self.tokens.sign_session(&NewToken {
            user: user.id,
            role: user.role,
            version: user.version,
            session: Some(family),
            has_second_factor,
        })?;
        let person = self.store.user(user.id).await?.ok_or(AccountError::SessionEnded)?;
        Ok(Session { access_token, refresh_token, expires_in: self.tokens.seconds(), user: person })
    }

    /// Follows what ends elsewhere, for as long as it is polled. What is known stays known while PostgreSQL is away.
    pub async fn follow_ended(&self) {
        // Tokens of before a shorter lifetime was set may be as old.
        let keep = Duration::from_secs(MAX_ACCESS_TOKEN_SECONDS) + super::REMEMBER + OVERLAP;
        let (mut since, mut is_away, mut tidied) = (None, false, Instant::now());
        loop {
            match in_time(STATEMENT, self.look(since, keep)).await {
                Ok(looked) => {
                    since = Some(looked);
                    is_away = false;
                    self.ended.note_loaded();
                }
                Err(error) if !is_away => {
                    is_away = true;
                    let error = crate::telemetry::chain(&error);
                    tracing::warn!(error, "sessions that end elsewhere are not heard of for now");
                }
                Err(_) => {}
            }
            if tidied.elapsed() > TIDY {
                tidied = Instant::now();
                self.ended.forget(keep);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self, since: Option<DateTime<Utc>>, keep: Duration) -> Result<DateTime<Utc>, StoreError> {
        let since = match since {
            Some(looked) => looked - OVERLAP,
            None => self.store.now().await? - keep,
        };
        let (ended, now) = self.store.ended_since(since).await?;
        for one in ended {
            match one {
                Ended::User(user, least) => self.ended.end_user(user, least),
                Ended::Session(session) => self.ended.end_session(session),
            }
        }
        Ok(now)
    }
}
