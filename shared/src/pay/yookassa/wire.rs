//! What is said to `YooKassa`'s API and by it, as far as it is read here.

use serde::{Deserialize, Serialize};

use super::NAME;
use crate::domain::{Money, PaymentId};
use crate::pay::{Made, NewRefund, NewSession, PayError, PaymentState, PaymentStatus};

/// Characters that a payment's description may have.
const MAX_DESCRIPTION: usize = 128;
/// Characters that a refund's description may have.
const MAX_REASON: usize = 250;

/// An amount as a decimal number in text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub value: String,
    pub currency: String,
}

impl Amount {
    /// Minor units as text: 123456 of a currency with two decimals are `1234.56`.
    ///
    /// # Errors
    /// [`PayError::Refused`] for an amount below zero.
    pub fn of(money: &Money) -> Result<Self, PayError> {
        let minor = u64::try_from(money.amount).map_err(|_| refused("an amount below zero"))?;
        let decimals = decimals(&money.currency);
        let unit = 10_u64.pow(decimals);
        let whole = minor / unit;
        let value = match usize::try_from(decimals) {
            Ok(0) | Err(_) => whole.to_string(),
            Ok(width) => format!("{whole}.{:0width$}", minor % unit),
        };
        Ok(Self { value, currency: money.currency.clone() })
    }

    /// Text as minor units, exactly.
    ///
    /// # Errors
    /// [`PayError::Strange`] for what is no amount of that currency.
    pub fn money(&self) -> Result<Money, PayError> {
        let amount = minor(&self.value, decimals(&self.currency)).ok_or_else(|| strange("no amount"))?;
        Ok(Money { amount, currency: self.currency.clone() })
    }
}

/// Digits after the point, by ISO 4217, of what shops are paid in.
fn decimals(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

fn minor(value: &str, decimals: u32) -> Option<i64> {
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) {
        return None;
    }
    let decimals = usize::try_from(decimals).ok()?;
    // Further digits would be a part of a minor unit, unless they are zeros.
    let (kept, rest) = part.split_at(part.len().min(decimals));
    if rest.bytes().any(|byte| byte != b'0') {
        return None;
    }
    format!("{whole}{kept:0<decimals$}").parse().ok()
}

#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    payment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
}

/// A payment to open.
#[derive(Debug, Serialize)]
pub struct Create {
    amount: Amount,
    capture: bool,
    confirmation: NewConfirmation,
    description: String,
    metadata: Metadata,
}

#[derive(Debug, Serialize)]
struct NewConfirmation {
    #[serde(rename = "type")]
    kind: &'static str,
    return_url: String,
    locale: &'static str,
}

impl Create {
    /// With no method named, so that the payer chooses.
    ///
    /// # Errors
    /// The amount is none.
    pub fn new(new: &NewSession, capture: bool) -> Result<Self, PayError> {
        Ok(Self {
            amount: Amount::of(&new.amount)?,
            capture,
            confirmation: NewConfirmation {
                kind: "redirect",
                return_url: new.return_url.clone(),
                // The page speaks these two only.
                locale: if new.language == "ru" { "ru_RU" } else { "en_US" },
            },
            description: new.description.chars().take(MAX_DESCRIPTION).collect(),
            metadata: Metadata {
                payment_id: Some(new.payment.to_string()),
                order_id: Some(new.order.to_string()),
            },
        })
    }
}

/// Money to take.
#[derive(Debug, Serialize)]
pub struct Capture {
    amount: Amount,
}

impl Capture {
    /// This much.
    ///
    /// # Errors
    /// The amount is none.
    pub fn new(amount: &Money) -> Result<Self, PayError> {
        Ok(Self { amount: Amount::of(amount)? })
    }
}

/// Money to give back.
#[derive(Debug, Serialize)]
pub struct GiveBack {
    payment_id: String,
    amount: Amount,
    description: String,
}

