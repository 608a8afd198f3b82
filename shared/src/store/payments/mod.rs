//! Attempts to pay: opened, asked about, settled, compared with the provider's list.

mod attempts;
mod lock;
mod outside;
mod reconcile;
mod reverse;
mod settle;

pub use attempts::{Attempt, DuePayment, Noted};
pub(super) use attempts::{close_payments, insert_payment};
pub use reconcile::{Comparison, DifferenceRecord, KnownPayment, NewDifference};
pub use settle::{Effect, Report, Settled};
