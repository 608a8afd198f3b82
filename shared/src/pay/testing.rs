//! What the tests of the adapters share.

use clap::Parser as _;
use reqwest::header::HeaderMap;

use super::config::PayConfig;
use super::{NewRefund, NewSession, Webhook};
use crate::domain::{Money, OrderId, PaymentId, RefundId};

/// Signs webhooks in every test.
pub const SECRET: &str = "whsec_only_for_tests";
pub const OLD_SECRET: &str = "whsec_before_this_one";

#[derive(clap::Parser)]
struct Words {
    #[command(flatten)]
    pay: PayConfig,
}

/// Settings for this provider at this address, with time-outs that tests can wait for.
pub fn config(provider: &str, url: &str, more: &[&str]) -> PayConfig {
    let words = [
        "test".to_owned(),
        format!("--payment-provider={provider}"),
        format!("--{provider}-url={url}"),
        "--public-url=https://tickets.test".to_owned(),
        "--payment-timeout-ms=300".to_owned(),
        "--payment-rate-per-second=1000".to_owned(),
        "--sandbox-key=a key for the tests".to_owned(),
        format!("--sandbox-webhook-secret={SECRET}"),
        "--stripe-secret-key=sk_test_1".to_owned(),
        format!("--stripe-webhook-secret={SECRET}"),
        format!("--stripe-webhook-secret-previous={OLD_SECRET}"),
        "--yookassa-shop-id=54401".to_owned(),
        "--yookassa-secret-key=test_secret".to_owned(),
    ];
    let more = more.iter().map(|word| (*word).to_owned());
    Words::try_parse_from(words.into_iter().chain(more)).expect("words that are known").pay
}

pub fn money(amount: i64, currency: &str) -> Money {
    Money { amount, currency: currency.to_owned() }
}

/// A session to open for this much.
pub fn new_session(amount: Money) -> NewSession {
    NewSession {
        payment: PaymentId::new(),
        order: OrderId::new(),
        amount,
        description: "2 × Stalls".to_owned(),
        email: Some("shopper@usher.test".to_owned()),
        language: "uk".to_owned(),
        return_url: "https://tickets.test/pay/success".to_owned(),
        cancel_url: "https://tickets.test/pay/fail".to_owned(),
        pay_until: chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time"),
    }
}

/// A refund of this much of that payment.
pub fn new_refund(reference: &str, amount: Money) -> NewRefund {
    NewRefund {
        refund: RefundId::new(),
        refusals: 0,
        reference: reference.to_owned(),
        amount,
        reason: "cancelled".to_owned(),
    }
}

/// A webhook from this address.
pub fn webhook<'a>(headers: &'a HeaderMap, body: &'a [u8], ip: &str) -> Webhook<'a> {
    Webhook { headers, body, ip: ip.parse().expect("an address") }
}
