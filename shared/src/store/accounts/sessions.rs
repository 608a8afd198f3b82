//! Sessions: families of refresh tokens, and what was ended before its time.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::version;
use crate::domain::UserId;
use crate::store::{Store, StoreError};

/// Days for which a refresh token is good.
const REFRESH_DAYS: i32 = 30;
/// Seconds in which a refresh token that was used may come again (RFC 9700, 4.14.2): the answer was lost on its way, or two
/// windows asked at once. Long enough for a client to ask once more, too short for most who have a copy.
const LEEWAY_S: f64 = 10.0;

/// A refresh token to keep.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Whose.
    pub user: UserId,
    /// The log-in that it follows from.
    pub family: Uuid,
    /// The version of their sessions when they showed who they are.
    pub version: u32,
    /// SHA-256 of the token.
    pub token_hash: &'a [u8],
    /// A second factor was shown at that log-in.
    pub has_second_factor: bool,
}

/// What came of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// It was good, or had been a moment ago, and the next one has taken its place.
    Good {
        /// Whose.
        user: UserId,
        /// The log-in that it follows from.
        family: Uuid,
        /// A second factor was shown at that log-in.
        has_second_factor: bool,
        /// The version of their sessions by then.
        version: u32,
        /// Which of the tokens that may follow has taken its place.
        nth: usize,
        /// It had been used a moment ago: the answer was lost, two windows asked at once, or somebody quick has a copy.
        is_repeated: bool,
    },
    /// It had been used before, and not a moment ago: its family has ended.
    Reused {
        /// Whose.
        user: UserId,
        /// The log-in that it followed from.
        family: Uuid,
    },
    /// There is none.
    Unknown,
}

/// Something that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All sessions of somebody below a version.
    User(UserId, u32),
    /// A family of tokens, or an API key.
    Session(Uuid),
}

/// Raises the version of somebody's sessions, so that all their access tokens and remembered credentials end; the new one.
pub(super) async fn raise_version(connection: &mut PgConnection, user: UserId) -> Result<u32, StoreError> {
    let raised = sqlx::query_scalar!(
        r#"with raised as (
               update users set session_version = session_version + 1 where id = $1 returning id, session_version
           )
           insert into ended_sessions (user_id, session_version) select id, session_version from raised
           returning session_version as "session_version!""#,
        user.0
    )
    .fetch_one(connection)
    .await?;
    Ok(version(raised))
}

/// Notes that a family of tokens, or an API key, has ended.
pub(super) async fn note_ended(connection: &mut PgConnection, session: Uuid) -> Result<(), StoreError> {
    sqlx::query!("insert into ended_sessions (session_id) values ($1)", session).execute(connection).await?;
    Ok(())
}

