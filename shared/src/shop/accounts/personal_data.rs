//! All that is kept of somebody: handed out to them, and erased.

use std::net::IpAddr;

use secrecy::SecretString;

use super::{AccountError, Accounts};
use crate::domain::UserId;
use crate::shop::CartError;
use crate::store::Erased;

impl Accounts {
    /// All that is kept of somebody, as JSON; for one at a time. Outcomes and messages have no index by person, which every
    /// booking would have to keep up, so each time all of them are read through.
    ///
    /// # Errors
    /// They are no more, or PostgreSQL is away.
    pub async fn personal_data(&self, user: UserId) -> Result<String, AccountError> {
        let _turn = self.handing_out.lock().await;
        self.store.personal_data(user).await?.ok_or(AccountError::SessionEnded)
    }

    /// Erases somebody who says so with their password: open bookings are cancelled, orders stay without the person, and
    /// nobody can log in as them any more.
    ///
    /// # Errors
    /// The password or the second factor is wrong, or a payment is under way.
    pub async fn erase(
        &self,
        (user, ip): (UserId, Option<IpAddr>),
        password: SecretString,
        code: Option<&str>,
    ) -> Result<(), AccountError> {
        self.check_password(user, password).await?;
        if self.profile(user).await?.has_second_factor {
            self.check_second_factor(user, code).await?;
        }
        self.carts.leave_lines(user).await?;
        self.cancel_bookings(user, ip).await?;
        match self.store.erase_user(user).await? {
            Erased::Done { version, revoked } => {
                self.ended.end_user(user, version);
                for key in revoked {
                    self.ended.end_session(key);
                }
            }
            Erased::PaymentUnderWay => return Err(AccountError::PaymentUnderWay),
            Erased::Nobody => return Err(AccountError::SessionEnded),
        }
        tracing::info!(user.id = user.0, "account erased");
        // What came meanwhile.
        if let Err(fault) = self.carts.leave_lines(user).await {
            let error = crate::telemetry::chain(&fault);
            tracing::warn!(
                user.id = user.0,
                error,
                "lines could not be left once more for an erased account"
            );
        }
        // If this fails, it runs out by itself.
        self.cancel_bookings(user, ip).await
    }

    async fn cancel_bookings(&self, user: UserId, ip: Option<IpAddr>) -> Result<(), AccountError> {
        for booking in self.store.open_bookings(user).await? {
            match self.carts.cancel(user, booking, ip).await {
                Ok(_)
                | Err(
                    CartError::NotFound
                    | CartError::Closed(_)
                    | CartError::AlreadyBooked
                    | CartError::SaleClosed,
                ) => {}
                Err(CartError::Fault(fault)) => return Err(fault.into()),
            }
        }
        Ok(())
    }
}
