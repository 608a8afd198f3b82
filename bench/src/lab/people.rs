//! Shoppers with tokens.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use shared::auth::{AccessTokens, Role};
use shared::domain::UserId;
use sqlx::PgPool;

/// Shoppers, by number.
#[derive(Debug, Clone)]
pub struct People {
    /// Their ids, ascending.
    pub ids: Vec<i64>,
    /// An access token for each.
    pub tokens: Arc<[String]>,
}

impl People {
    /// One of them.
    pub fn user(&self, nth: usize) -> UserId {
        UserId(self.ids[nth % self.ids.len()])
    }
}

/// Brings shoppers and an operator in; returns the operator's id beside them.
pub(crate) async fn bring(pool: &PgPool, tokens: &AccessTokens, count: i32) -> Result<(People, i64)> {
    sqlx::query(
        "insert into users (email, first_name, last_name, consent_at, consent_version)
         select format('load-%s@usher.test', n), 'Load', n::text, now(), 'bench' from generate_series(1, $1) as n",
    )
    .bind(count)
    .execute(pool)
    .await
    .context("bring shoppers in")?;
    let operator: i64 = sqlx::query_scalar(
        "insert into users (email, first_name, last_name, role) values ('bench@usher.test', 'Bench', '', 'operator')
         returning id",
    )
    .fetch_one(pool)
    .await?;
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from users where role = 'shopper' order by id").fetch_all(pool).await?;
    let signed: Result<Vec<String>, _> =
        ids.iter().map(|id| tokens.sign(UserId(*id), Role::Shopper)).collect();
    Ok((People { ids, tokens: signed?.into() }, operator))
}
