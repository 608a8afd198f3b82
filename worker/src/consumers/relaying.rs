//! Keeps the relay at work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::rush::Patience;
use shared::store::Store;
use shared::stream::{Broker, Relay, Relayed, Sink, StreamError};
use shared::telemetry::chain;
use tokio_util::sync::CancellationToken;

/// Between two rounds: what is told meanwhile is sent together.
const PACE: Duration = Duration::from_millis(100);
/// After a fault, doubled up to the longest.
const REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Facts after which the next round follows at once.
const MANY: usize = 2_000;
/// How often it is told how far everything is behind.
const TELL: Duration = Duration::from_secs(1);
const TELL_LAG: Duration = Duration::from_secs(5);

/// Relays until `shutdown`.
pub(super) async fn run(store: Store, sink: Arc<dyn Sink>, name: String, shutdown: CancellationToken) {
    let relay = Relay::new(store, sink, name);
    let (mut rest, mut told, mut patience) = (REST, None::<Instant>, Patience::default());
    while !shutdown.is_cancelled() {
        if shutdown.run_until_cancelled(patience.let_pass()).await.is_none() {
            break;
        }
        let relayed = relay.run_once().await;
        if told.is_none_or(|told| told.elapsed() > TELL) {
            told = Some(Instant::now());
            tell_depth(&relay).await;
        }
        let pause = pause_after(relayed, &mut rest);
        if !pause.is_zero() && shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
    }
    relay.resign().await;
}

fn pause_after(relayed: Result<Relayed, StreamError>, rest: &mut Duration) -> Duration {
    match relayed {
        Ok(relayed) => {
            if *rest > REST {
                tracing::info!("the outbox is sent again");
            }
            *rest = REST;
            if relayed.sent >= MANY && relayed.held_up == 0 { Duration::ZERO } else { PACE }
        }
        Err(error) => {
            if *rest == REST {
                tracing::warn!(
                    error = chain(&error),
                    "facts are not sent for the moment; the outbox keeps them"
                );
            }
            let pause = *rest;
            *rest = (*rest * 2).min(LONGEST_REST);
            pause
        }
    }
}

async fn tell_depth(relay: &Relay) {
    if let Ok(depth) = relay.depth().await {
        let unsent = u32::try_from(depth.unsent).unwrap_or(u32::MAX);
        metrics::gauge!("usher_outbox_unsent_facts").set(f64::from(unsent));
        metrics::gauge!("usher_outbox_oldest_seconds").set(depth.oldest_seconds);
    }
}

/// Tells how far groups are behind, until `shutdown`.
pub(super) async fn watch(broker: Broker, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(TELL_LAG)).await.is_some() {
        let Ok(lags) = broker.lags().await else { continue };
        for one in lags {
            let behind = u32::try_from(one.lag.unread + one.lag.pending).unwrap_or(u32::MAX);
            let labels = [("group", one.group.name()), ("topic", one.topic)];
            metrics::gauge!("usher_stream_lag_facts", &labels).set(f64::from(behind));
        }
    }
}
