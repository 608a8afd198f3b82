//! Once a day each connected provider's list is compared with ours; what can be mended is, and all of it is written down.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::payments::Payments;
use crate::domain::{Money, PaymentId};
use crate::pay::{PaymentState, PaymentStatus, Provider};
use crate::shop::Fault;
use crate::store::{Comparison, DifferenceRecord, Effect, KnownPayment, NewDifference};
use crate::telemetry::chain;

/// What is younger is still under way; and so far apart may clocks be, and a payment and its page.
const YOUNG: TimeDelta = TimeDelta::minutes(10);
/// Pages of the provider's list at most.
const PAGES: usize = 50_000;
/// Payments of ours in one page.
const PAYMENTS: i64 = 1_000;

/// What a comparison has found.
#[derive(Default)]
struct Compared {
    payments: u64,
    differences: u64,
    /// Payments that could not be compared, or lists that were not read to their end.
    failed: u64,
}

/// Payments that a provider has listed, by both of their names: its own may be another one here.
#[derive(Default)]
struct Listed {
    references: HashSet<String>,
    payments: HashSet<PaymentId>,
}

impl Listed {
    fn insert(&mut self, state: &PaymentState) {
        self.references.insert(state.reference.clone());
        self.payments.extend(state.payment);
    }

    fn holds(&self, payment: PaymentId, reference: &str) -> bool {
        self.references.contains(reference) || self.payments.contains(&payment)
    }
}

