//! Somebody who registered with a password, and the digits that were sent to them.

use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::CodeKeys;
use shared::domain::UserId;
use uuid::Uuid;

use super::shopper::Answer;
use super::{Lab, SECRET, Shopper, TestResult};

pub(crate) const PASSWORD: &str = "long enough";

/// Somebody with a password, and the tokens of a log-in.
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) shopper: Shopper,
    pub(crate) refresh_token: String,
}

impl Lab {
    /// Registers somebody and logs them in.
    pub(crate) async fn account(&self, name: &str) -> Result<Account, Box<dyn std::error::Error>> {
        let email = format!("{name}@example.test");
        let person = json!({"email": email, "password": PASSWORD, "firstName": name, "lastName": "Tester",
            "login": name, "consent": true});
        let (status, answer) = self.send(Method::POST, "/api/auth/register", person).await?;
        if status != StatusCode::CREATED {
            return Err(format!("{status}: {answer}").into());
        }
        let session = self.log_in(&email, PASSWORD).await?;
        let text = |field: &str| session[field].as_str().unwrap_or_default().to_owned();
        let shopper = Shopper {
            id: UserId(answer["userId"].as_i64().ok_or("an id")?),
            token: text("accessToken"),
            url: self.system.url.clone(),
            http: self.http.clone(),
        };
        Ok(Account { email, shopper, refresh_token: text("refreshToken") })
    }

    /// A service with a key of these scopes, and what was told when it was made.
    pub(crate) async fn service(
        &self,
        admin: &Shopper,
        scopes: &[&str],
    ) -> Result<(Shopper, Value), Box<dyn std::error::Error>> {
        let body = json!({"name": "box office", "scopes": scopes});
        let (status, made) = admin.post("/api/admin/api-keys", body).await?;
        if status != StatusCode::CREATED {
            return Err(format!("{status}: {made}").into());
        }
        let service = Shopper {
            id: UserId(made["serviceId"].as_i64().ok_or("a service")?),
            token: made["key"].as_str().ok_or("a key")?.to_owned(),
            url: self.system.url.clone(),
            http: self.http.clone(),
        };
        Ok((service, made))
    }

    /// Sends back the code that went to somebody's e-mail address when they registered.
    pub(crate) async fn verify(&self, shopper: &Shopper) -> TestResult {
        let open = "select id from codes where user_id = $1 and purpose = 'verify' and closed_at is null";
        let code: Uuid = sqlx::query_scalar(open).bind(shopper.id.0).fetch_one(self.store().pool()).await?;
        let body = json!({"code": digits_of(code)});
        let (status, account) = shopper.post("/api/account/verification/confirm", body).await?;
        if status == StatusCode::OK { Ok(()) } else { Err(format!("{status}: {account}").into()) }
    }

    /// Opens a session.
    pub(crate) async fn log_in(
        &self,
        login: &str,
        password: &str,
    ) -> Result<Value, Box<dyn std::error::Error>> {
        let body = json!({"login": login, "password": password});
        let (status, session) = self.send(Method::POST, "/api/auth/login", body).await?;
        if status == StatusCode::OK { Ok(session) } else { Err(format!("{status}: {session}").into()) }
    }

    /// A request without a token.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.http.request(method, format!("{}{path}", self.system.url));
        let answer = request.json(&body).send().await?;
        Ok((answer.status(), answer.json().await.unwrap_or_default()))
    }

    /// A request with Basic credentials.
    pub(crate) async fn basic(
        &self,
        path: &str,
        (login, password): (&str, &str),
    ) -> Result<Answer, reqwest::Error> {
        let request = self.http.get(format!("{}{path}", self.system.url));
        let answer = request.basic_auth(login, Some(password)).send().await?;
        Ok((answer.status(), answer.json().await.unwrap_or_default()))
    }

    /// The latest code for a purpose, and where it was sent.
    pub(crate) async fn latest_code(
        &self,
        purpose: &str,
    ) -> Result<Option<(Uuid, String)>, Box<dyn std::error::Error>> {
        let latest = sqlx::query_as(
            "select id, target from codes where purpose = $1 order by created_at desc limit 1",
        );
        Ok(latest.bind(purpose).fetch_optional(self.store().pool()).await?)
    }

    /// For how many seconds a code is good from when it was made, and until when.
    pub(crate) async fn life_of_code(
        &self,
        code: Uuid,
    ) -> Result<(i64, DateTime<Utc>), Box<dyn std::error::Error>> {
        let life = sqlx::query_as(
            "select extract(epoch from expires_at - created_at)::bigint, expires_at from codes where id = $1",
        );
        Ok(life.bind(code).fetch_one(self.store().pool()).await?)
    }
}

/// The digits of a code: they follow from its id and the secret.
pub(crate) fn digits_of(code: Uuid) -> String {
    CodeKeys::new(&[SECRET.to_owned().into()]).digits(code)
}

/// Other digits than these.
pub(crate) fn wrong(digits: &str) -> &'static str {
    if digits == "000000" { "000001" } else { "000000" }
}
