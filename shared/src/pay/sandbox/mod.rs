//! The sandbox: a server of our own with a hosted page and without real money. Its webhooks are signed as Stripe's are.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use super::config::PayConfig;
use super::guarded::Adapter;
use super::http::{Answer, Http, decode};
use super::signature::Signatures;
use super::{
    NewRefund, NewSession, Notice, PayError, PaymentState, PaymentStatus, Provider, RefundState, Session,
    Webhook,
};
use crate::config::ConfigError;
use crate::domain::{Money, PaymentId};

const NAME: &str = "sandbox";

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Open,
    Authorized,
    Captured,
    Declined,
    Expired,
    Released,
    ChargedBack,
}

/// A session as the sandbox shows it.
#[derive(Debug, Deserialize)]
struct Shown {
    id: String,
    url: String,
    status: Status,
    amount: i64,
    currency: String,
    refunded: i64,
    payment_id: Option<Uuid>,
}

impl Shown {
    fn state(self) -> PaymentState {
        PaymentState {
            reference: self.id,
            payment: self.payment_id.map(PaymentId),
            status: match self.status {
                Status::Open => PaymentStatus::Open,
                Status::Authorized => PaymentStatus::Authorized,
                Status::Captured => PaymentStatus::Captured,
                Status::Declined => PaymentStatus::Declined,
                Status::Expired | Status::Released => PaymentStatus::Expired,
                Status::ChargedBack => PaymentStatus::ChargedBack,
            },
            amount: Money { amount: self.amount, currency: self.currency },
            refunded_minor: self.refunded,
        }
    }
}

#[derive(Debug, Deserialize)]
struct ShownRefund {
    id: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Page {
    sessions: Vec<Shown>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    session: Option<Shown>,
}

#[derive(Debug, Default, Deserialize)]
struct Failure {
    error: String,
}

/// The adapter.
pub struct Sandbox {
    http: Http,
    url: String,
    key: SecretString,
    webhook_url: String,
    signatures: Signatures,
}

impl Sandbox {
    /// With these settings.
    ///
    /// # Errors
    /// One of the sandbox's is missing.
    pub fn new(config: &PayConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            http: Http::new(NAME, config.timeout(), config.payment_rate_per_second)?,
            url: config.sandbox.url()?.to_owned(),
            key: config.sandbox.key()?,
            webhook_url: config.webhook_url(),
            signatures: Signatures::new("sandbox-signature", &config.sandbox.webhook_secrets()?),
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/v1/{path}", self.url);
        self.http.client().request(method, url).bearer_auth(self.key.expose_secret())
    }

    async fn try_ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Option<T>, PayError> {
        match self.http.send(request).await? {
            Answer::Done(body) => self.http.decode(&body).map(Some),
            Answer::NotFound => Ok(None),
            Answer::Refused(status, body) => {
                let failure: Failure = decode(NAME, &body).unwrap_or_default();
                Err(self.http.refused(&format!("{} {}", status.as_u16(), failure.error)))
            }
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, PayError> {
        self.try_ask(request).await?.ok_or_else(|| self.http.refused("no such session"))
    }

    async fn create(&self, new: &NewSession) -> Result<Session, PayError> {
        let body = json!({
            "amount": new.amount.amount,
            "currency": new.amount.currency,
            "description": new.description,
            "language": new.language,
            "return_url": new.return_url,
            "cancel_url": new.cancel_url,
            "webhook_url": self.webhook_url,
            "payment_id": new.payment,
            "order_id": new.order,
        });
        let request =
            self.request(Method::POST, "sessions").header("Idempotency-Key", new.payment.to_string());
        let made: Shown = self.ask(request.json(&body)).await?;
        Ok(Session { reference: made.id, redirect_url: made.url })
    }

    async fn read(&self, reference: &str) -> Result<Option<PaymentState>, PayError> {
        let path = format!("sessions/{}", self.http.name(reference)?);
        Ok(self.try_ask::<Shown>(self.request(Method::GET, &path)).await?.map(Shown::state))
    }

    async fn expire(&self, reference: &str) -> Result<PaymentState, PayError> {
        let path = format!("sessions/{}/expire", self.http.name(reference)?);
        Ok(self.ask::<Shown>(self.request(Method::POST, &path)).await?.state())
    }

    async fn take(
        &self,
        reference: &str,
        payment: PaymentId,
        amount: &Money,
    ) -> Result<PaymentState, PayError> {
        let path = format!("sessions/{}/capture", self.http.name(reference)?);
        let request =
            self.request(Method::POST, &path).header("Idempotency-Key", format!("{payment}-capture"));
        Ok(self.ask::<Shown>(request.json(&json!({ "amount": amount.amount }))).await?.state())
    }

    async fn give_back(&self, new: &NewRefund) -> Result<RefundState, PayError> {
        let path = format!("sessions/{}/refunds", self.http.name(&new.reference)?);
        let request = self.request(Method::POST, &path).header("Idempotency-Key", new.key());
        let body = json!({ "amount": new.amount.amount, "reason": new.reason });
        let shown: ShownRefund = self.ask(request.json(&body)).await?;
        Ok(RefundState { is_done: shown.status != "pending", reference: shown.id })
    }

    fn verify(&self, webhook: Webhook<'_>) -> Result<Notice, PayError> {
        // Only compared with the time that is signed; no database is asked before a signature is known to be good.
        if !self.signatures.is_good(webhook.headers, webhook.body, Utc::now().timestamp()) {
            return Err(PayError::Forged(NAME));
        }
        let event: Event = decode(NAME, webhook.body)?;
        Ok(Notice { id: event.id, state: event.session.map(Shown::state) })
    }

    async fn page(
        &self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        cursor: Option<&str>,
    ) -> Result<(Vec<PaymentState>, Option<String>), PayError> {
        let mut query = vec![
            ("from_ms", from.timestamp_millis().to_string()),
            ("to_ms", to.timestamp_millis().to_string()),
        ];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let page: Page = self.ask(self.request(Method::GET, "sessions").query(&query)).await?;
        Ok((page.sessions.into_iter().map(Shown::state).collect(), page.next_cursor))
    }
}

impl Adapter for Sandbox {
    fn http(&self) -> &Http {
        &self.http
    }
}

impl Provider for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn create_session<'a>(&'a self, new: &'a NewSession) -> BoxFuture<'a, Result<Session, PayError>> {
        self.create(new).boxed()
    }

    fn query<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<PaymentState>, PayError>> {
        self.read(reference).boxed()
    }

    fn expire_session<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<PaymentState, PayError>> {
        self.expire(reference).boxed()
    }

    fn capture<'a>(
        &'a self,
        reference: &'a str,
        payment: PaymentId,
        amount: &'a Money,
    ) -> BoxFuture<'a, Result<PaymentState, PayError>> {
        self.take(reference, payment, amount).boxed()
    }

    fn refund<'a>(&'a self, refund: &'a NewRefund) -> BoxFuture<'a, Result<RefundState, PayError>> {
        self.give_back(refund).boxed()
    }

    fn verify_webhook<'a>(&'a self, webhook: Webhook<'a>) -> BoxFuture<'a, Result<Notice, PayError>> {
        std::future::ready(self.verify(webhook)).boxed()
    }

    fn list<'a>(
        &'a self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(Vec<PaymentState>, Option<String>), PayError>> {
        self.page((from, to), cursor).boxed()
    }
}