/// One thing that is not the same there as here.
struct Difference {
    kind: &'static str,
    ours: String,
    theirs: String,
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
        let days = i32::from(self.config.payment_compared_days);
        let Some(comparison) = self.store.begin_reconciliation(days).await? else { return Ok(None) };
        let compared = self.compare_all(&comparison).await?;
        if compared.differences > 0 {
            tracing::warn!(
                differences = compared.differences,
                "{} payments differ from the provider's list",
                compared.differences
            );
        }
        if compared.failed > 0 {
            return Ok(None);
        }
        self.store.finish_reconciliation(comparison.id, compared.payments, compared.differences).await?;
        Ok(Some(compared.differences))
    }

    /// The differences that were found, the latest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn differences(&self, at_most: i64) -> Result<Vec<DifferenceRecord>, Fault> {
        Ok(self.store.differences(at_most).await?)
    }

    /// All connected providers; one that does not give its list does not hold up the others.
    async fn compare_all(&self, comparison: &Comparison) -> Result<Compared, Fault> {
        let mut all = Compared::default();
        for provider in self.providers.all() {
            self.compare(provider.as_ref(), comparison, &mut all).await?;
        }
        let connected: Vec<&str> = self.providers.all().map(|provider| provider.name()).collect();
        for name in self.store.unconnected_providers(&connected).await? {
            self.tell_missing(&name);
        }
        Ok(all)
    }

    async fn compare(
        &self,
        provider: &dyn Provider,
        &Comparison { since, now, .. }: &Comparison,
        all: &mut Compared,
    ) -> Result<(), Fault> {
        let (mut listed, mut cursor): (_, Option<String>) = (Listed::default(), None);
        for _ in 0..PAGES {
            let (states, next) = match provider.list(since - YOUNG, now, cursor.as_deref()).await {
                Ok(page) => page,
                Err(error) => {
                    let provider = provider.name();
                    tracing::warn!(provider, error = chain(&error), "the provider's list is read later");
                    all.failed += 1;
                    return Ok(());
                }
            };
            for state in &states {
                all.payments += 1;
                listed.insert(state);
                // One that cannot be compared must not hide those after it.
                match self.compare_one(provider, state).await {
                    Ok(Some(differences)) => all.differences += differences,
                    Ok(None) => all.failed += 1,
                    Err(error) => {
                        self.tell_uncompared(&state.reference, &error);
                        all.failed += 1;
                    }
                }
            }
            cursor = next;
            if cursor.is_none() {
                all.differences += self.find_missing(provider.name(), (since, now - YOUNG), &listed).await?;
                return Ok(());
            }
        }
        tracing::error!(provider = provider.name(), "the provider's list has no end");
        all.failed += 1;
        Ok(())
    }

    /// In how many things a payment differs; `None` when its provider does not say how it is now.
    async fn compare_one(
        &self,
        provider: &dyn Provider,
        listed: &PaymentState,
    ) -> Result<Option<u64>, Fault> {
        let name = provider.name();
        let Some(known) = self.store.known_payment(name, &listed.reference, listed.payment).await? else {
            return Ok(Some(self.note_unknown(name, listed).await?));
        };
        if differences(&known, listed).is_empty() {
            return Ok(Some(0));
        }
        // What has gone on since the list was written is no difference.
        let Some(state) = self.state_now(provider, listed).await else { return Ok(None) };
        let now = self.now_different(name, &state).await?;
        let mut found = differences(&known, &state);
        found.retain(|one| now.iter().any(|other| other.kind == one.kind));
        if found.is_empty() {
            return Ok(Some(0));
        }
        let effect = self.settle_state(name, &state).await?.effect;
        // Somebody else may have been ahead, and the payment further by now than what was asked for.
        let now = if effect == Effect::Nothing {
            self.state_now(provider, &state).await
        } else {
            Some(state.clone())
        };
        let Some(now) = now else { return Ok(None) };
        let left = self.now_different(name, &now).await?;
        for one in found.iter().filter(|one| !is_written(effect, one.kind)) {
            let is_settled = one.kind == "status" && ![Effect::Nothing, Effect::Unknown].contains(&effect);
            let difference = NewDifference {
                provider: name,
                reference: &state.reference,
                payment: Some(known.id),
                kind: one.kind,
                ours: one.ours.clone(),
                theirs: one.theirs.clone(),
                repaired: is_settled || !left.iter().any(|other| other.kind == one.kind),
            };
            self.store.note_difference(&difference).await?;
        }
        Ok(Some(u64::try_from(found.len()).unwrap_or(u64::MAX)))
    }

    /// How a payment is by now; `None`, and told, when its provider does not say.
    async fn state_now(&self, provider: &dyn Provider, known: &PaymentState) -> Option<PaymentState> {
        match provider.query(&known.reference).await {
            Ok(state) => Some(state.unwrap_or_else(|| known.clone())),
            Err(error) => {
                self.tell_uncompared(&known.reference, &error);
                None
            }
        }
    }

    async fn now_different(&self, name: &str, state: &PaymentState) -> Result<Vec<Difference>, Fault> {
        let known = self.store.known_payment(name, &state.reference, state.payment).await?;
        Ok(known.map(|known| differences(&known, state)).unwrap_or_default())
    }

    /// A payment that is none of ours; how many differences that is.
    async fn note_unknown(&self, name: &str, state: &PaymentState) -> Result<u64, Fault> {
        if !has_money(state) && state.status != PaymentStatus::ChargedBack {
            return Ok(0);
        }
        let difference = NewDifference {
            provider: name,
            reference: &state.reference,
            payment: None,
            kind: "unknown_here",
            ours: "none".to_owned(),
            theirs: word(state.status).to_owned(),
            repaired: false,
        };
        self.store.note_difference(&difference).await?;
        Ok(1)
    }

    /// Payments of ours that the provider does not list.
    async fn find_missing(
        &self,
        name: &str,
        span: (DateTime<Utc>, DateTime<Utc>),
        listed: &Listed,
    ) -> Result<u64, Fault> {
        let (mut after, mut missing): (Option<PaymentId>, _) = (None, 0);
        loop {
            let page = self.store.payments_between(name, span, after, PAYMENTS).await?;
            let Some((last, ..)) = page.last() else { return Ok(missing) };
            after = Some(*last);
            for (payment, reference, status) in
                page.iter().filter(|(payment, reference, _)| !listed.holds(*payment, reference))
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

/// All that is not the same there as here.
fn differences(known: &KnownPayment, state: &PaymentState) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |kind, ours, theirs| found.push(Difference { kind, ours, theirs });
    if has_money(state) && known.amount != state.amount && known.status != "reversed" {
        note("amount", figure(&known.amount), figure(&state.amount));
    }
    if !agrees(known, state) {
        note("status", known.status.clone(), word(state.status).to_owned());
    }
    if state.status == PaymentStatus::Captured {
        if has_other_refunds(known, state) {
            note("refunds", known.refunded_minor.to_string(), state.refunded_minor.to_string());
        }
        let left = state.amount.amount - state.refunded_minor;
        if known.status == "reversed" && left > known.refunding_minor {
            note("kept", known.refunding_minor.to_string(), left.to_string());
        }
    }
    found
}

fn figure(money: &Money) -> String {
    format!("{} {}", money.amount, money.currency)
}

fn has_money(state: &PaymentState) -> bool {
    [PaymentStatus::Authorized, PaymentStatus::Captured].contains(&state.status)
}

/// Whether both say the same of how far a payment has come.
fn agrees(known: &KnownPayment, state: &PaymentState) -> bool {
    let ours = known.status.as_str();
    match state.status {
        PaymentStatus::Captured => ["captured", "reversed"].contains(&ours),
        // What was released is not set aside any more.
        PaymentStatus::Authorized => {
            ours == "authorized" || (ours == "reversed" && known.refunding_minor > 0)
        }
        PaymentStatus::ChargedBack => ours == "reversed",
        PaymentStatus::Open | PaymentStatus::Declined | PaymentStatus::Expired => {
            !["authorized", "captured"].contains(&ours)
        }
    }
}

/// More, or less, has gone back than we know of, whatever is still on its way.
fn has_other_refunds(known: &KnownPayment, state: &PaymentState) -> bool {
    let most = known.refunded_minor + known.unsure_minor;
    !(known.refunded_minor..=most).contains(&state.refunded_minor)
}

/// Whether settling has written this down already, with what a person needs to know.
fn is_written(effect: Effect, kind: &str) -> bool {
    match kind {
        "status" => effect == Effect::Disputed,
        "kept" => effect == Effect::Won,
        "refunds" => [Effect::ReturnedThere, Effect::PartlyReturnedThere].contains(&effect),
        _ => false,
    }
}
