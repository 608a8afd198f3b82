//! The connected providers with what stands before each: its rate and its circuit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::breaker::{Breaker, CircuitStatus};
use super::config::{PayConfig, PaymentProvider};
use super::sandbox::Sandbox;
use super::stripe::Stripe;
use super::yookassa::Yookassa;
use super::{
    NewRefund, NewSession, Notice, PayError, PaymentState, Provider, Providers, RefundState, Session, Webhook,
};
use crate::config::ConfigError;
use crate::domain::{Money, PaymentId};

/// An adapter that knows how many of its requests wait for their turn.
pub(super) trait Adapter: Provider {
    /// Another request would wait for longer than it may take.
    fn is_crowded(&self) -> bool;
}

/// The providers that are set, each behind its circuit breaker and within its rate. Nothing is asked yet.
///
/// # Errors
/// A setting of one is missing or out of its range.
pub fn connect(config: &PayConfig) -> Result<Providers, ConfigError> {
    config.check()?;
    let chosen = connect_one(config.payment_provider, config)?;
    let kept = config.kept().into_iter().map(|which| connect_one(which, config));
    Ok(Providers::new(chosen, kept.collect::<Result<_, _>>()?))
}

fn connect_one(which: PaymentProvider, config: &PayConfig) -> Result<Arc<dyn Provider>, ConfigError> {
    Ok(match which {
        PaymentProvider::Sandbox => Arc::new(Guarded::new(Sandbox::new(config)?, config)),
        PaymentProvider::Stripe => Arc::new(Guarded::new(Stripe::new(config)?, config)),
        PaymentProvider::Yookassa => Arc::new(Guarded::new(Yookassa::new(config)?, config)),
    })
}

struct Guarded<P> {
    provider: P,
    breaker: Breaker,
}

impl<P: Adapter> Guarded<P> {
    fn new(provider: P, config: &PayConfig) -> Self {
        let wait = Duration::from_secs(config.circuit_breaker_timeout_seconds);
        Self { provider, breaker: Breaker::new(config.circuit_breaker_failure_threshold, wait) }
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        work: impl Future<Output = Result<T, PayError>> + Send,
    ) -> Result<T, PayError> {
        let provider = self.provider.name();
        if self.provider.is_crowded() {
            count(provider, verb, "crowded");
            // Says nothing about the provider, so the circuit does not hear of it.
            return Err(PayError::Away {
                provider,
                why: "too many requests of ours wait for their turn".to_owned(),
            });
        }
        let Some(call) = self.breaker.admit(Instant::now()) else {
            count(provider, verb, "circuit_open");
            return Err(PayError::CircuitOpen(provider));
        };
        let ended = work.await;
        match &ended {
            Err(PayError::Away { .. }) => {
                count(provider, verb, "away");
                if call.failed(Instant::now()) {
                    tracing::warn!(
                        provider,
                        "payment provider's circuit opened: it is left alone for a while"
                    );
                }
            }
            Err(
                PayError::Refused { .. }
                | PayError::CircuitOpen(_)
                | PayError::Forged(_)
                | PayError::Strange { .. },
            ) => {
                count(provider, verb, "refused");
                call.answered();
            }
            Ok(_) => {
                count(provider, verb, "answered");
                call.answered();
            }
        }
        ended
    }
}

fn count(provider: &'static str, verb: &'static str, outcome: &'static str) {
    metrics::counter!("usher_payment_calls_total", "provider" => provider, "call" => verb, "outcome" => outcome)
        .increment(1);
}

impl<P: Adapter> Provider for Guarded<P> {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn circuit(&self) -> Option<CircuitStatus> {
        Some(self.breaker.status(self.provider.name(), Instant::now()))
    }

    fn create_session<'a>(&'a self, new: &'a NewSession) -> BoxFuture<'a, Result<Session, PayError>> {
        self.call("create_session", self.provider.create_session(new)).boxed()
    }

    fn query<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<PaymentState>, PayError>> {
        self.call("query", self.provider.query(reference)).boxed()
    }

    fn expire_session<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<PaymentState, PayError>> {
        self.call("expire_session", self.provider.expire_session(reference)).boxed()
    }

    fn capture<'a>(
        &'a self,
        reference: &'a str,
        payment: PaymentId,
        amount: &'a Money,
    ) -> BoxFuture<'a, Result<PaymentState, PayError>> {
        self.call("capture", self.provider.capture(reference, payment, amount)).boxed()
    }

    fn refund<'a>(&'a self, refund: &'a NewRefund) -> BoxFuture<'a, Result<RefundState, PayError>> {
        self.call("refund", self.provider.refund(refund)).boxed()
    }

    /// Not held back by the circuit: a provider that does not answer may well tell.
    fn verify_webhook<'a>(&'a self, webhook: Webhook<'a>) -> BoxFuture<'a, Result<Notice, PayError>> {
        self.provider.verify_webhook(webhook)
    }

    fn list<'a>(
        &'a self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(Vec<PaymentState>, Option<String>), PayError>> {
        self.call("list", self.provider.list(from, to, cursor)).boxed()
    }
}
