//! What somebody sees of themselves, and changes without a code.

use super::{AccountError, Accounts, fields};
use crate::domain::UserId;
use crate::store::ProfileRecord;

/// What is changed; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ProfileEdit {
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// The language of messages.
    pub language: Option<String>,
    /// Whether they want SMS about their bookings and orders; none go out while there is no phone number.
    pub has_sms_updates: Option<bool>,
}

impl Accounts {
    /// Somebody, as they see themselves.
    ///
    /// # Errors
    /// They are no more, or PostgreSQL is away.
    pub async fn profile(&self, user: UserId) -> Result<ProfileRecord, AccountError> {
        self.store.profile(user).await?.ok_or(AccountError::SessionEnded)
    }

    /// Changes names, language, and whether SMS are sent.
    ///
    /// # Errors
    /// A field is not acceptable, or as [`Self::profile`].
    pub async fn edit_profile(
        &self,
        user: UserId,
        edit: &ProfileEdit,
    ) -> Result<ProfileRecord, AccountError> {
        let text = |value: &Option<String>, name| {
            value.as_deref().map(|value| fields::text(value, name)).transpose()
        };
        let (first, last) = (text(&edit.first_name, "firstName")?, text(&edit.last_name, "lastName")?);
        let language = edit.language.as_deref().map(fields::language).transpose()?;
        let names = (first.as_deref(), last.as_deref());
        self.store.update_profile(user, names, language.as_deref(), edit.has_sms_updates).await?;
        self.profile(user).await
    }
}
