//! `POST /api/admin/queue/retry`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use shared::shop::Retried;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Problem, ProblemBody};

/// Which failed jobs are tried once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryBody {
    #[serde(alias = "event_id")]
    event_id: EventId,
    /// One alone; without it all that are kept for inspection.
    number: Option<u64>,
}

/// The new jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetryList {
    items: Vec<RetriedView>,
}

/// A new job, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetriedView {
    /// The number of the job that failed.
    retry_of: u64,
    /// The new one, at the end of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Retried> for RetriedView {
    fn from(retried: Retried) -> Self {
        let retry_of = retried.retry_of;
        match retried.booked {
            Ok(booked) => {
                Self { retry_of, number: Some(booked.number), job_id: Some(booked.reference), error: None }
            }
            Err(error) => Self { retry_of, number: None, job_id: None, error: Some(error.to_string()) },
        }
    }
}

/// Tries failed jobs once more, each as a new job at the end of the line; those who left are left alone.
#[utoipa::path(post, path = "/api/admin/queue/retry", tag = "operators", request_body = RetryBody,
    responses((status = 200, body = RetryList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn retry_jobs(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<RetryBody>,
) -> Result<Json<RetryList>, Problem> {
    let retried = app.operations.retry(body.event_id, body.number, caller.user, Some(ip)).await?;
    Ok(Json(RetryList { items: retried.into_iter().map(RetriedView::from).collect() }))
}
