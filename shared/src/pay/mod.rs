//! The payment port: what Usher asks of a provider, whichever it is. No card data passes through any of these types.
//!
//! - [`config`]: which provider, and how to reach it.
//! - [`connect`] gives the chosen one and former ones, each with its rate and its circuit [`breaker`] in front.
//! - [`sandbox`], [`stripe`], [`yookassa`]: the adapters, over the calls of `http` and the signatures of `signature`.

pub mod breaker;
pub mod config;
mod guarded;
mod http;
mod providers;
pub mod sandbox;
mod signature;
pub mod stripe;
#[cfg(test)]
mod testing;
pub mod yookassa;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::domain::{Money, OrderId, PaymentId, RefundId};

pub use breaker::CircuitStatus;
pub use guarded::connect;
pub use providers::Providers;

/// A hosted page to open for one attempt to pay.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The attempt; the idempotency key, and told to the provider so that its answers name it.
    pub payment: PaymentId,
    /// The order that is paid.
    pub order: OrderId,
    /// What is to be paid.
    pub amount: Money,
    /// A line for the person who pays.
    pub description: String,
    /// The payer's address for the provider's receipt.
    pub email: Option<String>,
    /// The page's language: `en`, `uk` or `ru`.
    pub language: String,
    /// Where the provider sends the payer afterwards. Never proof of anything.
    pub return_url: String,
    /// Where the provider sends a payer who gave up.
    pub cancel_url: String,
    /// Until when the seats are held.
    pub pay_until: DateTime<Utc>,
}

/// A hosted page that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The provider's name for it.
    pub reference: String,
    /// Where the payer goes.
    pub redirect_url: String,
}

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Nothing was paid yet.
    Open,
    /// The money is set aside and waits for [`Provider::capture`].
    Authorized,
    /// The money was taken.
    Captured,
    /// This attempt was refused; another one may be made.
    Declined,
    /// The page is closed and nothing was paid.
    Expired,
    /// The money was taken back by the payer's bank.
    ChargedBack,
}

/// What the provider says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentState {
    /// The provider's name for it. In a notice it may be another one than [`Session::reference`] (Stripe's payment has
    /// one besides its page's); every call takes either, and `payment` says whose it is.
    pub reference: String,
    /// The attempt that it was opened for, as far as the provider tells: what a notice is matched by first.
    pub payment: Option<PaymentId>,
    /// How far it has come.
    pub status: PaymentStatus,
    /// What was authorised or taken; what was asked for while it is open; what the payer's bank took, if it did.
    pub amount: Money,
    /// Minor units given back so far.
    pub refunded_minor: i64,
}

/// Money to give back.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// The refund; the provider's records name it, so that it is found whenever it was made.
    pub refund: RefundId,
    /// How often the provider has refused it for good, as far as somebody was told.
    pub refusals: u32,
    /// The provider's name for the payment.
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// Why, for the provider's records.
    pub reason: String,
}

impl NewRefund {
    /// The idempotency key. It stays the same while it is not known what became of the refund, so that the money goes back
    /// once; after a refusal it is another one, as a provider repeats under one key what it has said before.
    pub fn key(&self) -> String {
        match self.refusals {
            0 => self.refund.to_string(),
            refusals => format!("{}-{refusals}", self.refund),
        }
    }

    /// After how many refusals something was made under this key; `None` when it is none of this refund's.
    fn refusals_before(&self, key: &str) -> Option<u32> {
        match key.strip_prefix(&self.refund.to_string())? {
            "" => Some(0),
            rest => rest.strip_prefix('-')?.parse().ok(),
        }
    }
}

/// How something that a provider has under a refund's name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Made {
    /// It came to nothing.
    Failed,
    /// It is under way.
    Pending,
    /// The money is back.
    Done,
}

/// Which of the refunds that a provider has is the one that is asked for: one that gives the money back or still may,
/// whatever key it was made under; else one that has failed under the present key, so that somebody is told. One that
/// failed before that counts for nothing, and another one is made.
fn present_refund<T>(
    new: &NewRefund,
    all: impl IntoIterator<Item = T>,
    look: impl Fn(&T) -> (Option<u32>, Made),
) -> Option<T> {
    let counts = |one: &T| match look(one) {
        (None, _) => false,
        (Some(refusals), Made::Failed) => refusals >= new.refusals,
        (Some(_), Made::Pending | Made::Done) => true,
    };
    all.into_iter().filter(counts).max_by_key(|one| look(one).1)
}

