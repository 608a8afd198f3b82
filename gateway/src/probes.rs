//! `GET /health`, `/ready`, `/metrics`

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use shared::shop::Lanes;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this file.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show_health))
        .routes(routes!(show_readiness))
        .routes(routes!(show_metrics))
}

/// The recorder of this process's figures; installed once, whoever asks first.
pub fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics is installed already; /metrics stays empty");
        }
        handle
    };
    RECORDER.get_or_init(install).clone()
}

/// Whether the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    status: &'static str,
}

/// What the process needs in order to serve.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Readiness {
    postgres: bool,
    redis: bool,
    /// Every feed is being followed.
    feeds: bool,
}

/// The stores are asked this often at most, however many probe.
const FRESH: Duration = Duration::from_millis(500);

/// What was found at the last look.
#[derive(Debug, Default)]
pub struct Probed(Mutex<Option<(Instant, Readiness)>>);

impl Probed {
    async fn look(&self, app: &App) -> Readiness {
        // Whoever comes meanwhile waits for the look that is being taken.
        let mut last = self.0.lock().await;
        if let Some((when, known)) = *last
            && when.elapsed() < FRESH
        {
            return known;
        }
        let (postgres, redis) = tokio::join!(app.store.ping(), app.queue.ping());
        let feeds = app.desk.lanes().is_following();
        let found = Readiness { postgres: postgres.is_ok(), redis: redis.is_ok(), feeds };
        *last = Some((Instant::now(), found));
        found
    }
}

/// The process lives.
#[utoipa::path(get, path = "/health", tag = "probes", responses((status = 200, body = Health)))]
pub async fn show_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The process can serve; 503 when it cannot.
#[utoipa::path(get, path = "/ready", tag = "probes",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub async fn show_readiness(State(app): State<App>) -> impl IntoResponse {
    let readiness = app.probed.look(&app).await;
    // Until it is known which sessions have ended, tokens of theirs would be taken.
    let knows_ended = app.accounts.ended().is_loaded();
    let is_ready = readiness.postgres
        && readiness.redis
        && readiness.feeds
        && knows_ended
        && !app.shutdown.is_cancelled();
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(readiness))
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "probes", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn show_metrics(State(app): State<App>) -> impl IntoResponse {
    metrics::gauge!("usher_sockets").set(f64::from(u32::try_from(app.hub.sockets()).unwrap_or(u32::MAX)));
    let figures = app.metrics.render() + &waiting_jobs(app.desk.lanes());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], figures)
}

/// How many wait in each lane that somebody waits in. The recorder would go on telling of all that there ever were.
fn waiting_jobs(lanes: &Lanes) -> String {
    let mut text = "# TYPE usher_lane_waiting_jobs gauge\n".to_owned();
    for lane in lanes.all() {
        let waiting = lane.board.read().waiting();
        if waiting > 0 {
            let _ = writeln!(text, "usher_lane_waiting_jobs{{event=\"{}\"}} {waiting}", lane.event);
        }
    }
    text
}
