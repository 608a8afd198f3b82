//! What Stripe's API says, as far as it is read here.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::NAME;
use crate::domain::{Money, PaymentId};
use crate::pay::http::decode;
use crate::pay::{Made, NewRefund, PayError, PaymentState, PaymentStatus};

/// Our own words on their objects.
#[derive(Debug, Default, Deserialize)]
pub struct Metadata {
    /// The attempt to pay.
    pub payment_id: Option<String>,
    /// The refund: its id, and after refusals their number, as in its key.
    pub refund_id: Option<String>,
}

impl Metadata {
    fn payment(&self) -> Option<PaymentId> {
        self.payment_id.as_deref().and_then(|id| id.parse().ok()).map(PaymentId)
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

impl<T> List<T> {
    /// Where the next page begins.
    pub fn next(&self, id: impl Fn(&T) -> &String) -> Option<String> {
        self.data.last().filter(|_| self.has_more).map(|last| id(last).clone())
    }
}

/// A hosted page.
#[derive(Debug, Deserialize)]
pub struct CheckoutSession {
    pub id: String,
    pub url: Option<String>,
    pub status: Option<String>,
    pub payment_status: Option<String>,
    pub amount_total: Option<i64>,
    pub currency: Option<String>,
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "whole")]
    payment_intent: Option<Intent>,
}

impl CheckoutSession {
    /// The payment, where it was asked for and exists.
    pub fn intent(&self) -> Option<&Intent> {
        self.payment_intent.as_ref()
    }

    /// Puts a newer state of the payment in place of the one that was read.
    pub fn set_intent(&mut self, intent: Intent) {
        self.payment_intent = Some(intent);
    }

    /// The payment, where the payer's bank has asked for its money, or about it.
    pub fn disputed(&self) -> Option<&str> {
        let is_disputed = |intent: &&Intent| intent.charge().is_some_and(|charge| charge.disputed);
        self.intent().filter(is_disputed).map(|intent| intent.id.as_str())
    }

    /// The state that page and payment make up, but for disputes.
    ///
    /// # Errors
    /// [`PayError::Strange`] without an amount.
    pub fn state(&self) -> Result<PaymentState, PayError> {
        let (amount, currency) = self
            .amount_total
            .zip(self.currency.as_deref())
            .ok_or_else(|| strange("a session without an amount"))?;
        let page = match self.status.as_deref() {
            Some("expired") => PaymentStatus::Expired,
            Some("complete") if self.payment_status.as_deref() == Some("paid") => PaymentStatus::Captured,
            _ => PaymentStatus::Open,
        };
        let intent = self.intent();
        let status = match intent.map(Intent::status) {
            // The page lets the payer try again, unless it is done.
            Some(PaymentStatus::Declined) if self.status.as_deref() != Some("complete") => page,
            Some(PaymentStatus::Open) | None => page,
            Some(status) => status,
        };
        Ok(PaymentState {
            reference: self.id.clone(),
            payment: self.metadata.payment(),
            status,
            amount: money(intent.map_or(amount, |intent| intent.figure().unwrap_or(amount)), currency),
            refunded_minor: intent
                .and_then(Intent::charge)
                .map_or(0, |charge| minor(charge.amount_refunded, currency)),
        })
    }
}

/// What is either a name, which says nothing here, or the thing itself.
fn whole<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.filter(Value::is_object);
    value.map(|value| serde_json::from_value(value).map_err(D::Error::custom)).transpose()
}

/// A payment.
#[derive(Debug, Deserialize)]
pub struct Intent {
    pub id: String,
    pub status: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    amount_received: i64,
    #[serde(default, deserialize_with = "whole")]
    latest_charge: Option<Charge>,
    #[serde(default)]
    metadata: Metadata,
}

impl Intent {
    fn charge(&self) -> Option<&Charge> {
        self.latest_charge.as_ref()
    }

    fn status(&self) -> PaymentStatus {
        match self.status.as_str() {
            "succeeded" => PaymentStatus::Captured,
            "requires_capture" => PaymentStatus::Authorized,
            "canceled" => PaymentStatus::Expired,
            "requires_payment_method" => PaymentStatus::Declined,
            _ => PaymentStatus::Open,
        }
    }

    /// What was taken or set aside; nothing before that.
    fn figure(&self) -> Option<i64> {
        match self.status.as_str() {
            "succeeded" => Some(self.amount_received),
            "requires_capture" => Some(self.amount_capturable),
            _ => None,
        }
    }

