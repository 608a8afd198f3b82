//! Settling what a provider says, and what is left to be done after it.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{ConfigError, ServicesConfig};
use crate::domain::PaymentId;
use crate::pay::{Notice, PayError, PaymentState, PaymentStatus, Provider, Providers, Webhook};
use crate::queue::Queue;
use crate::seen::{self, Part};
use crate::shop::Fault;
use crate::shop::carts::{announce, announce_sold};
use crate::store::{Effect, Report, Settled, Store};
use crate::telemetry::chain;

use super::config::CheckoutConfig;
use super::providers;

/// Counted, for the administration, whenever a payment's provider cannot be asked because it is not connected.
const MISSING: &str = "payment_provider_missing";
/// Counted there for each payment that could not be compared with its provider's list.
const UNCOMPARED: &str = "payment_not_compared";

/// Payments; clones share the connections.
#[derive(Clone)]
pub struct Payments {
    pub(super) store: Store,
    pub(super) queue: Queue,
    pub(super) providers: Providers,
    /// In which part of Usher this runs.
    part: Part,
    /// Names of providers that are not connected, each told once.
    told: Arc<Mutex<HashSet<String>>>,
    pub(super) config: CheckoutConfig,
    /// Where shoppers reach us: providers send them back there.
    pub(super) public_url: String,
}

