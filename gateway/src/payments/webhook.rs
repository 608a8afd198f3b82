//! `POST /api/webhook/payment`, `POST /api/webhook/payment/:provider`

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderMap;
use serde::Serialize;
use shared::pay::Webhook;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// It is worked off, or was before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Received {
    received: bool,
}

/// The bytes that are signed.
#[derive(Debug)]
pub struct Signed(Bytes);

impl FromRequest<App> for Signed {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Ok(Self(Bytes::from_request(request, app).await?))
    }
}

/// What a payment provider has to say. Any other answer than 200 asks it to say it again later.
#[utoipa::path(post, path = "/api/webhook/payment", tag = "payments",
    responses((status = 200, body = Received), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn receive_webhook(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    headers: HeaderMap,
    Signed(body): Signed,
) -> Result<Json<Received>, Problem> {
    let webhook = Webhook { headers: &headers, body: &body, ip };
    app.checkout.payments().hear(None, webhook).await?;
    Ok(Json(Received { received: true }))
}

/// The same at a path that names the provider.
#[utoipa::path(post, path = "/api/webhook/payment/{provider}", tag = "payments",
    params(("provider" = String, Path, description = "`sandbox`, `stripe` or `yookassa`")),
    responses((status = 200, body = Received), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn receive_named_webhook(
    State(app): State<App>,
    Path(provider): Path<String>,
    ClientIp(ip): ClientIp,
    headers: HeaderMap,
    Signed(body): Signed,
) -> Result<Json<Received>, Problem> {
    let webhook = Webhook { headers: &headers, body: &body, ip };
    app.checkout.payments().hear(Some(&provider), webhook).await?;
    Ok(Json(Received { received: true }))
}
