//! Keys by which services act.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::sessions::note_ended;
use crate::auth::{Scope, Scopes};
use crate::domain::UserId;
use crate::store::{Store, StoreError};

/// Keys that one answer holds at most.
const MOST: i64 = 1_000;

/// A key to keep.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: Uuid,
    /// The service; `None` for a new one.
    pub service: Option<UserId>,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the key.
    pub key_hash: Vec<u8>,
    /// What it permits.
    pub scopes: Scopes,
    /// Who made it.
    pub created_by: UserId,
    /// Days after which it expires.
    pub expires_in_days: Option<i32>,
}

/// A key as admins see it.
#[derive(Debug, Clone)]
pub struct ApiKeyRecord {
    /// Its id.
    pub id: Uuid,
    /// The service that acts by it.
    pub service: UserId,
    /// What it is for.
    pub name: String,
    /// What it permits.
    pub scopes: Scopes,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last seen, to a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Who acts by a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyOwner {
    /// The key.
    pub id: Uuid,
    /// The service.
    pub service: UserId,
    /// What the key permits.
    pub scopes: Scopes,
}

fn scopes_of(words: &[String]) -> Scopes {
    Scopes::from_words(words.iter().map(String::as_str))
}

impl Store {
    /// Keeps a key, and makes its service unless it is named; `None` when the named one is no service.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn insert_api_key(&self, key: &NewApiKey) -> Result<Option<ApiKeyRecord>, StoreError> {
        let mut tx = self.begin().await?;
        let Some(service) = service_of(&mut tx, key).await? else { return Ok(None) };
        let scopes: Vec<String> =
            key.scopes.list().into_iter().map(|scope| Scope::word(scope).to_owned()).collect();
        let row = sqlx::query!(
            "insert into api_keys (id, user_id, name, key_hash, scopes, created_by, expires_at)
             values ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(days => $7))
             returning created_at, expires_at",
            key.id,
            service.0,
            key.name,
            key.key_hash,
            &scopes,
            key.created_by.0,
            key.expires_in_days
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(ApiKeyRecord {
            id: key.id,
            service,
            name: key.name.clone(),
            scopes: key.scopes,
            created_by: key.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: None,
            revoked_at: None,
        }))
    }

    /// The latest keys.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let rows = sqlx::query!(
            "select id, user_id, name, scopes, created_by, created_at, expires_at, last_used_at, revoked_at
             from api_keys order by created_at desc, id desc limit $1",
            MOST
        )
        .fetch_all(&self.pool)
        .await?;
        let record = rows.into_iter().map(|row| ApiKeyRecord {
            id: row.id,
            service: UserId(row.user_id),
            name: row.name,
            scopes: scopes_of(&row.scopes),
            created_by: UserId(row.created_by),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        });
        Ok(record.collect())
    }

    /// Revokes a key; `None` when there is none, false when it was revoked before.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn revoke_api_key(&self, id: Uuid) -> Result<Option<bool>, StoreError> {
        let mut tx = self.begin().await?;
        let known = sqlx::query_scalar!(
            r#"select revoked_at is null as "is_good!" from api_keys where id = $1 for update"#,
            id
        )
        .fetch_optional(&mut *tx)
        .await?;
        if known == Some(true) {
            sqlx::query!("update api_keys set revoked_at = clock_timestamp() where id = $1", id)
                .execute(&mut *tx)
                .await?;
            note_ended(&mut tx, id).await?;
        }
        tx.commit().await?;
        Ok(known)
    }

    /// Who acts by a key that is good, and notes that it was used.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn key_owner(&self, hash: &[u8]) -> Result<Option<KeyOwner>, StoreError> {
        let row = sqlx::query!(
            "update api_keys set last_used_at = clock_timestamp()
             where key_hash = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
             returning id, user_id, scopes",
            hash
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| KeyOwner {
            id: row.id,
            service: UserId(row.user_id),
            scopes: scopes_of(&row.scopes),
        }))
    }
}

/// Revokes what somebody may still act by who is no admin any more: keys with power that they made, and those that were made
/// by such keys. Returns which.
pub(super) async fn revoke_keys_of(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<Vec<Uuid>, StoreError> {
    let revoked = sqlx::query_scalar!(
        r#"with recursive made as (
               select id, user_id, scopes from api_keys
               where created_by = $1 and scopes && array['admin', 'operate']
               union
               select k.id, k.user_id, k.scopes from api_keys k join made m on k.created_by = m.user_id
               where 'admin' = any (m.scopes) and k.scopes && array['admin', 'operate']
           ), revoked as (
               update api_keys set revoked_at = clock_timestamp()
               where id in (select id from made) and revoked_at is null returning id
           )
           insert into ended_sessions (session_id) select id from revoked returning session_id as "id!""#,
        user.0
    )
    .fetch_all(connection)
    .await?;
    Ok(revoked)
}

async fn service_of(connection: &mut PgConnection, key: &NewApiKey) -> Result<Option<UserId>, StoreError> {
    let id = match key.service {
        Some(service) => {
            sqlx::query_scalar!("select id from users where id = $1 and is_service", service.0)
                .fetch_optional(connection)
                .await?
        }
        None => {
            // A name that no mail reaches (RFC 2606).
            let inserted = sqlx::query_scalar!(
                "insert into users (email, first_name, last_name, is_service)
                 values (format('service-%s@service.invalid', $1::uuid), $2, '', true) returning id",
                key.id,
                key.name
            );
            Some(inserted.fetch_one(connection).await?)
        }
    };
    Ok(id.map(UserId))
}
