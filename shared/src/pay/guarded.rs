//! The connected providers with what stands before each: its rate and its circuit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::breaker::{Breaker, CircuitStatus};
use super::config::{PayConfig, PaymentProvider};
use super::http::Http;
use super::sandbox::Sandbox;
use super::stripe::Stripe;
use super::yookassa::Yookassa;
use super::{
    NewRefund, NewSession, Notice, PayError, PaymentState, Provider, Providers, RefundState, Session, Webhook,
};
use crate::config::ConfigError;
use crate::domain::{Money, PaymentId};

/// An adapter whose calls all take their turn at one place.
pub(super) trait Adapter: Provider {
    /// Its calls.
    fn http(&self) -> &Http;
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
        if self.provider.http().is_crowded() {
            count(provider, verb, "crowded");
            // Says nothing about the provider, so the circuit does not hear of it.
            return Err(PayError::Later {
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
            // Too many requests are none of a provider that does not answer.
            Err(PayError::Later { .. }) => {
                count(provider, verb, "later");
                call.answered();
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

    fn is_busy(&self) -> bool {
        self.provider.http().is_busy()
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

#[cfg(test)]
mod tests {
    use wiremock::matchers::method;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::pay::breaker::CircuitState;
    use crate::pay::testing::config;

    fn sandbox(server: &MockServer) -> Arc<dyn Provider> {
        let settings = config("sandbox", &server.uri(), &["--circuit-breaker-failure-threshold=1"]);
        connect(&settings).expect("settings").chosen().clone()
    }

    fn circuit(provider: &dyn Provider) -> (CircuitState, u32) {
        let circuit = provider.circuit().expect("a circuit");
        (circuit.state, circuit.failures)
    }

    #[tokio::test]
    async fn provider_with_too_many_requests_is_left_alone_for_as_long_as_it_says_and_has_not_failed() {
        let server = MockServer::start().await;
        let crowded = ResponseTemplate::new(429).insert_header("retry-after", "30");
        Mock::given(method("GET")).respond_with(crowded).expect(1).mount(&server).await;
        let provider = sandbox(&server);
        assert!(!provider.is_busy());
        for _ in 0..3 {
            assert!(matches!(provider.query("sbx_1").await, Err(PayError::Later { .. })));
        }
        assert!(provider.is_busy());
        assert_eq!(circuit(provider.as_ref()), (CircuitState::Closed, 0));
    }

    #[tokio::test]
    async fn too_many_requests_without_a_time_are_tried_again_within_the_call() {
        let server = MockServer::start().await;
        let crowded = ResponseTemplate::new(429);
        Mock::given(method("GET")).respond_with(crowded).up_to_n_times(5).mount(&server).await;
        let provider = sandbox(&server);
        assert!(matches!(provider.query("sbx_1").await, Err(PayError::Later { .. })));
        assert_eq!(circuit(provider.as_ref()), (CircuitState::Closed, 0));
        // Nobody knows it there, by the third try.
        assert_eq!(provider.query("sbx_1").await.expect("an answer"), None);
    }
}
