//! What has changed in accounts, told to the e-mail address of before.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::UserId;
use crate::messages::{Message, Outgoing, Recipient, send};
use crate::store::StoreError;

/// Tells the e-mail address of now that a field changes: within the transaction of the change, before it is made. `hint` is
/// a part of the new value; a password has none.
pub(super) async fn tell_of_change(
    connection: &mut PgConnection,
    user: UserId,
    field: &str,
    hint: Option<&str>,
) -> Result<(), StoreError> {
    let change = Uuid::now_v7();
    // Locked, so that it is the address of before though another change is made right now.
    sqlx::query!(
        "insert into account_changes (id, user_id, field, told, hint)
         select $1::uuid, u.id, $3::text, u.email, $4::text from users u
         where u.id = $2 and u.erased_at is null for no key update of u",
        change,
        user.0,
        field,
        hint
    )
    .execute(&mut *connection)
    .await?;
    let (to, message) = (Recipient::FormerAddress { change }, Message::AccountChanged { change });
    send(connection, &Outgoing { to, message }).await?;
    Ok(())
}
