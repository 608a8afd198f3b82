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

    /// Changes somebody's role; their access tokens end, so that the next ones tell the new one, and who is no admin
    /// any more loses the keys with power that they made.
    ///
    /// # Errors
    /// It is one's own, or there is nobody.
    pub async fn set_role(&self, user: UserId, role: Role, by: By) -> Result<(), AccountError> {
        let object = format!("user {user}");
        if by.user == user {
            self.audit(by, "user.role", &object, "refused: own role").await?;
            return Err(AccountError::OwnRole);
        }
        let change = self.store.set_role(user, role).await?.ok_or(AccountError::NotFound)?;
        self.ended.end_user(user, change.version);
        change.revoked.iter().for_each(|key| self.ended.end_session(*key));
        let result = format!("done: {} to {}", change.before.word(), role.word());
        self.audit(by, "user.role", &object, &result).await?;
        for key in change.revoked {
            self.audit(by, "api_key.revoke", &super::api_keys::object(key), "done: its maker is no admin")
                .await?;
        }
        Ok(())
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