    /// The state that a notice of a payment tells; `None` when it is none of ours. A declined card is no end: the page
    /// is open still.
    pub fn ours(self) -> Option<PaymentState> {
        let payment = self.metadata.payment()?;
        let status = Some(self.status()).filter(|status| *status != PaymentStatus::Declined);
        Some(PaymentState {
            payment: Some(payment),
            status: status.unwrap_or(PaymentStatus::Open),
            amount: money(self.figure().unwrap_or(self.amount), &self.currency),
            refunded_minor: self.charge().map_or(0, |charge| minor(charge.amount_refunded, &self.currency)),
            reference: self.id,
        })
    }
}

/// Money that moved.
#[derive(Debug, Deserialize)]
pub struct Charge {
    #[serde(default)]
    amount_refunded: i64,
    #[serde(default)]
    pub disputed: bool,
    #[serde(default)]
    amount_captured: i64,
    #[serde(default)]
    currency: String,
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

impl Charge {
    /// The state that a notice of a refund tells, but for disputes; `None` when it is none of ours.
    ///
    /// # Errors
    /// [`PayError::Strange`] for a charge of no payment.
    pub fn ours(self) -> Result<Option<PaymentState>, PayError> {
        let Some(payment) = self.metadata.payment() else { return Ok(None) };
        let status = if self.amount_captured == 0 {
            // An authorisation that was let go is told as a refund as well.
            PaymentStatus::Expired
        } else {
            PaymentStatus::Captured
        };
        Ok(Some(PaymentState {
            reference: self.payment_intent.ok_or_else(|| strange("a charge of no payment"))?,
            payment: Some(payment),
            status,
            amount: money(self.amount_captured, &self.currency),
            refunded_minor: minor(self.amount_refunded, &self.currency),
        }))
    }
}

/// Money that the payer's bank asks back.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    pub payment_intent: Option<String>,
    amount: i64,
    currency: String,
    status: String,
}

impl Dispute {
    /// What is gone from the shop. A question of the bank's (`warning_…`) moves nothing, and what was won is back.
    pub fn taken(&self) -> Option<Money> {
        let is_taken = matches!(self.status.as_str(), "needs_response" | "under_review" | "lost");
        is_taken.then(|| money(self.amount, &self.currency))
    }
}

/// Money on its way back.
#[derive(Debug, Deserialize)]
pub struct Refund {
    pub id: String,
    pub status: Option<String>,
    pub failure_reason: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

impl Refund {
    /// How it stands. What waits for the payer may still give the money back.
    pub fn made(&self) -> Made {
        match self.status.as_deref() {
            Some("succeeded") => Made::Done,
            Some("failed" | "canceled") => Made::Failed,
            Some(_) | None => Made::Pending,
        }
    }

    /// After how many refusals it was made for a refund, if it was, and how it stands.
    pub fn made_for(&self, new: &NewRefund) -> (Option<u32>, Made) {
        (self.metadata.refund_id.as_deref().and_then(|key| new.refusals_before(key)), self.made())
    }
}

/// A webhook's body.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    data: EventData,
}

#[derive(Debug, Deserialize)]
struct EventData {
    object: Value,
}

impl Event {
    /// What it is about.
    ///
    /// # Errors
    /// [`PayError::Strange`] for another thing.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PayError> {
        decode(NAME, self.data.object.to_string().as_bytes())
    }
}

/// A refusal.
#[derive(Debug, Default, Deserialize)]
pub struct Failure {
    pub error: FailureWords,
}

/// Its words that hold nothing personal; the message may.
#[derive(Debug, Default, Deserialize)]
pub struct FailureWords {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
}

impl FailureWords {
    pub fn words(&self) -> String {
        let words = [&self.kind, &self.code, &self.decline_code, &self.param];
        words.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

fn money(amount: i64, currency: &str) -> Money {
    Money { amount: minor(amount, currency), currency: currency.to_ascii_uppercase() }
}

/// Of Stripe's smallest units make one minor unit: these currencies have lost their decimals and keep them there, always 00.
/// See <https://docs.stripe.com/currencies#special-cases>.
fn units(currency: &str) -> i64 {
    if ["ISK", "UGX"].iter().any(|name| name.eq_ignore_ascii_case(currency)) { 100 } else { 1 }
}

fn minor(amount: i64, currency: &str) -> i64 {
    amount / units(currency)
}

/// An amount as Stripe writes it.
pub fn figure(money: &Money) -> String {
    money.amount.saturating_mul(units(&money.currency)).to_string()
}

fn strange(why: &str) -> PayError {
    PayError::Strange { provider: NAME, why: why.to_owned() }
}
