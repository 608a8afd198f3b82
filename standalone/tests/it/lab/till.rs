//! A box office with a bank behind it: seats in carts become orders, and the bank tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::domain::{EventId, SeatId};
use shared::pay::{PaymentState, PaymentStatus, Provider};
use shared::seen;
use shared::shop::checkout::Payments;
use shared::shop::checkout::config::GivenProviders;
use standalone::settings::Part;

use super::bank::notice_of;
use super::{Bank, EventPlan, Lab, PATIENCE, Shopper, eventually, make_event};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// The box office of one event.
pub(crate) struct Till {
    pub(crate) lab: Lab,
    pub(crate) bank: Arc<Bank>,
    pub(crate) event: EventId,
    pub(crate) seats: Vec<SeatId>,
}

/// An order that waits for its payment.
#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    pub(crate) order: String,
    pub(crate) booking: String,
    /// The bank's name for the attempt.
    pub(crate) reference: String,
    pub(crate) answer: Value,
}

/// Everything but the sweeper.
pub(crate) const UNSWEPT: &[Part] = &[Part::Gateway, Part::Worker];

impl Till {
    /// A hall of ten seats at ten euros, all parts.
    pub(crate) async fn open(bank: Arc<Bank>) -> Fallible<Self> {
        Self::open_with(bank, &[], &[]).await
    }

    /// The same with these parts and settings.
    pub(crate) async fn open_with(bank: Arc<Bank>, parts: &[Part], words: &[&str]) -> Fallible<Self> {
        Self::open_beside(bank, &[], parts, words).await
    }