/// How far a refund has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundState {
    /// The provider's name for it.
    pub reference: String,
    /// The money is back, or the provider has promised that it will be.
    pub is_done: bool,
}

/// A webhook as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Webhook<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The bytes that are signed.
    pub body: &'a [u8],
    /// Who sent it.
    pub ip: IpAddr,
}

/// What a verified webhook says. Its state is not trusted for more than a hint where a provider does not sign: such an
/// adapter asks the provider before it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The provider's name for this notice; the same one may come several times.
    pub id: String,
    /// What it says of a payment; `None` for notices that do not concern us.
    pub state: Option<PaymentState>,
}

/// Why a provider did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// It may go better later; the call may have had its effect, so it is repeated with the same key.
    #[error("{provider} does not answer: {why}")]
    Away {
        /// Which provider.
        provider: &'static str,
        /// What was seen.
        why: String,
    },
    /// There are too many requests for now, by its own count or by ours. Like [`PayError::Away`], but nothing is wrong with
    /// it.
    #[error("{provider} is asked later: {why}")]
    Later {
        /// Which provider.
        provider: &'static str,
        /// What was seen.
        why: String,
    },
    /// It said no, and will again.
    #[error("{provider} refused: {why}")]
    Refused {
        /// Which provider.
        provider: &'static str,
        /// What it said.
        why: String,
    },
    /// The provider's circuit is open: it was not asked.
    #[error("{0} has failed too often and is left alone for a while")]
    CircuitOpen(&'static str),
    /// A webhook that is not the provider's.
    #[error("this webhook is not signed by {0}")]
    Forged(&'static str),
    /// An answer or a webhook that makes no sense.
    #[error("{provider} said something that is not understood: {why}")]
    Strange {
        /// Which provider.
        provider: &'static str,
        /// What about it.
        why: String,
    },
}

/// A payment provider. Every call has a time-out of its own, is safe to repeat with the same ids, and reports an
/// unclear end as [`PayError::Away`].
pub trait Provider: Send + Sync + 'static {
    /// Its name in configuration, paths and rows: `sandbox`, `stripe`, `yookassa`. No two have the same.
    fn name(&self) -> &'static str;

    /// How the circuit in front of it stands, in this process; `None` where there is none.
    fn circuit(&self) -> Option<CircuitStatus> {
        None
    }

    /// Requests of ours wait for their turn: what need not be asked is not asked now.
    fn is_busy(&self) -> bool {
        false
    }

    /// Opens a hosted page.
    fn create_session<'a>(&'a self, new: &'a NewSession) -> BoxFuture<'a, Result<Session, PayError>>;

    /// How far a payment has come. `None`: the provider does not know it.
    fn query<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<PaymentState>, PayError>>;

    /// Closes a page, so that nothing can be paid on it any more; the state afterwards, which may be that it was paid, or
    /// that the page stays open because this provider closes none.
    fn expire_session<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<PaymentState, PayError>>;

    /// Takes money that was authorised; the state afterwards.
    fn capture<'a>(
        &'a self,
        reference: &'a str,
        payment: PaymentId,
        amount: &'a Money,
    ) -> BoxFuture<'a, Result<PaymentState, PayError>>;

    /// Gives money back, once for a refund however often this is called; an authorised payment that was not captured is
    /// released instead. [`PayError::Refused`]: nothing went back, and nothing will under this key.
    fn refund<'a>(&'a self, refund: &'a NewRefund) -> BoxFuture<'a, Result<RefundState, PayError>>;

    /// Whether a webhook is the provider's, and what it says.
    fn verify_webhook<'a>(&'a self, webhook: Webhook<'a>) -> BoxFuture<'a, Result<Notice, PayError>>;

    /// Payments that were opened in a span of time, a page at a time; with the cursor of the next page.
    fn list<'a>(
        &'a self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(Vec<PaymentState>, Option<String>), PayError>>;
}