impl GiveBack {
    /// The description begins with the refund's key, by which it is found again.
    ///
    /// # Errors
    /// The amount is none.
    pub fn new(payment: &str, new: &NewRefund) -> Result<Self, PayError> {
        let description = format!("{} {}", new.key(), new.reason);
        Ok(Self {
            payment_id: payment.to_owned(),
            amount: Amount::of(&new.amount)?,
            description: description.chars().take(MAX_REASON).collect(),
        })
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

/// A payment.
#[derive(Debug, Deserialize)]
pub struct Payment {
    pub id: String,
    pub status: String,
    amount: Amount,
    refunded_amount: Option<Amount>,
    confirmation: Option<Confirmation>,
    metadata: Option<Metadata>,
    cancellation_details: Option<Cancellation>,
}

#[derive(Debug, Deserialize)]
struct Confirmation {
    confirmation_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Cancellation {
    reason: String,
}

impl Payment {
    /// The page that the payer is sent to.
    pub fn redirect_url(&self) -> Option<String> {
        self.confirmation.as_ref().and_then(|confirmation| confirmation.confirmation_url.clone())
    }

    /// It was opened by us.
    pub fn is_ours(&self) -> bool {
        self.attempt().is_some()
    }

    fn attempt(&self) -> Option<PaymentId> {
        let id = self.metadata.as_ref()?.payment_id.as_deref()?;
        id.parse().ok().map(PaymentId)
    }

    /// Its state.
    ///
    /// # Errors
    /// [`PayError::Strange`] for a status or an amount that is none.
    pub fn state(&self) -> Result<PaymentState, PayError> {
        let status = match self.status.as_str() {
            "pending" => PaymentStatus::Open,
            "waiting_for_capture" => PaymentStatus::Authorized,
            "succeeded" => PaymentStatus::Captured,
            "canceled" => self.ended(),
            _ => return Err(strange("a status that is not known")),
        };
        let refunded = self.refunded_amount.as_ref().map(Amount::money).transpose()?;
        Ok(PaymentState {
            reference: self.id.clone(),
            payment: self.attempt(),
            status,
            amount: self.amount.money()?,
            refunded_minor: refunded.map_or(0, |money| money.amount),
        })
    }

    fn ended(&self) -> PaymentStatus {
        match self.cancellation_details.as_ref().map(|details| details.reason.as_str()) {
            // Nobody refused it: its time was over, or we let it go.
            Some(
                "expired_on_confirmation"
                | "expired_on_capture"
                | "canceled_by_merchant"
                | "permission_revoked",
            ) => PaymentStatus::Expired,
            Some(_) | None => PaymentStatus::Declined,
        }
    }
}

/// Money on its way back.
#[derive(Debug, Deserialize)]
pub struct Refund {
    pub id: String,
    status: String,
    description: Option<String>,
    cancellation_details: Option<Cancellation>,
}

impl Refund {
    /// How it stands.
    pub fn made(&self) -> Made {
        match self.status.as_str() {
            "succeeded" => Made::Done,
            "canceled" => Made::Failed,
            _ => Made::Pending,
        }
    }

    /// After how many refusals it was made for a refund, if it was, and how it stands.
    pub fn made_for(&self, new: &NewRefund) -> (Option<u32>, Made) {
        let key = self.description.as_deref().and_then(|description| description.split(' ').next());
        (key.and_then(|key| new.refusals_before(key)), self.made())
    }

    /// Why it did not go through.
    pub fn why(&self) -> String {
        self.cancellation_details
            .as_ref()
            .map_or_else(|| "the refund did not go through".to_owned(), |details| details.reason.clone())
    }
}

/// A webhook's body.
#[derive(Debug, Deserialize)]
pub struct Notification {
    event: String,
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Object {
    id: String,
    payment_id: Option<String>,
}

impl Notification {
    /// The payment that it is about; `None` when it is about none.
    pub fn payment(&self) -> Option<&str> {
        match self.event.split_once('.') {
            Some(("payment", _)) => Some(&self.object.id),
            Some(("refund", _)) => self.object.payment_id.as_deref(),
            Some(_) | None => None,
        }
    }

    /// A name for what does not concern us.
    pub fn name(&self) -> String {
        format!("{}:{}", self.event, self.object.id).chars().take(255).collect()
    }
}

/// A refusal.
#[derive(Debug, Default, Deserialize)]
pub struct Failure {
    /// The answer's status.
    #[serde(skip)]
    pub status: u16,
    code: Option<String>,
    parameter: Option<String>,
}

impl Failure {
    /// Payment in two steps is what it does not like.
    pub fn is_about_capture(&self) -> bool {
        self.status == 400 && self.parameter.as_deref() == Some("capture")
    }

    /// Its words that hold nothing personal; the description may.
    pub fn words(&self) -> String {
        let words = [&self.code, &self.parameter].into_iter().flatten().map(String::as_str);
        let words = words.collect::<Vec<_>>().join(" ");
        format!("{} {words}", self.status)
    }
}

fn strange(why: &str) -> PayError {
    PayError::Strange { provider: NAME, why: why.to_owned() }
}

fn refused(why: &str) -> PayError {
    PayError::Refused { provider: NAME, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(amount: i64, currency: &str) -> Money {
        Money { amount, currency: currency.to_owned() }
    }

    #[test]
    fn amounts_are_written_with_the_currency_s_decimals() {
        for (minor, currency, text) in [
            (123_456, "RUB", "1234.56"),
            (5, "RUB", "0.05"),
            (100, "EUR", "1.00"),
            (1_234, "JPY", "1234"),
            (1_234, "KWD", "1.234"),
            (i64::MAX, "RUB", "92233720368547758.07"),
        ] {
            assert_eq!(Amount::of(&money(minor, currency)).expect("an amount").value, text);
        }
        assert!(Amount::of(&money(-1, "RUB")).is_err());
    }

    #[test]
    fn only_exact_amounts_are_read() {
        let read = |value: &str| Amount { value: value.to_owned(), currency: "RUB".to_owned() }.money().ok();
        for (text, minor) in
            [("10", 1_000), ("10.5", 1_050), ("10.50", 1_050), ("0.100", 10), ("007.01", 701)]
        {
            assert_eq!(read(text), Some(money(minor, "RUB")), "{text}");
        }
        for nonsense in
            ["", ".", ".5", "1.005", "-1.00", "+1", "1e3", "1,00", "1.0.0", "99999999999999999999", "½"]
        {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_comes_back_as_it_was_written(minor in 0..i64::MAX, currency in 0usize..4) {
            let money = money(minor, ["RUB", "USD", "JPY", "KWD"][currency]);
            let there = Amount::of(&money).expect("an amount");
            prop_assert_eq!(there.money().expect("an amount"), money);
        }
    }
}
