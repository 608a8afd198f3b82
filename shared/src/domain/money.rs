//! Money in minor units.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount in the minor unit of its currency (cents, kopecks).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
}

impl Money {
    /// Adds amounts up, one total per currency, in order of first appearance.
    pub fn totals<'a>(amounts: impl IntoIterator<Item = &'a Self>) -> Vec<Self> {
        let mut totals: Vec<Self> = Vec::new();
        for money in amounts {
            match totals.iter_mut().find(|total| total.currency == money.currency) {
                Some(total) => total.amount += money.amount,
                None => totals.push(money.clone()),
            }
        }
        totals
    }
}
