//! What nobody has told: providers are asked about open attempts, and orders end whose time is over.

use futures_util::{StreamExt as _, stream};

use super::payments::Payments;
use crate::domain::OrderId;
use crate::pay::{PayError, PaymentStatus};
use crate::shop::Fault;
use crate::shop::carts::announce;
use crate::store::{Closing, DuePayment, PaymentRecord};
use crate::telemetry::chain;

/// Attempts asked about in one go.
const PAYMENTS: i64 = 200;
/// Orders looked at in one go.
const ORDERS: i64 = 1_000;
/// Calls to the provider at the same time.
const AT_ONCE: usize = 8;
/// Such lists in one run at most.
const LISTS: usize = 20;

/// What the provider leaves of an attempt whose time is over, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// Nothing: no more can be paid, or it was paid and that is settled.
    Nothing,
    /// Nothing was paid so far, and the provider has nothing that it could close: what is paid there after all is late.
    Page,
    /// It does not say.
    Doubt,
}

impl Payments {
    /// Asks about attempts that it is time to ask about; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn poll(&self) -> Result<usize, Fault> {
        let mut asked = 0;
        for _ in 0..LISTS {
            let due = self.store.due_payments(PAYMENTS).await?;
            let count = due.len();
            asked += count;
            stream::iter(due)
                .for_each_concurrent(AT_ONCE, |payment| async move {
                    if let Err(error) = self.poll_one(&payment).await {
                        tracing::warn!(payment.id = %payment.id, error = chain(&error), "asked again later");
                    }
                })
                .await;
            if i64::try_from(count).is_ok_and(|count| count < PAYMENTS) {
                break;
            }
        }
        Ok(asked)
    }

    async fn poll_one(&self, payment: &DuePayment) -> Result<(), Fault> {
        let Some(provider) = self.provider_of(&payment.provider) else { return Ok(()) };
        let is_open = ["creating", "open", "authorized"].contains(&payment.status.as_str());
        let Some(reference) = &payment.reference else {
            if payment.status == "creating"
                && let Some(order) = self.store.order(payment.order).await?
                && order.status == "awaiting_payment"
                && order.now < order.pay_until
            {
                // Whether or not the first call has reached the provider: the same key gives the same page.
                let _ = self.open_session(&order, payment.id).await;
            }
            return Ok(());
        };
        if !is_open {
            if let Some(record) = self.store.payment(payment.id).await? {
                self.close_session(&record).await?;
            }
            return Ok(());
        }
        match provider.query(reference).await {
            Ok(Some(state)) => {
                self.settle_state(provider.name(), &state).await?;
            }
            Ok(None) => tracing::warn!(payment.id = %payment.id, "the provider does not know this payment"),
            Err(error) => {
                tracing::info!(payment.id = %payment.id, error = chain(&error), "provider could not be asked");
            }
        }
        Ok(())
    }

    /// Closes the provider's page of an attempt that was given up; if it was paid all the same, that is settled.
    pub(super) async fn close_session(&self, payment: &PaymentRecord) -> Result<(), Fault> {
        let (Some(reference), Some(provider)) = (&payment.reference, self.provider_of(&payment.provider))
        else {
            return Ok(());
        };
        let state = match provider.expire_session(reference).await {
            Ok(state) => Some(state),
            // There is nothing to close any more: what became of it?
            Err(PayError::Refused { .. }) => provider.query(reference).await.ok().flatten(),
            Err(error) => {
                tracing::info!(payment.id = %payment.id, error = chain(&error), "page could not be closed");
                None
            }
        };
        if let Some(state) = state {
            self.settle_state(provider.name(), &state).await?;
        }
        Ok(())
    }

    /// Ends orders whose time to pay is over; returns how many places came free. One that the provider does not speak of
    /// rests for a while, and does not stand before others.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn expire_orders(&self) -> Result<usize, Fault> {
        let mut released = 0;
        for _ in 0..LISTS {
            let due = self.store.due_orders(ORDERS).await?;
            let count = due.len();
            let ended: Vec<usize> = stream::iter(due)
                .map(|order| async move {
                    self.expire_one(order).await.unwrap_or_else(|error| {
                        tracing::warn!(order.id = %order, error = chain(&error), "order is ended later");
                        0
                    })
                })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            released += ended.iter().sum::<usize>();
            if i64::try_from(count).is_ok_and(|count| count < ORDERS) {
                break;
            }
        }
        if released > 0 {
            tracing::info!(places = released, "{released} places came free because they were not paid for");
        }
        Ok(released)
    }

    /// Places that came free.
    async fn expire_one(&self, order: OrderId) -> Result<usize, Fault> {
        let grace_s = self.config.payment_grace_seconds;
        if !self.store.begin_expiry(order, grace_s).await? {
            return Ok(0);
        }
        let mut left = Left::Nothing;
        for payment in self.store.payments_of(order).await?.iter().filter(|payment| payment.is_open()) {
            left = left.max(self.end_attempt(payment).await?);
        }
        if left == Left::Doubt && !self.store.is_grace_over(order, grace_s).await? {
            return Ok(0);
        }
        match self.store.expire_order(order, left == Left::Nothing).await? {
            Closing::Closed(freed) => {
                metrics::counter!("usher_expired_orders_total").increment(1);
                announce(&self.queue, &freed, true).await;
                Ok(freed.len())
            }
            Closing::Before | Closing::Not(_) | Closing::NotFound => Ok(0),
        }
    }

    /// Ends an attempt at the provider, as far as it can be ended there.
    async fn end_attempt(&self, payment: &PaymentRecord) -> Result<Left, Fault> {
        let Some(reference) = &payment.reference else {
            // Nobody has been shown its page.
            self.store.fail_attempt(payment.id, "out of time").await?;
            return Ok(Left::Nothing);
        };
        let Some(provider) = self.provider_of(&payment.provider) else { return Ok(Left::Doubt) };
        let state = match provider.expire_session(reference).await {
            Ok(state) => state,
            Err(PayError::Refused { .. }) => match provider.query(reference).await {
                Ok(Some(state)) => state,
                Ok(None) => return Ok(Left::Page),
                Err(_) => return Ok(Left::Doubt),
            },
            Err(error) => {
                tracing::info!(payment.id = %payment.id, error = chain(&error), "page could not be closed yet");
                return Ok(Left::Doubt);
            }
        };
        self.settle_state(provider.name(), &state).await?;
        Ok(if state.status == PaymentStatus::Open { Left::Page } else { Left::Nothing })
    }
}
