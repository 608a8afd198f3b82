//! `GET /api/admin/queue/events`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use shared::queue::feed::RawEntry;
use shared::queue::jobs::nth_of;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Operator, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Entries in one answer at most.
const MOST: usize = 100;

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct FeedQuery {
    /// An event; what comes is of all events that share its partition. Either this or `queue`.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
    /// A named queue; what comes is of all its lanes.
    queue: Option<String>,
    /// The id of the last entry that one has; without it from the oldest that is kept.
    after: Option<String>,
    /// 1 to 100.
    #[serde(default = "most")]
    #[param(minimum = 1, maximum = 100)]
    limit: usize,
}

fn most() -> usize {
    MOST
}

/// What happened, in order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedPage {
    items: Vec<FeedItem>,
    /// What to ask `after` the next time; what was asked with, when nothing came.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The entry `after` is not kept any more, so some between it and the first one here may be missing.
    is_gap: bool,
}

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedItem {
    id: String,
    /// Rises by one with each entry of the partition; a consumer sees a gap by it.
    seq: u64,
    /// Another one than before: Redis may have lost something.
    epoch: String,
    /// Which event; 0 for the whole partition; left out for a named queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// Which lane of a named queue; left out for all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 63)]
    lane: Option<u16>,
    /// `add`, `claim`, `back`, `done`, `recall`, `control`; of bookings also `reenter`, `seats`.
    kind: String,
    /// As `docs/QUEUE.md` says for each kind.
    data: String,
}

impl FeedItem {
    fn of(RawEntry { id, seq, epoch, event, kind, data }: RawEntry, is_named: bool) -> Self {
        Self {
            id,
            seq,
            epoch,
            event_id: (!is_named).then_some(event),
            lane: (is_named && event.0 > 0).then(|| nth_of(event)),
            kind,
            data,
        }
    }
}

/// What happened in the lanes of a partition, or of a named queue, to be followed: about the last minute is kept.
#[utoipa::path(get, path = "/api/admin/queue/events", tag = "operators", params(FeedQuery),
    responses((status = 200, body = FeedPage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn read_events(
    State(app): State<App>,
    Operator(_caller): Operator,
    Query(query): Query<FeedQuery>,
) -> Result<Json<FeedPage>, Problem> {
    let is_number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok();
    let is_id = |text: &str| text.split_once('-').is_some_and(|(ms, nth)| is_number(ms) && is_number(nth));
    if query.after.as_deref().is_some_and(|after| !is_id(after)) {
        return Err(Problem::new(
            Code::Validation,
            "after must be the id of an entry, such as 1790000000000-0",
        ));
    }
    let limit = query.limit.clamp(1, MOST);
    let after = query.after.as_deref();
    let page = match (query.event_id, query.queue.as_deref()) {
        (Some(event), None) => app.operations.feed(event, after, limit).await?,
        (None, Some(queue)) => app.operations.named_feed(queue, after, limit).await?,
        _ => return Err(Problem::new(Code::Validation, "either eventId or queue says what is followed")),
    };
    let next = page.entries.last().map(|entry| entry.id.clone()).or(query.after);
    let items = page.entries.into_iter().map(|entry| FeedItem::of(entry, query.queue.is_some()));
    Ok(Json(FeedPage { items: items.collect(), next, is_gap: page.is_gap }))
}
