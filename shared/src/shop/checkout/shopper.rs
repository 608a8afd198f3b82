//! Buying: from the cart to the provider's page, and what shoppers do on the way.

use std::net::IpAddr;

use super::payments::Payments;
use super::views::page_of;
use super::{CheckoutView, OrderView, PaymentStatusView};
use crate::domain::{BookingId, OrderId, PaymentId, UserId};
use crate::pay::{CircuitStatus, NewSession, PayError};
use crate::shop::carts::{announce, announce_sold};
use crate::shop::{BookingView, CartError, Carts, Fault};
use crate::store::{
    Attempt, Basket, Closing, NewOrder, Noted, OrderRecord, PaymentRecord, Placed, Store, StoreError,
};
use crate::telemetry::chain;

/// Why something was not bought, or an order not changed.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// There is nothing to buy.
    #[error("your cart is empty")]
    Empty,
    /// No such order or booking of this shopper.
    #[error("there is no such order or booking of yours")]
    NotFound,
    /// The booking is closed.
    #[error("this booking is {0} and cannot be bought")]
    BookingClosed(String),
    /// A reservation has run out.
    #[error("a reservation in your cart has run out")]
    RunOut,
    /// One order has one currency.
    #[error("your cart has prices in several currencies; buy one booking at a time")]
    Currencies,
    /// An event does not take place.
    #[error("an event in your cart does not take place")]
    EventCancelled,
    /// The order is past that.
    #[error("this order is {0} and cannot be changed in this way")]
    OrderClosed(String),
    /// The provider cannot be reached; the places are still held.
    #[error("payment is not possible for a moment; your places are kept until their time is over")]
    Unavailable,
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for CheckoutError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<CartError> for CheckoutError {
    fn from(error: CartError) -> Self {
        match error {
            // Nothing is opened here, so nobody has booked already and no sale is over.
            CartError::NotFound | CartError::AlreadyBooked | CartError::SaleClosed => Self::NotFound,
            CartError::Closed(status) => Self::BookingClosed(status),
            CartError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Who buys, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Buyer {
    /// Who.
    pub user: UserId,
    /// From where.
    pub ip: Option<IpAddr>,
}

/// The shopper's side of checkout; clones share the connections.
#[derive(Clone)]
pub struct Checkout {
    store: Store,
    carts: Carts,
    payments: Payments,
}

impl Checkout {
    /// How the circuit before the provider of new payments stands; `None` where there is none.
    pub fn circuit(&self) -> Option<CircuitStatus> {
        self.payments.providers.chosen().circuit()
    }

    /// How the circuits before former providers stand, where there are any.
    pub fn kept_circuits(&self) -> Vec<CircuitStatus> {
        self.payments.providers.kept().iter().filter_map(|provider| provider.circuit()).collect()
    }

    /// Checkout over these.
    pub fn new(store: Store, carts: Carts, payments: Payments) -> Self {
        Self { store, carts, payments }
    }

    /// The providers' side.
    pub fn payments(&self) -> &Payments {
        &self.payments
    }

    /// Buys what is in the cart, or one booking of it; true when the order is new. Asking again gives the same order and
    /// the same page.
    ///
    /// # Errors
    /// There is nothing to buy, something of it is gone, or the provider or a store is away.
    pub async fn check_out(
        &self,
        buyer: Buyer,
        basket: Basket,
    ) -> Result<(CheckoutView, bool), CheckoutError> {
        let new = NewOrder {
            user: buyer.user,
            basket,
            provider: self.payments.providers.chosen().name(),
            limit_s: self.payments.config.payment_limit_seconds,
            ip: buyer.ip,
        };
        let (order, is_new) = match self.store.place_order(&new).await? {
            Placed::New(order) => (order, true),
            Placed::Open(order) => (order, false),
            Placed::Free(order, sold) => {
                announce_sold(&self.payments.queue, &sold).await;
                (order, true)
            }
            Placed::Empty => return Err(CheckoutError::Empty),
            Placed::NotFound => return Err(CheckoutError::NotFound),
            Placed::Closed(status) => return Err(CheckoutError::BookingClosed(status)),
            Placed::RunOut => return Err(CheckoutError::RunOut),
            Placed::Currencies => return Err(CheckoutError::Currencies),
            Placed::EventCancelled => return Err(CheckoutError::EventCancelled),
        };
        if is_new {
            tracing::info!(order.id = %order, user.id = buyer.user.0, "order is placed");
        }
        let record = self.own(buyer.user, order).await?;
        if record.status != "awaiting_payment" {
            return Ok((CheckoutView::new(&record, None), is_new));
        }
        Ok((self.pay(buyer.user, order).await?, is_new))
    }

    /// The page on which an order is paid: of the open attempt, or of another one after a decline.
    ///
    /// # Errors
    /// It is not theirs or takes no payment any more, or the provider or a store is away.
    pub async fn pay(&self, user: UserId, order: OrderId) -> Result<CheckoutView, CheckoutError> {
        let name = self.payments.providers.chosen().name();
        let payment = match self.store.open_attempt(user, order, name).await? {
            Attempt::Open(payment) => payment,
            Attempt::Not(status) => return Err(CheckoutError::OrderClosed(status)),
            Attempt::Late => return Err(CheckoutError::OrderClosed("out of time".to_owned())),
            Attempt::NotFound => return Err(CheckoutError::NotFound),
        };
        let record = self.own(user, order).await?;
        let page = self.payments.open_session(&record, payment).await?;
        Ok(CheckoutView::new(&record, page))
    }

    /// Cancels an order that is not paid, and gives its places back. If it is paid all the same, the money goes back.
    ///
    /// # Errors
    /// It is not theirs or is past that, or a store is away.
    pub async fn cancel(&self, user: UserId, order: OrderId) -> Result<OrderView, CheckoutError> {
        match self.store.cancel_order(user, order).await? {
            Closing::Closed(freed) => {
                announce(&self.payments.queue, &freed, false).await;
                tracing::info!(order.id = %order, user.id = user.0, "order is cancelled by its shopper");
                self.payments.close_sessions(order).await;
            }
            Closing::Before => {}
            Closing::Not(status) => return Err(CheckoutError::OrderClosed(status)),
            Closing::NotFound => return Err(CheckoutError::NotFound),
        }
        self.view(user, order).await
    }

    /// Cancels a booking: an open one, or one that is being paid for, with all of its order.
    ///
    /// # Errors
    /// It is not theirs or is past that, or a store is away.
    pub async fn cancel_booking(
        &self,
        Buyer { user, ip }: Buyer,
        booking: BookingId,
    ) -> Result<BookingView, CheckoutError> {
        if self.carts.booking(user, booking).await?.status != "pending_payment" {
            return Ok(self.carts.cancel(user, booking, ip).await?);
        }
        if let Some(order) = self.store.order_of_booking(user, booking).await? {
            self.cancel(user, order).await?;
        }
        Ok(self.carts.booking(user, booking).await?)
    }

    /// The latest orders of somebody.
    ///
    /// # Errors
    /// A store is away.
    pub async fn orders(&self, user: UserId) -> Result<Vec<OrderView>, CheckoutError> {
        let orders = self.store.orders(user, None).await?;
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        let mut items = self.store.order_items(&ids).await?;
        let views = orders.into_iter().map(|order| {
            let of_it = items.extract_if(.., |item| item.order == order.id).collect();
            OrderView::new(order, of_it, None)
        });
        Ok(views.collect())
    }

    /// One order. While it waits for its payment the provider is asked, now and then, unless it is busy with those who
    /// check out.
    ///
    /// # Errors
    /// It is not theirs, or a store is away.
    pub async fn order(&self, user: UserId, order: OrderId) -> Result<OrderView, CheckoutError> {
        let record = self.own(user, order).await?;
        if ["awaiting_payment", "expiring"].contains(&record.status.as_str())
            && let Some(payment) =
                self.store.payments_of(order).await?.into_iter().find(PaymentRecord::is_open)
        {
            self.payments.ask(&payment).await?;
        }
        self.view(user, order).await
    }

    /// How far the payment of a booking has come. The provider is asked like in [`Self::order`]: that a shopper has come back
    /// from its page proves nothing.
    ///
    /// # Errors
    /// It is not theirs, or a store is away.
    pub async fn payment_status(
        &self,
        user: UserId,
        booking: BookingId,
    ) -> Result<PaymentStatusView, CheckoutError> {
        let mut view = self.carts.booking(user, booking).await?;
        let order = match self.store.order_of_booking(user, booking).await? {
            Some(order) => {
                let order = self.order(user, order).await?;
                view = self.carts.booking(user, booking).await?;
                Some(order)
            }
            None => None,
        };
        Ok(PaymentStatusView::new(booking, view.status, order))
    }

    async fn own(&self, user: UserId, order: OrderId) -> Result<OrderRecord, CheckoutError> {
        self.store.orders(user, Some(order)).await?.pop().ok_or(CheckoutError::NotFound)
    }

    async fn view(&self, user: UserId, order: OrderId) -> Result<OrderView, CheckoutError> {
        let record = self.own(user, order).await?;
        let items = self.store.order_items(&[order]).await?;
        let payments = self.store.payments_of(order).await?;
        Ok(OrderView::new(record, items, payments.first()))
    }
}

impl Payments {
    /// The page of an attempt; the provider is asked for it once, however often this is called. `None` once nothing is to be
    /// paid on it.
    pub(super) async fn open_session(
        &self,
        order: &OrderRecord,
        id: PaymentId,
    ) -> Result<Option<String>, CheckoutError> {
        let payment = self.store.payment(id).await?.ok_or(CheckoutError::NotFound)?;
        if payment.status != "creating" {
            return Ok(page_of(Some(&payment)));
        }
        let Some(provider) = self.provider_of(&payment.provider) else {
            // Nobody has been shown its page: another attempt may be made, with the present provider.
            self.store.fail_attempt(id, "its provider is not connected").await?;
            return Err(CheckoutError::Unavailable);
        };
        let session = match provider.create_session(&self.session_of(order, &payment).await?).await {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(payment.id = %id, error = chain(&error), "no page to pay on");
                if let PayError::Refused { why, .. } = error {
                    self.store.fail_attempt(id, &why).await?;
                }
                return Err(CheckoutError::Unavailable);
            }
        };
        match self.store.note_session(id, &session.reference, &session.redirect_url).await? {
            Noted::Open => Ok(page_of(self.store.payment(id).await?.as_ref())),
            Noted::Closed => {
                // Cancelled meanwhile: nobody has seen this page, and nobody will.
                self.close_sessions(order.id).await;
                Err(CheckoutError::OrderClosed("cancelled".to_owned()))
            }
        }
    }

    async fn session_of(
        &self,
        order: &OrderRecord,
        payment: &PaymentRecord,
    ) -> Result<NewSession, CheckoutError> {
        let items = self.store.order_items(&[order.id]).await?;
        let (email, language) = self.store.payer(order.user).await?.unzip();
        let mut names: Vec<&str> = items.iter().map(|item| item.event_name.as_str()).collect();
        names.dedup();
        let page = |which: &str| format!("{}/checkout/{which}?order={}", self.public_url, order.id);
        Ok(NewSession {
            payment: payment.id,
            order: order.id,
            amount: payment.amount.clone(),
            description: names.join(", ").chars().take(120).collect(),
            email,
            language: language.unwrap_or_else(|| "en".to_owned()),
            return_url: page("success"),
            cancel_url: page("fail"),
            pay_until: order.pay_until,
        })
    }

    /// Asks the provider about an attempt, for somebody who waits for it; now and then only, and not while requests wait for
    /// their turn: those who check out go first, and the sweeper asks in any case.
    async fn ask(&self, payment: &PaymentRecord) -> Result<(), Fault> {
        let (Some(reference), Some(provider)) = (&payment.reference, self.provider_of(&payment.provider))
        else {
            return Ok(());
        };
        // Looked at again, as many may have waited for the store together.
        if provider.is_busy() || !self.store.may_ask(payment.id).await? || provider.is_busy() {
            return Ok(());
        }
        match provider.query(reference).await {
            Ok(Some(state)) => {
                self.settle_state(provider.name(), &state).await?;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::info!(payment.id = %payment.id, error = chain(&error), "provider could not be asked");
            }
        }
        Ok(())
    }

    /// Closes the provider's pages of attempts that were given up. What cannot be reached now is closed by the next poll.
    async fn close_sessions(&self, order: OrderId) {
        let payments = match self.store.payments_of(order).await {
            Ok(payments) => payments,
            Err(error) => {
                tracing::warn!(order.id = %order, error = chain(&error), "pages are closed by the next poll");
                return;
            }
        };
        for payment in payments.iter().filter(|payment| !payment.is_open() && payment.status != "captured") {
            if let Err(error) = self.close_session(payment).await {
                tracing::warn!(payment.id = %payment.id, error = chain(&error), "page is closed by the next poll");
            }
        }
    }
}
