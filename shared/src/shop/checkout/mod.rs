//! From a cart to a paid order, and back.
//!
//! - What shoppers do: [`Checkout`] (buy, pay, cancel, ask).
//! - What providers say: [`Payments`] settles it, whoever brings it; its sweeps ask what was not told (`sweeps`), and
//!   compare lists every day (`reconcile`).
//! - Money back: [`Refunds`].

pub mod config;
mod payments;
mod providers;
mod reconcile;
mod refunds;
mod shopper;
mod sweeps;
mod views;

pub use payments::{Payments, WebhookError};
pub use providers::providers;
pub use refunds::{RefundError, Refunds, SendError};
pub use shopper::{Buyer, Checkout, CheckoutError};
pub use views::{CheckoutView, OrderItemView, OrderView, PaymentStatusView};
