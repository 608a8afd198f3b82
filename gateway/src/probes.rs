//! `GET /health`, `/health/stores`, `/ready`, `/metrics`

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
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this file.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show_health))
        .routes(routes!(show_stores))
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

/// What the process leans on.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Stores {
    postgres: bool,
    redis: bool,
    /// Every feed is being followed.
    feeds: bool,
}

/// What decides whether the process is sent requests, and what it leans on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Every lane has been loaded since the process began.
    loaded: bool,
    /// It is known which sessions have ended.
    sessions: bool,
    /// The process ends.
    stopping: bool,
    #[serde(flatten)]
    stores: Stores,
}

/// The stores are asked this often at most, however many probe.
const FRESH: Duration = Duration::from_millis(500);
/// A store that takes longer is away: whoever probes does not wait for long.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was found at the last look.
#[derive(Debug, Default)]
pub struct Probed(Mutex<Option<(Instant, Stores)>>);

impl Probed {
    async fn look(&self, app: &App) -> Stores {
        // Whoever comes meanwhile waits for the look that is being taken.
        let mut last = self.0.lock().await;
        if let Some((when, known)) = *last
            && when.elapsed() < FRESH
        {
            return known;
        }
        let (postgres, redis) =
            tokio::join!(timeout(PATIENCE, app.store.ping()), timeout(PATIENCE, app.queue.ping()));
        let is_there = (matches!(postgres, Ok(Ok(()))), matches!(redis, Ok(Ok(()))));
        let found =
            Stores { postgres: is_there.0, redis: is_there.1, feeds: app.desk.lanes().is_following() };
        *last = Some((Instant::now(), found));
        found
    }
}

/// The process lives.
#[utoipa::path(get, path = "/health", tag = "probes", responses((status = 200, body = Health)))]
pub async fn show_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Both stores answer and the feeds are followed; 503 when not. For those who watch, not for a balancer: all gateways
/// say the same then, and none of them is better sent away.
#[utoipa::path(get, path = "/health/stores", tag = "probes",
    responses((status = 200, body = Stores), (status = 503, body = Stores)))]
pub async fn show_stores(State(app): State<App>) -> impl IntoResponse {
    let stores = app.probed.look(&app).await;
    (status_of(stores.postgres && stores.redis && stores.feeds), Json(stores))
}

/// The process has started and does not end; 503 when it should be sent nobody. A store that is away is told, and
/// does not change that.
#[utoipa::path(get, path = "/ready", tag = "probes",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub async fn show_readiness(State(app): State<App>) -> impl IntoResponse {
    let readiness = Readiness {
        loaded: app.desk.lanes().has_loaded(),
        // Until it is known which sessions have ended, tokens of theirs would be taken.
        sessions: app.accounts.ended().is_loaded(),
        stopping: app.stopping.is_cancelled(),
        stores: app.probed.look(&app).await,
    };
    (status_of(readiness.loaded && readiness.sessions && !readiness.stopping), Json(readiness))
}

fn status_of(is_well: bool) -> StatusCode {
    if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
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
