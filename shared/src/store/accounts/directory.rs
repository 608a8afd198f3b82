//! People as admins see them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::api_keys::revoke_keys_of;
use super::sessions::raise_version;
use crate::auth::Role;
use crate::domain::UserId;
use crate::store::{Store, StoreError};

/// Whom an admin looks for.
#[derive(Debug, Clone, Default)]
pub struct DirectoryQuery {
    /// The beginning of an e-mail address, or a whole login name, phone number or id; lower case.
    pub text: Option<String>,
    /// Only those with this role.
    pub role: Option<Role>,
    /// Only those with a higher id.
    pub after: i64,
    /// So many at most.
    pub limit: i64,
}

/// Somebody, as admins see them.
#[derive(Debug, Clone)]
pub struct PersonRecord {
    /// Who.
    pub id: UserId,
    /// Lower case.
    pub email: String,
    /// Lower case.
    pub login: Option<String>,
    /// `+` and digits, or digits alone.
    pub phone: Option<String>,
    /// As given.
    pub first_name: String,
    /// As given.
    pub last_name: String,
    /// What they may do.
    pub role: Role,
    /// It acts through API keys.
    pub is_service: bool,
    /// When they registered.
    pub created_at: DateTime<Utc>,
    /// When they were erased.
    pub erased_at: Option<DateTime<Utc>>,
}

/// What came of a change of role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleChange {
    /// The role of before.
    pub before: Role,
    /// The version that later tokens have.
    pub version: u32,
    /// API keys that were revoked with it.
    pub revoked: Vec<Uuid>,
}

impl Store {
    /// People by id.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn people(&self, query: &DirectoryQuery) -> Result<Vec<PersonRecord>, StoreError> {
        let ids = match &query.text {
            Some(text) => self.found(text, query).await?,
            None => self.listed(query).await?,
        };
        let rows = sqlx::query!(
            "select id, email, login, phone, first_name, last_name, role, is_service, created_at, erased_at
             from users where id = any($1) order by id",
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let person = rows.into_iter().map(|row| PersonRecord {
            id: UserId(row.id),
            email: row.email,
            login: row.login,
            phone: row.phone,
            first_name: row.first_name,
            last_name: row.last_name,
            role: Role::from_word(&row.role),
            is_service: row.is_service,
            created_at: row.created_at,
            erased_at: row.erased_at,
        });
        Ok(person.collect())
    }

    async fn listed(&self, query: &DirectoryQuery) -> Result<Vec<i64>, StoreError> {
        let role = query.role.map(Role::word);
        let ids = match role {
            // By the index of those few.
            Some(role) if role != Role::Shopper.word() => sqlx::query_scalar!(
                "select id from users where role = $1 and role <> 'shopper' and id > $2 order by id limit $3",
                role,
                query.after,
                query.limit
            )
            .fetch_all(&self.pool)
            .await?,
            _ => sqlx::query_scalar!(
                "select id from users where id > $2 and ($1::text is null or role = $1) order by id limit $3",
                role,
                query.after,
                query.limit
            )
            .fetch_all(&self.pool)
            .await?,
        };
        Ok(ids)
    }

    /// Each way of looking by an index of its own; of an e-mail address' beginning the first thousand are looked at.
    async fn found(&self, text: &str, query: &DirectoryQuery) -> Result<Vec<i64>, StoreError> {
        // A range by bytes instead of `like`, whose pattern a kept plan does not know: above every character that may follow.
        let end = format!("{text}\u{10ffff}");
        let ids = sqlx::query_scalar!(
            r#"select id as "id!" from (
                   (select id, role from users where email ~>=~ $1 and email ~<~ $2
                        order by email using ~<~ limit 1000)
                   union (select id, role from users where login = $1)
                   union (select id, role from users where phone = $1)
                   union (select id, role from users where id = $3)
               ) found
               where id > $4 and ($5::text is null or role = $5) order by id limit $6"#,
            text,
            end,
            text.parse::<i64>().ok(),
            query.after,
            query.role.map(Role::word),
            query.limit
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids)
    }

    /// Changes somebody's role, ends the access tokens that tell the old one, and revokes the powerful keys of who is no admin
    /// any more. `None` when there is nobody, or it is a service.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn set_role(&self, user: UserId, role: Role) -> Result<Option<RoleChange>, StoreError> {
        let mut tx = self.begin().await?;
        let before = sqlx::query_scalar!(
            "select role from users where id = $1 and erased_at is null and not is_service for no key update",
            user.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(before) = before else { return Ok(None) };
        sqlx::query!("update users set role = $2 where id = $1", user.0, role.word())
            .execute(&mut *tx)
            .await?;
        let version = raise_version(&mut tx, user).await?;
        let revoked = if role == Role::Admin { Vec::new() } else { revoke_keys_of(&mut tx, user).await? };
        tx.commit().await?;
        Ok(Some(RoleChange { before: Role::from_word(&before), version, revoked }))
    }
}
