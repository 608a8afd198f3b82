//! Once a day each connected provider's list is compared with ours; what can be mended is, and all of it is written down.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::payments::Payments;
use crate::domain::PaymentId;
use crate::pay::{PayError, PaymentState, PaymentStatus, Provider};
use crate::shop::Fault;
use crate::store::{DifferenceRecord, Effect, KnownPayment, NewDifference};
use crate::telemetry::chain;

/// How far back the lists go.
const DAYS: i64 = 2;
/// What is younger is still under way.
const YOUNG: TimeDelta = TimeDelta::minutes(10);
/// Pages of the provider's list at most.
const PAGES: usize = 10_000;
/// Payments of ours in one page.
const PAYMENTS: i64 = 1_000;

/// What a comparison has found.
#[derive(Default)]
struct Compared {
    payments: u64,
    differences: u64,
    seen: HashSet<String>,
}

/// What the provider says, as a word.
fn word(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Open => "open",
        PaymentStatus::Authorized => "authorized",
        PaymentStatus::Captured => "captured",
        PaymentStatus::Declined => "declined",
        PaymentStatus::Expired => "expired",
        PaymentStatus::ChargedBack => "charged_back",
    }
}

impl Payments {
    /// Compares, when it was not done for a day; returns how many differences there were.
    ///
    /// # Errors
    /// PostgreSQL is away; the comparison begins anew half an hour later.
    pub async fn reconcile_daily(&self) -> Result<Option<u64>, Fault> {
        let Some((id, now)) = self.store.begin_reconciliation().await? else { return Ok(None) };
        let Some(compared) = self.compare_all(now).await? else { return Ok(None) };
        self.store.finish_reconciliation(id, compared.payments, compared.differences).await?;
        if compared.differences > 0 {
            tracing::warn!(
                differences = compared.differences,
                "{} payments differ from the provider's list",
                compared.differences
            );
        }
        Ok(Some(compared.differences))
    }

    /// The differences that were found, the latest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn differences(&self, at_most: i64) -> Result<Vec<DifferenceRecord>, Fault> {
        Ok(self.store.differences(at_most).await?)
    }

    /// All connected providers; `None` when one of them does not give its list now, after the others were compared.
    async fn compare_all(&self, now: DateTime<Utc>) -> Result<Option<Compared>, Fault> {
        let (mut all, mut is_whole) = (Compared::default(), true);
        for provider in self.providers.all() {
            match self.compare(provider.as_ref(), now).await? {
                Some(compared) => {
                    all.payments += compared.payments;
                    all.differences += compared.differences;
                }
                None => is_whole = false,
            }
        }
        let connected: Vec<&str> = self.providers.all().map(|provider| provider.name()).collect();
        for name in self.store.unconnected_providers(&connected).await? {
            self.tell_missing(&name);
        }
        Ok(is_whole.then_some(all))
    }

    /// `None` when the provider does not give its list now.
    async fn compare(&self, provider: &dyn Provider, now: DateTime<Utc>) -> Result<Option<Compared>, Fault> {
        let (name, span) = (provider.name(), (now - TimeDelta::days(DAYS), now - YOUNG));
        let (mut compared, mut cursor) = (Compared::default(), None);
        for _ in 0..PAGES {
            let page: Result<_, PayError> = provider.list(span.0, now, cursor.as_deref()).await;
            let (states, next) = match page {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(
                        provider = name,
                        error = chain(&error),
                        "the provider's list is read later"
                    );
                    return Ok(None);
                }
            };
            for state in &states {
                compared.payments += 1;
                compared.seen.insert(state.reference.clone());
                // One that cannot be mended must not hide those after it.
                match self.compare_one(name, state).await {
                    Ok(is_other) => compared.differences += u64::from(is_other),
                    Err(error) => {
                        let reference = &state.reference;
                        tracing::error!(reference, error = chain(&error), "a payment could not be compared");
                    }
                }
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        compared.differences += self.find_missing(name, span, &compared.seen).await?;
        Ok(Some(compared))
    }

    /// Whether a payment differs.
    async fn compare_one(&self, name: &str, state: &PaymentState) -> Result<bool, Fault> {
        let known = self.store.known_payment(name, &state.reference, state.payment).await?;
        let has_money = [PaymentStatus::Authorized, PaymentStatus::Captured].contains(&state.status);
        let mut difference = NewDifference {
            provider: name,
            reference: &state.reference,
            payment: known.as_ref().map(|known| known.id),
            kind: "unknown_here",
            ours: "none".to_owned(),
            theirs: word(state.status).to_owned(),
            repaired: false,
        };
        let Some(known) = known else {
            if has_money {
                self.store.note_difference(&difference).await?;
            }
            return Ok(has_money);
        };
        if has_money && known.amount != state.amount && known.status != "reversed" {
            difference.kind = "amount";
            difference.ours = format!("{} {}", known.amount.amount, known.amount.currency);
            difference.theirs = format!("{} {}", state.amount.amount, state.amount.currency);
        } else if !agrees(&known, state) {
            difference.kind = "status";
            difference.ours.clone_from(&known.status);
        } else if state.status == PaymentStatus::Captured && has_other_refunds(&known, state) {
            difference.kind = "refunds";
            difference.ours = known.refunded_minor.to_string();
            difference.theirs = state.refunded_minor.to_string();
        } else {
            return Ok(false);
        }
        if difference.kind != "refunds" {
            let effect = self.settle_state(name, state).await?.effect;
            // Written down already, with what was taken.
            if effect == Effect::Disputed {
                return Ok(true);
            }
            difference.repaired = ![Effect::Nothing, Effect::Unknown].contains(&effect);
        }
        self.store.note_difference(&difference).await?;
        Ok(true)
    }

    /// Payments of ours that the provider does not list.
    async fn find_missing(
        &self,
        name: &str,
        span: (DateTime<Utc>, DateTime<Utc>),
        seen: &HashSet<String>,
    ) -> Result<u64, Fault> {
        let (mut after, mut missing): (Option<PaymentId>, _) = (None, 0);
        loop {
            let page = self.store.payments_between(name, span, after, PAYMENTS).await?;
            let Some((last, ..)) = page.last() else { return Ok(missing) };
            after = Some(*last);
            for (payment, reference, status) in
                page.iter().filter(|(_, reference, _)| !seen.contains(reference))
            {
                missing += 1;
                let difference = NewDifference {
                    provider: name,
                    reference,
                    payment: Some(*payment),
                    kind: "missing_there",
                    ours: status.clone(),
                    theirs: "none".to_owned(),
                    repaired: false,
                };
                self.store.note_difference(&difference).await?;
            }
        }
    }
}

/// Whether both say the same of how far a payment has come.
fn agrees(known: &KnownPayment, state: &PaymentState) -> bool {
    let ours = known.status.as_str();
    match state.status {
        PaymentStatus::Captured => ["captured", "reversed"].contains(&ours),
        PaymentStatus::Authorized => ["authorized", "reversed"].contains(&ours),
        PaymentStatus::ChargedBack => ours == "reversed",
        PaymentStatus::Open | PaymentStatus::Declined | PaymentStatus::Expired => {
            !["authorized", "captured"].contains(&ours)
        }
    }
}

/// More, or less, has gone back than we know of, whatever is still on its way.
fn has_other_refunds(known: &KnownPayment, state: &PaymentState) -> bool {
    let most = known.refunded_minor + known.refunding_minor;
    !(known.refunded_minor..=most).contains(&state.refunded_minor)
}