/// Why a webhook was not worked off.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is not the provider's.
    #[error("this webhook is not signed by {0}")]
    Forged(&'static str),
    /// It makes no sense.
    #[error("this webhook makes no sense")]
    Strange,
    /// There is no such provider, or the payment is not one of ours, so far.
    #[error("there is no such {0} here")]
    Unknown(&'static str),
    /// The provider must be asked what is true and does not answer: it shall tell again.
    #[error("the provider does not answer")]
    Away,
    /// A store is away: it shall be told again.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<PayError> for WebhookError {
    fn from(error: PayError) -> Self {
        match error {
            PayError::Forged(name) => Self::Forged(name),
            PayError::Strange { .. } | PayError::Refused { .. } => Self::Strange,
            PayError::Away { .. } | PayError::Later { .. } | PayError::CircuitOpen(_) => Self::Away,
        }
    }
}

impl Payments {
    /// Payments over these, in this part of Usher.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn connect(
        services: &ServicesConfig,
        (store, queue): (Store, Queue),
        part: Part,
    ) -> Result<Self, ConfigError> {
        let (providers, config) = (providers(services)?, services.checkout.clone());
        let public_url = services.pay.public_url().to_owned();
        Ok(Self { store, queue, providers, part, told: Arc::default(), config, public_url })
    }

    /// The provider of a payment, if it is connected. That it is not is counted each time, and logged once.
    pub(super) fn provider_of(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        let provider = self.providers.named(name);
        if provider.is_none() {
            self.tell_missing(name);
        }
        provider
    }

    /// Counts that a provider is not connected, and logs it the first time.
    pub(super) fn tell_missing(&self, name: &str) {
        seen::error(self.part, MISSING, None);
        if self.told.lock().insert(name.to_owned()) {
            tracing::error!(
                provider = name,
                "payments are with {name}, which is not connected: nobody asks about them; keep it with PAYMENT_PROVIDERS_KEPT"
            );
        }
    }

    /// Counts that a payment could not be compared, and logs why.
    pub(super) fn tell_uncompared(&self, reference: &str, why: &(dyn std::error::Error + 'static)) {
        seen::error(self.part, UNCOMPARED, None);
        tracing::error!(reference, error = chain(why), "a payment could not be compared");
    }

    /// Works a webhook off; `named` is the provider that its path says. Without it, it is of whichever knows it as its own.
    ///
    /// # Errors
    /// It is forged, makes no sense or is about nothing of ours; or it shall be sent again.
    pub async fn hear(&self, named: Option<&str>, webhook: Webhook<'_>) -> Result<Effect, WebhookError> {
        let (provider, notice) = match named {
            Some(named) => {
                let provider = self.providers.named(named).ok_or(WebhookError::Unknown("provider"))?;
                (provider, provider.verify_webhook(webhook).await.map_err(WebhookError::from)?)
            }
            None => self.recognise(webhook).await?,
        };
        let Some(state) = notice.state else { return Ok(Effect::Nothing) };
        let report = Report { provider: provider.name(), state: &state, webhook: Some(&notice.id) };
        let effect = self.settle(&report).await?.effect;
        if effect == Effect::Unknown { Err(WebhookError::Unknown("payment")) } else { Ok(effect) }
    }

    /// Whose a webhook is, and what it says. Each knows its own, by signature or sender; what is nobody's is forged, unless
    /// somebody could make no sense of it.
    async fn recognise(&self, webhook: Webhook<'_>) -> Result<(&Arc<dyn Provider>, Notice), WebhookError> {
        let mut refused = WebhookError::Forged(self.providers.chosen().name());
        for provider in self.providers.all() {
            match provider.verify_webhook(webhook).await.map_err(WebhookError::from) {
                Ok(notice) => return Ok((provider, notice)),
                Err(WebhookError::Forged(_)) => {}
                Err(WebhookError::Strange) => refused = WebhookError::Strange,
                Err(error @ (WebhookError::Unknown(_) | WebhookError::Away | WebhookError::Fault(_))) => {
                    return Err(error);
                }
            }
        }
        Err(refused)
    }

    /// Makes what a provider says true here, tells others, and takes money that was set aside. What cannot be taken now is
    /// taken by the next poll.
    ///
    /// # Errors
    /// PostgreSQL is away; the same may be told again.
    pub async fn settle(&self, report: &Report<'_>) -> Result<Settled, Fault> {
        let settled = self.store.settle_payment(report).await?;
        self.tell(report, &settled).await;
        match (settled.effect, settled.payment) {
            (Effect::Authorized, Some(payment)) => {
                Ok(self.capture(report.provider, payment).await?.unwrap_or(settled))
            }
            _ => Ok(settled),
        }
    }

    /// The same for what a provider has answered.
    pub(super) async fn settle_state(&self, name: &str, state: &PaymentState) -> Result<Settled, Fault> {
        self.settle(&Report { provider: name, state, webhook: None }).await
    }

    /// Takes money that was set aside; `None` when the provider does not say whether it did.
    async fn capture(&self, name: &str, payment: PaymentId) -> Result<Option<Settled>, Fault> {
        let Some(record) = self.store.payment(payment).await? else { return Ok(None) };
        let (Some(provider), Some(reference)) = (self.provider_of(name), &record.reference) else {
            return Ok(None);
        };
        let state = match provider.capture(reference, payment, &record.amount).await {
            Ok(state) => state,
            Err(PayError::Refused { why, .. }) => {
                tracing::warn!(payment.id = %payment, why, "money that was set aside is refused");
                return self.undo(provider.as_ref(), payment, reference).await;
            }
            Err(error) => {
                tracing::warn!(payment.id = %payment, error = chain(&error), "money is taken later");
                return Ok(None);
            }
        };
        let report = Report { provider: name, state: &state, webhook: None };
        let settled = self.store.settle_payment(&report).await?;
        self.tell(&report, &settled).await;
        Ok(Some(settled))
    }

    /// A refused capture: the order is undone, unless the provider says that the money was taken already.
    async fn undo(
        &self,
        provider: &dyn Provider,
        payment: PaymentId,
        reference: &str,
    ) -> Result<Option<Settled>, Fault> {
        let state = match provider.query(reference).await {
            Ok(Some(state)) => state,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(payment.id = %payment, error = chain(&error), "provider is asked again later");
                return Ok(None);
            }
        };
        let report = Report { provider: provider.name(), state: &state, webhook: None };
        let settled = match state.status {
            PaymentStatus::Authorized | PaymentStatus::Open => self.store.undo_payment(&report).await?,
            PaymentStatus::Captured
            | PaymentStatus::Declined
            | PaymentStatus::Expired
            | PaymentStatus::ChargedBack => self.store.settle_payment(&report).await?,
        };
        self.tell(&report, &settled).await;
        Ok(Some(settled))
    }

    /// Tells those who look at seats, and those who look at logs.
    async fn tell(&self, report: &Report<'_>, settled: &Settled) {
        announce_sold(&self.queue, &settled.sold).await;
        announce(&self.queue, &settled.freed, false).await;
        metrics::counter!("usher_payments_total", "effect" => word(settled.effect)).increment(1);
        let (Some(order), Some(payment)) = (settled.order, settled.payment) else {
            if settled.effect == Effect::Unknown {
                tracing::warn!(
                    provider = report.provider,
                    reference = report.state.reference,
                    "a provider speaks of a payment that is not known here"
                );
            }
            return;
        };
        match settled.effect {
            Effect::Nothing | Effect::Unknown => {}
            Effect::Mismatch => tracing::error!(
                order.id = %order,
                payment.id = %payment,
                "what was paid is not what was asked for; it goes back, and somebody should look at it"
            ),
            Effect::ChargedBack => tracing::warn!(
                order.id = %order,
                payment.id = %payment,
                "the payer's bank has taken a payment back; its tickets are revoked"
            ),
            Effect::Disputed => tracing::error!(
                order.id = %order,
                payment.id = %payment,
                "the payer's bank has taken a part of a payment back; its tickets are good still, and somebody should look at it"
            ),
            Effect::Won => tracing::error!(
                order.id = %order,
                payment.id = %payment,
                "the payer's bank has given a payment back to the shop; its tickets are revoked, and somebody should look at it"
            ),
            Effect::ReturnedThere => tracing::warn!(
                order.id = %order,
                payment.id = %payment,
                "a payment went back at the provider's, not by us; its tickets are revoked"
            ),
            Effect::PartlyReturnedThere => tracing::error!(
                order.id = %order,
                payment.id = %payment,
                "a part of a payment went back at the provider's, not by us; its tickets are good still, and somebody should look at it"
            ),
            Effect::Closed
            | Effect::Authorized
            | Effect::Paid
            | Effect::Reseated
            | Effect::Returned
            | Effect::Undone => {
                let effect = word(settled.effect);
                tracing::info!(order.id = %order, payment.id = %payment, "payment is settled: {effect}");
            }
        }
    }
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Unknown => "unknown",
        Effect::Nothing => "nothing",
        Effect::Closed => "closed",
        Effect::Authorized => "authorized",
        Effect::Paid => "paid",
        Effect::Reseated => "reseated",
        Effect::Returned => "returned",
        Effect::Mismatch => "mismatch",
        Effect::Undone => "undone",
        Effect::ChargedBack => "charged_back",
        Effect::Disputed => "disputed",
        Effect::Won => "won",
        Effect::ReturnedThere => "returned_there",
        Effect::PartlyReturnedThere => "partly_returned_there",
    }
}
