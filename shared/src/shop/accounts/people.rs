//! People, as admins look after them.

use super::{AccountError, Accounts, By};
use crate::auth::Role;
use crate::domain::UserId;
use crate::store::{DirectoryQuery, PersonRecord, StoreError};

impl Accounts {
    /// People by id.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn people(&self, query: &DirectoryQuery) -> Result<Vec<PersonRecord>, AccountError> {
        Ok(self.store.people(query).await?)
    }

    /// Changes somebody's role; their access tokens end, so that the next ones tell the new one.
    ///
    /// # Errors
    /// It is one's own, or there is nobody.
    pub async fn set_role(&self, user: UserId, role: Role, by: By) -> Result<(), AccountError> {
        let object = format!("user {user}");
        if by.user == user {
            self.audit(by, "user.role", &object, "refused: own role").await?;
            return Err(AccountError::OwnRole);
        }
        let (before, version) = self.store.set_role(user, role).await?.ok_or(AccountError::NotFound)?;
        self.ended.end_user(user, version);
        let result = format!("done: {} to {}", before.word(), role.word());
        Ok(self.audit(by, "user.role", &object, &result).await?)
    }

    pub(super) async fn audit(
        &self,
        by: By,
        action: &str,
        object: &str,
        result: &str,
    ) -> Result<(), StoreError> {
        self.store.insert_audit(by.ip, Some(by.user), action, object, result).await
    }
}
