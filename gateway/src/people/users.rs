//! `GET /api/admin/users` and `PATCH /api/admin/users/:id`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::auth::Role;
use shared::domain::UserId;
use shared::shop::accounts::By;
use shared::store::{DirectoryQuery, PersonRecord};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Whom to list.
#[derive(Debug, Deserialize, IntoParams)]
pub struct UserQuery {
    /// The beginning of an e-mail address, or a whole login name, phone number or id.
    q: Option<String>,
    /// Only those with this role.
    #[param(inline)]
    role: Option<Role>,
    /// Only those with a higher id: `next` of the page before.
    #[serde(default)]
    after: i64,
    /// 1 to 100.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 100)]
    limit: i64,
}

fn usual() -> i64 {
    50
}

/// People, by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserList {
    items: Vec<UserView>,
    /// `after` of the page that follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<UserId>,
}

/// Somebody, to admins.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    user_id: UserId,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    first_name: String,
    last_name: String,
    role: Role,
    /// It acts through API keys.
    service: bool,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<DateTime<Utc>>,
}

impl From<PersonRecord> for UserView {
    fn from(person: PersonRecord) -> Self {
        Self {
            user_id: person.id,
            email: person.email,
            login: person.login,
            phone: person.phone,
            first_name: person.first_name,
            last_name: person.last_name,
            role: person.role,
            service: person.is_service,
            created_at: person.created_at,
            erased_at: person.erased_at,
        }
    }
}

/// Another role.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RoleBody {
    role: Role,
}

/// People, by id.
#[utoipa::path(get, path = "/api/admin/users", tag = "admin", params(UserQuery),
    responses((status = 200, body = UserList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_users(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<UserQuery>,
) -> Result<Json<UserList>, Problem> {
    if !(1..=100).contains(&query.limit) {
        return Err(Problem::new(Code::Validation, "limit must be 1 to 100"));
    }
    let text = query.q.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > 100 || text.contains('\0')) {
        return Err(Problem::new(Code::Validation, "q must be 1 to 100 characters"));
    }
    let wanted = DirectoryQuery { text, role: query.role, after: query.after, limit: query.limit };
    let people = app.accounts.people(&wanted).await?;
    let is_full = i64::try_from(people.len()).is_ok_and(|found| found == query.limit);
    let next = people.last().filter(|_| is_full).map(|person| person.id);
    Ok(Json(UserList { items: people.into_iter().map(UserView::from).collect(), next }))
}

/// Changes somebody's role; not one's own.
#[utoipa::path(patch, path = "/api/admin/users/{id}", tag = "admin", request_body = RoleBody,
    params(("id" = i64, Path, description = "The person")),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn change_role(
    State(app): State<App>,
    Admin(caller): Admin,
    ClientIp(ip): ClientIp,
    Path(user): Path<UserId>,
    Body(body): Body<RoleBody>,
) -> Result<StatusCode, Problem> {
    app.limits.check_write(caller.user)?;
    app.accounts.set_role(user, body.role, By { user: caller.user, ip: Some(ip) }).await?;
    tracing::info!(user.id = user.0, by.id = caller.user.0, role = body.role.word(), "role changed");
    Ok(StatusCode::NO_CONTENT)
}