    /// The same where former banks are still asked.
    pub(crate) async fn open_beside(
        bank: Arc<Bank>,
        kept: &[Arc<Bank>],
        parts: &[Part],
        words: &[&str],
    ) -> Fallible<Self> {
        let providers = std::iter::once(&bank).chain(kept).map(Bank::provider).collect();
        let lab = Lab::start_paying(providers, parts, words).await?;
        let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 10)).await?;
        Ok(Self { lab, bank, event, seats })
    }

    /// What providers say, as the parts of the system see it.
    pub(crate) fn payments(&self) -> Fallible<Payments> {
        self.payments_with(self.lab.settings(&[])?.services.checkout.providers.0)
    }

    /// The same with other providers.
    pub(crate) fn payments_with(&self, providers: Vec<Arc<dyn Provider>>) -> Fallible<Payments> {
        let mut services = self.lab.settings(&[])?.services;
        services.checkout.providers = GivenProviders(providers);
        let stores = (self.lab.store().clone(), self.lab.system.queue.clone());
        Ok(Payments::connect(&services, stores, seen::Part::Worker)?)
    }

    /// Puts seats into somebody's cart.
    pub(crate) async fn fill(&self, shopper: &Shopper, seats: &[SeatId]) -> Fallible<String> {
        let won = shopper.outcome(&shopper.book_seats(self.event, seats).await?).await?;
        Ok(won["result"]["bookingId"].as_str().ok_or_else(|| won.to_string())?.to_owned())
    }

    /// Puts seats into somebody's cart and checks out.
    pub(crate) async fn buy(&self, shopper: &Shopper, seats: &[SeatId]) -> Fallible<Purchase> {
        let booking = self.fill(shopper, seats).await?;
        let (status, answer) = shopper.post("/api/cart/checkout", json!({})).await?;
        if !status.is_success() {
            return Err(format!("{status}: {answer}").into());
        }
        let order = answer["orderId"].as_str().ok_or("an order")?.to_owned();
        let reference = answer["redirectUrl"].as_str().and_then(|url| url.rsplit('/').next());
        let reference = reference.unwrap_or_default().to_owned();
        Ok(Purchase { order, booking, reference, answer })
    }

    /// Sends a webhook of the bank's.
    pub(crate) async fn tell(&self, id: &str, state: &PaymentState) -> Fallible<StatusCode> {
        self.send(&notice_of(id, state), "good").await
    }

    /// Sends a webhook with this signature.
    pub(crate) async fn send(&self, body: &Value, signature: &str) -> Fallible<StatusCode> {
        self.send_to(&self.lab.system.url, &self.bank, (body, signature)).await
    }

    /// Sends a webhook of some bank's to some gateway.
    pub(crate) async fn send_to(
        &self,
        url: &str,
        bank: &Bank,
        (body, signature): (&Value, &str),
    ) -> Fallible<StatusCode> {
        let request = self.lab.http.post(format!("{url}/api/webhook/payment"));
        Ok(request.header(bank.header(), signature).json(body).send().await?.status())
    }

    /// The bank's payer pays, and the bank tells.
    pub(crate) async fn pay(&self, purchase: &Purchase) -> Fallible<StatusCode> {
        let state = self.bank.pay(&purchase.reference);
        self.tell(&format!("paid-{}", purchase.reference), &state).await
    }

    /// One value of a row.
    pub(crate) async fn text(&self, sql: &'static str, id: &str) -> Fallible<String> {
        let id: uuid::Uuid = id.parse()?;
        Ok(sqlx::query_scalar(sql).bind(id).fetch_one(self.lab.store().pool()).await?)
    }

    /// A number.
    pub(crate) async fn count(&self, sql: &'static str) -> Fallible<i64> {
        Ok(self.lab.count(sql).await?)
    }

    /// An order's status; one that has its tickets by now is `paid` here, as that is a matter of moments.
    pub(crate) async fn status(&self, purchase: &Purchase) -> Fallible<String> {
        let status =
            "select case when status = 'fulfilled' then 'paid' else status end from orders where id = $1";
        self.text(status, &purchase.order).await
    }

    /// Waits until an order has this status.
    pub(crate) async fn until(&self, purchase: &Purchase, status: &str) {
        eventually(&format!("the order is {status}"), async || {
            self.status(purchase).await.is_ok_and(|now| now == status)
        })
        .await;
    }

    /// Waits until the bank has given back so much.
    pub(crate) async fn until_given_back(&self, minor: i64) {
        eventually(&format!("{minor} have gone back"), async || self.bank.given_back() == minor).await;
    }

    /// A seat's status as shoppers see it.
    pub(crate) async fn seat(&self, at: usize) -> Fallible<String> {
        let path = format!("{}/api/seats?event_id={}&pageSize=100", self.lab.system.url, self.event);
        let answer: Value = self.lab.http.get(path).send().await?.json().await?;
        let seats = answer["items"].as_array().ok_or_else(|| answer.to_string())?;
        let seat = seats.iter().find(|seat| seat["id"] == json!(self.seats[at])).ok_or("the seat")?;
        Ok(seat["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until shoppers see a seat so.
    pub(crate) async fn until_seat(&self, at: usize, status: &str) {
        eventually(&format!("seat {at} is {status}"), async || {
            self.seat(at).await.is_ok_and(|now| now == status)
        })
        .await;
    }

    /// Waits until the bank's own books say the same as ours: of every order it has kept the price of what is sold, and what
    /// has still to go back.
    pub(crate) async fn until_books_agree(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let differing = self.differing_orders().await.unwrap_or_else(|error| error.to_string());
            if differing.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "the bank's books differ: {differing}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn differing_orders(&self) -> Fallible<String> {
        let mut kept: BTreeMap<uuid::Uuid, i64> = BTreeMap::new();
        for state in self.bank.sessions() {
            let order: Option<uuid::Uuid> = sqlx::query_scalar("select order_id from payments where id = $1")
                .bind(state.payment.map(|payment| payment.0))
                .fetch_optional(self.lab.store().pool())
                .await?;
            let of_it = match state.status {
                PaymentStatus::Authorized | PaymentStatus::Captured => {
                    state.amount.amount - state.refunded_minor
                }
                PaymentStatus::Open
                | PaymentStatus::Declined
                | PaymentStatus::Expired
                | PaymentStatus::ChargedBack => 0,
            };
            *kept.entry(order.ok_or("a session of nobody")?).or_default() += of_it;
        }
        let mut differing = Vec::new();
        for (order, kept) in kept {
            let ours: i64 = sqlx::query_scalar(
                "select ((
                     select coalesce(sum(price_minor), 0) from order_items where order_id = $1 and status = 'sold'
                 ) + (
                     select coalesce(sum(amount_minor), 0) from refunds
                     where order_id = $1 and status <> 'completed' and error is distinct from 'charged_back'
                 ))::bigint",
            )
            .bind(order)
            .fetch_one(self.lab.store().pool())
            .await?;
            if kept != ours {
                differing.push(format!("order {order}: {kept} there, {ours} here"));
            }
        }
        Ok(differing.join("; "))
    }
}
