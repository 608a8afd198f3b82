//! Money back: asked for by shoppers and admins, sent by jobs.

use std::net::IpAddr;

use chrono::TimeDelta;

use super::payments::Payments;
use crate::domain::{EventId, OrderId, OrderItemId, RefundId, UserId};
use crate::pay::{NewRefund, PayError, PaymentStatus, Provider};
use crate::shop::Fault;
use crate::shop::carts::announce;
use crate::store::{RefundJob, RefundRecord, RefundRequest, Refunding, StoreError, Unsendable};
use crate::telemetry::chain;

/// So long a provider that does not answer is asked again; a refusal ends it at once.
const PATIENCE: TimeDelta = TimeDelta::days(3);
/// Times that it is asked at least, however old the refund: an admin may have begun it anew.
const ATTEMPTS: i32 = 8;
/// Orders of a whole event in one job.
const ORDERS: i64 = 50;
/// After so long it is looked again for orders whose money was not here yet.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// Why nothing goes back.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// No such order, item, event or refund.
    #[error("there is no such order, item, event or refund")]
    NotFound,
    /// The order is not paid.
    #[error("this order is {0}; there is nothing to give back")]
    NotPaid(String),
    /// All of it has gone back, or is about to.
    #[error("nothing of it is left to give back")]
    Nothing,
    /// The rules of an event do not permit it any more.
    #[error("the time in which tickets of this event can be given back is over")]
    TooLate,
    /// A ticket has been used.
    #[error("a ticket has been used")]
    Used,
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for RefundError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// Why a job of refunds was not done.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It may go better later.
    #[error("{0}")]
    Later(String),
    /// It never will.
    #[error("{0}")]
    Never(String),
}

impl From<StoreError> for SendError {
    fn from(error: StoreError) -> Self {
        Self::Later(chain(&error))
    }
}

/// Who asks, and from where.
type By = (UserId, Option<IpAddr>);

/// Refunds; clones share the connections.
#[derive(Clone)]
pub struct Refunds {
    payments: Payments,
}

impl Refunds {
    /// Refunds of these payments.
    pub fn new(payments: Payments) -> Self {
        Self { payments }
    }

    /// Gives a shopper's order back, or some items of it, within the rules of its events.
    ///
    /// # Errors
    /// It is not theirs, not paid, too late or used; or a store is away.
    pub async fn refund_own(
        &self,
        user: UserId,
        order: OrderId,
        items: Option<&[OrderItemId]>,
    ) -> Result<(), RefundError> {
        let (only_of, by) = (Some(user), Some(user));
        let request = RefundRequest { order, only_of, items, event: None, reason: "by_shopper", by };
        self.begin(&request).await
    }

    /// Gives any order back, or some items of it.
    ///
    /// # Errors
    /// There is no such order, or it is not paid; or a store is away.
    pub async fn refund_order(
        &self,
        order: OrderId,
        items: Option<&[OrderItemId]>,
        (by, ip): By,
    ) -> Result<(), RefundError> {
        let request =
            RefundRequest { order, only_of: None, items, event: None, reason: "by_admin", by: Some(by) };
        self.begin(&request).await?;
        self.audit((by, ip), "order.refund", &format!("order {order}")).await
    }

    /// Gives back all that was paid for an event, some orders at a time.
    ///
    /// # Errors
    /// There is no such event, or a store is away.
    pub async fn refund_event(&self, event: EventId, (by, ip): By) -> Result<(), RefundError> {
        let store = &self.payments.store;
        if store.event(event).await?.is_none() {
            return Err(RefundError::NotFound);
        }
        let reason = "event_refunded".to_owned();
        let job = RefundJob::Event { reason, event, after: None, by: Some(by), is_unready: false };
        store.add_refund_job(&job, None).await?;
        self.audit((by, ip), "event.refund", &format!("event {event}")).await
    }

    /// Refunds in one state, newest first.
    ///
    /// # Errors
    /// A store is away.
    pub async fn list(&self, status: Option<&str>, at_most: i64) -> Result<Vec<RefundRecord>, RefundError> {
        Ok(self.payments.store.refunds(status, None, at_most).await?)
    }

    /// Sends a refund once more that has failed for good. One that the payer's bank took the money of is sent when the
    /// provider says that the shop has it again.
    ///
    /// # Errors
    /// There is no such refund, or a store is away.
    pub async fn retry(&self, refund: RefundId, by: By) -> Result<(), RefundError> {
        self.reopen(refund).await?;
        if !self.payments.store.retry_refund(refund).await? {
            return Err(RefundError::NotFound);
        }
        self.audit(by, "refund.retry", &format!("refund {refund}")).await
    }

    async fn reopen(&self, refund: RefundId) -> Result<(), RefundError> {
        let store = &self.payments.store;
        let found = store.refunds(Some("failed"), Some(refund), 1).await?.pop();
        let Some(record) = found.filter(|record| record.error.as_deref() == Some("charged_back")) else {
            return Ok(());
        };
        let (Some(provider), Some(reference)) =
            (self.payments.provider_of(&record.provider), &record.reference)
        else {
            return Ok(());
        };
        match provider.query(reference).await {
            Ok(Some(state)) if state.status == PaymentStatus::Captured => store.reopen_refund(refund).await?,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(refund.id = %refund, error = chain(&error), "the provider does not say who has the money");
            }
        }
        Ok(())
    }

    async fn begin(&self, request: &RefundRequest<'_>) -> Result<(), RefundError> {
        let freed = match self.payments.store.begin_refund(request).await? {
            Refunding::Begun(refund, freed) => {
                tracing::info!(order.id = %request.order, refund.id = %refund, "money goes back");
                freed
            }
            Refunding::Free(freed) => freed,
            Refunding::Nothing => return Err(RefundError::Nothing),
            Refunding::NotPaid(status) => return Err(RefundError::NotPaid(status)),
            Refunding::TooLate => return Err(RefundError::TooLate),
            Refunding::Used => return Err(RefundError::Used),
            Refunding::NotFound => return Err(RefundError::NotFound),
        };
        announce(&self.payments.queue, &freed, false).await;
        Ok(())
    }

    async fn audit(&self, (by, ip): By, action: &str, object: &str) -> Result<(), RefundError> {
        Ok(self.payments.store.insert_audit(ip, Some(by), action, object, "done").await?)
    }
}