impl Store {
    /// Keeps the hash of a new refresh token; false when all sessions of that version have ended meanwhile.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn insert_session(&self, session: &NewSession<'_>) -> Result<bool, StoreError> {
        // The lock makes it wait for whoever is raising the version right now, and look again.
        let inserted = sqlx::query!(
            "insert into refresh_tokens (token_hash, user_id, family, has_second_factor, expires_at)
             select $1::bytea, u.id, $3::uuid, $4::boolean, clock_timestamp() + make_interval(days => $5)
             from users u
             where u.id = $2 and u.session_version = $6::bigint and u.erased_at is null
             for share of u",
            session.token_hash,
            session.user.0,
            session.family,
            session.has_second_factor,
            REFRESH_DAYS,
            i64::from(session.version)
        )
        .execute(&self.pool)
        .await?;
        Ok(inserted.rows_affected() > 0)
    }

    /// Uses a refresh token up and keeps the hash of the one that follows, both or neither: the first of those that may, which
    /// are the same whenever it comes. One that was used some seconds ago leads to the same next one, unless that was used
    /// too. Any other that was used before ends its family: somebody else has a copy.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn rotate_refresh_token(
        &self,
        hash: &[u8],
        next_hashes: &[Vec<u8>],
    ) -> Result<Refreshed, StoreError> {
        let Some(next_hash) = next_hashes.first().map(Vec::as_slice) else { return Ok(Refreshed::Unknown) };
        let mut tx = self.begin().await?;
        // The lock makes it wait for whoever ends this log-in or all of them right now, and makes those who come later wait,
        // so that they see the next token too. What follows looks again with a snapshot of its own.
        let owner = sqlx::query!(
            "select u.id, u.session_version from refresh_tokens t join users u on u.id = t.user_id
             where t.token_hash = $1 for share of u",
            hash
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(owner) = owner else { return Ok(Refreshed::Unknown) };
        let (user, version) = (UserId(owner.id), version(owner.session_version));
        let used = sqlx::query!(
            "update refresh_tokens set used_at = clock_timestamp()
             where token_hash = $1 and used_at is null and expires_at > clock_timestamp()
             returning family, has_second_factor",
            hash
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(used) = used {
            sqlx::query!(
                "insert into refresh_tokens (token_hash, user_id, family, has_second_factor, expires_at)
                 values ($1, $2, $3, $4, clock_timestamp() + make_interval(days => $5))",
                next_hash,
                owner.id,
                used.family,
                used.has_second_factor,
                REFRESH_DAYS
            )
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            let (family, has_second_factor) = (used.family, used.has_second_factor);
            let (nth, is_repeated) = (0, false);
            return Ok(Refreshed::Good { user, family, has_second_factor, version, nth, is_repeated });
        }
        if let Some((family, has_second_factor, nth)) = used_just_now(&mut tx, hash, next_hashes).await? {
            tx.commit().await?;
            let is_repeated = true;
            return Ok(Refreshed::Good { user, family, has_second_factor, version, nth, is_repeated });
        }
        // The owner's row is let go, as ending the family locks it.
        tx.rollback().await?;
        let known = sqlx::query_scalar!(
            "select family from refresh_tokens where token_hash = $1 and used_at is not null",
            hash
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(family) = known else { return Ok(Refreshed::Unknown) };
        self.end_family(user, family).await?;
        Ok(Refreshed::Reused { user, family })
    }

    /// Ends one log-in of somebody: its refresh tokens, and its access tokens as soon as gateways hear of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn end_family(&self, user: UserId, family: Uuid) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // Whoever goes on with it right now is waited for, so that the token that takes the place of the last one ends too.
        sqlx::query_scalar!("select id from users where id = $1 for no key update", user.0)
            .fetch_optional(&mut *tx)
            .await?;
        sqlx::query!("delete from refresh_tokens where family = $1", family).execute(&mut *tx).await?;
        note_ended(&mut tx, family).await?;
        Ok(tx.commit().await?)
    }

    /// Ends all sessions of somebody; the version that later ones have.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn end_sessions(&self, user: UserId) -> Result<u32, StoreError> {
        let mut tx = self.begin().await?;
        let version = end_all(&mut tx, user).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// What ended at a time or after it, and PostgreSQL's clock before it was read.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn ended_since(&self, since: DateTime<Utc>) -> Result<(Vec<Ended>, DateTime<Utc>), StoreError> {
        let now = self.now().await?;
        let rows = sqlx::query!(
            "select user_id, session_version, session_id from ended_sessions where ended_at >= $1",
            since
        )
        .fetch_all(&self.pool)
        .await?;
        let ended =
            rows.into_iter().filter_map(|row| match (row.user_id, row.session_version, row.session_id) {
                (Some(user), Some(least), _) => Some(Ended::User(UserId(user), version(least))),
                (_, _, Some(session)) => Some(Ended::Session(session)),
                (..) => None,
            });
        Ok((ended.collect(), now))
    }
}

/// Which of these has taken the place of a refresh token that was used up some seconds ago, with its family and whether a
/// second factor was shown; `None` as well when it was used itself.
async fn used_just_now(
    connection: &mut PgConnection,
    hash: &[u8],
    next_hashes: &[Vec<u8>],
) -> Result<Option<(Uuid, bool, usize)>, StoreError> {
    let next = sqlx::query!(
        "select n.token_hash, n.family, n.has_second_factor
         from refresh_tokens t join refresh_tokens n on n.family = t.family
         where t.token_hash = $1 and t.used_at > clock_timestamp() - make_interval(secs => $2)
             and n.token_hash = any($3) and n.used_at is null and n.expires_at > clock_timestamp()",
        hash,
        LEEWAY_S,
        next_hashes
    )
    .fetch_optional(connection)
    .await?;
    Ok(next.and_then(|next| {
        let nth = next_hashes.iter().position(|hash| *hash == next.token_hash)?;
        Some((next.family, next.has_second_factor, nth))
    }))
}

/// Ends all sessions of somebody, within a transaction.
pub(super) async fn end_all(connection: &mut PgConnection, user: UserId) -> Result<u32, StoreError> {
    let version = raise_version(connection, user).await?;
    sqlx::query!("delete from refresh_tokens where user_id = $1", user.0).execute(connection).await?;
    Ok(version)
}

/// Ends all log-ins of somebody but one, within a transaction; which.
pub(super) async fn end_others(
    connection: &mut PgConnection,
    user: UserId,
    kept: Option<Uuid>,
) -> Result<Vec<Uuid>, StoreError> {
    let ended = sqlx::query_scalar!(
        r#"with gone as (
               delete from refresh_tokens where user_id = $1 and family is distinct from $2 returning family
           )
           insert into ended_sessions (session_id) select distinct family from gone returning session_id as "id!""#,
        user.0,
        kept
    );
    Ok(ended.fetch_all(connection).await?)
}