impl Refunds {
    /// Does a job; doing it again changes nothing.
    ///
    /// # Errors
    /// It may go better later, or never will.
    pub async fn run(&self, job: &RefundJob) -> Result<(), SendError> {
        match job {
            RefundJob::Send { refund } => self.send(*refund).await,
            RefundJob::Item { reason, order_item } => self.give_back_item(reason, *order_item).await,
            RefundJob::Event { reason, event, after, by, is_unready } => {
                self.give_back_event((reason, *by), *event, (*after, *is_unready)).await
            }
        }
    }

    async fn send(&self, refund: RefundId) -> Result<(), SendError> {
        let store = &self.payments.store;
        let Some(record) = store.begin_sending(refund).await? else { return Ok(()) };
        let (why, unsent) = match self.payments.provider_of(&record.provider) {
            // Time alone does not connect it.
            None => (format!("{} is not connected", record.provider), Unsendable::Unknown),
            Some(provider) => match ask_back(provider.as_ref(), &record).await {
                Ok(reference) => {
                    store.complete_refund(refund, &reference).await?;
                    tracing::info!(order.id = %record.order, refund.id = %refund, "money has gone back");
                    return Ok(());
                }
                Err(PayError::Refused { why, .. }) => (why, Unsendable::Refused),
                Err(error) => {
                    let age = store.now().await? - record.created_at;
                    let is_old = record.attempts >= ATTEMPTS && age >= PATIENCE;
                    (chain(&error), if is_old { Unsendable::Unknown } else { Unsendable::Now })
                }
            },
        };
        store.note_refund_failure(refund, &why, unsent).await?;
        if unsent == Unsendable::Now {
            return Err(SendError::Later(why));
        }
        tracing::error!(refund.id = %refund, why, "a refund has failed and waits for a person");
        Err(SendError::Never(why))
    }

    async fn give_back_item(&self, reason: &str, item: OrderItemId) -> Result<(), SendError> {
        let Some((order, status)) = self.payments.store.item_status(item).await? else { return Ok(()) };
        match status.as_str() {
            "held" => return Err(SendError::Later("its order is not paid yet".to_owned())),
            "sold" => {}
            _ => return Ok(()),
        }
        let items = [item];
        let request =
            RefundRequest { order, only_of: None, items: Some(&items), event: None, reason, by: None };
        self.begin_by_job(&request).await
    }

    async fn begin_by_job(&self, request: &RefundRequest<'_>) -> Result<(), SendError> {
        match self.begin(request).await {
            Ok(()) | Err(RefundError::Nothing | RefundError::NotFound) => Ok(()),
            Err(
                error @ (RefundError::NotPaid(_)
                | RefundError::TooLate
                | RefundError::Used
                | RefundError::Fault(_)),
            ) => Err(SendError::Later(chain(&error))),
        }
    }

    /// Some orders, and a job for those after them; the last one has those looked at again that were not ready.
    async fn give_back_event(
        &self,
        (reason, by): (&str, Option<UserId>),
        event: EventId,
        (after, was_unready): (Option<OrderId>, bool),
    ) -> Result<(), SendError> {
        let store = &self.payments.store;
        let orders = store.sold_orders(event, after, ORDERS).await?;
        let mut is_unready = was_unready;
        for order in &orders {
            let request =
                RefundRequest { order: *order, only_of: None, items: None, event: Some(event), reason, by };
            match self.begin(&request).await {
                Ok(()) | Err(RefundError::Nothing | RefundError::NotFound) => {}
                Err(RefundError::NotPaid(_)) => is_unready = true,
                Err(error @ (RefundError::TooLate | RefundError::Used | RefundError::Fault(_))) => {
                    return Err(SendError::Later(chain(&error)));
                }
            }
        }
        let job =
            |after, is_unready| RefundJob::Event { reason: reason.to_owned(), event, after, by, is_unready };
        if i64::try_from(orders.len()).is_ok_and(|count| count == ORDERS) {
            store.add_refund_job(&job(orders.last().copied(), is_unready), None).await?;
        } else if is_unready {
            let at = store.now().await? + AGAIN;
            store.add_refund_job(&job(None, false), Some(at)).await?;
        }
        Ok(())
    }
}

/// The provider's name for what has gone back.
async fn ask_back(provider: &dyn Provider, record: &RefundRecord) -> Result<String, PayError> {
    let away = |why: &str| PayError::Away { provider: provider.name(), why: why.to_owned() };
    let reference = record.reference.clone().ok_or_else(|| away("the provider's name for it is missing"))?;
    let new = NewRefund {
        refund: record.id,
        refusals: record.refusals,
        reference,
        amount: record.amount.clone(),
        reason: record.reason.clone(),
    };
    let state = provider.refund(&new).await?;
    if state.is_done { Ok(state.reference) } else { Err(away("the provider has not finished")) }
}
