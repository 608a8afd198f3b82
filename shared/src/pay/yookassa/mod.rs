//! `YooKassa`: a redirect to its page, where the payer chooses a card or SBP.
//!
//! Payments are asked for in two steps (`capture: false`) with no method named. A card's money is authorised first; SBP
//! has no such step, so its payment arrives as `PaymentStatus::Captured` at once. A shop whose contract has no method
//! with two steps is refused that way; the same payment is then asked for in one step.
//!
//! A payment that waits for its payer cannot be closed through the API; it ends by itself after an hour, and what is
//! paid until then is a late success. Webhooks are not signed: the sender's network is checked, and then nothing of
//! them is believed but the payment's name, which is read anew. Chargebacks are not told by the API.

#[cfg(test)]
mod tests;
mod wire;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use super::config::PayConfig;
use super::guarded::Adapter;
use super::http::{Answer, Http, decode};
use super::{
    Made, NewRefund, NewSession, Notice, PayError, PaymentState, Provider, RefundState, Session, Webhook,
    present_refund,
};
use crate::config::ConfigError;
use crate::domain::{Money, PaymentId};
use wire::{Capture, Create, Failure, GiveBack, List, Notification, Payment, Refund};

const NAME: &str = "yookassa";
const PAGE: &str = "100";

/// The adapter.
pub struct Yookassa {
    http: Http,
    url: String,
    shop_id: String,
    key: SecretString,
    networks: Vec<IpNet>,
}

impl Yookassa {
    /// With these settings.
    ///
    /// # Errors
    /// One of `YooKassa`'s is missing.
    pub fn new(config: &PayConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            http: Http::new(NAME, config.timeout(), config.payment_rate_per_second)?,
            url: config.yookassa.yookassa_url.trim_end_matches('/').to_owned(),
            shop_id: config.yookassa.shop_id()?.to_owned(),
            key: config.yookassa.key()?,
            networks: config.yookassa.yookassa_webhook_networks.clone(),
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .client()
            .request(method, format!("{}/v3/{path}", self.url))
            .basic_auth(&self.shop_id, Some(self.key.expose_secret()))
    }

    /// Sends, and reads what is there; `None` for what is not known there, `Err` within for what it refused.
    async fn try_ask<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<Result<Option<T>, Failure>, PayError> {
        match self.http.send(request).await? {
            Answer::Done(body) => self.http.decode(&body).map(|thing| Ok(Some(thing))),
            Answer::NotFound => Ok(Ok(None)),
            Answer::Refused(status, body) => {
                let mut failure: Failure = decode(NAME, &body).unwrap_or_default();
                failure.status = status.as_u16();
                Ok(Err(failure))
            }
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Option<T>, PayError> {
        self.try_ask(request).await?.map_err(|failure| self.http.refused(&failure.words()))
    }

    fn post(&self, path: &str, key: &str) -> RequestBuilder {
        self.request(Method::POST, path).header("Idempotence-Key", key)
    }

    async fn read(&self, reference: &str) -> Result<Option<Payment>, PayError> {
        let path = format!("payments/{}", self.http.name(reference)?);
        self.ask(self.request(Method::GET, &path)).await
    }

    async fn payment(&self, reference: &str) -> Result<Payment, PayError> {
        self.read(reference).await?.ok_or_else(|| self.http.refused("no such payment"))
    }

    async fn create(&self, new: &NewSession) -> Result<Session, PayError> {
        let key = new.payment.to_string();
        let in_two_steps = self.post("payments", &key).json(&Create::new(new, false)?);
        let made: Option<Payment> = match self.try_ask(in_two_steps).await? {
            Ok(made) => made,
            Err(failure) if failure.is_about_capture() => {
                // Another body needs another key; both are the same at every repetition.
                let in_one_step =
                    self.post("payments", &format!("{key}-once")).json(&Create::new(new, true)?);
                self.ask(in_one_step).await?
            }
            Err(failure) => return Err(self.http.refused(&failure.words())),
        };
        let made = made.ok_or_else(|| self.http.refused("no such path"))?;
        let redirect_url =
            made.redirect_url().ok_or_else(|| self.http.strange("a payment without a page"))?;
        Ok(Session { redirect_url, reference: made.id })
    }

    async fn take(
        &self,
        reference: &str,
        payment: PaymentId,
        amount: &Money,
    ) -> Result<PaymentState, PayError> {
        let found = self.payment(reference).await?;
        if found.status != "waiting_for_capture" {
            return found.state();
        }
        let path = format!("payments/{}/capture", self.http.name(reference)?);
        let request = self.post(&path, &format!("{payment}-capture")).json(&Capture::new(amount)?);
        let taken: Option<Payment> = self.ask(request).await?;
        taken.ok_or_else(|| self.http.refused("no such payment"))?.state()
    }

    async fn give_back(&self, new: &NewRefund) -> Result<RefundState, PayError> {
        let payment = self.payment(&new.reference).await?;
        let key = new.key();
        match payment.status.as_str() {
            "canceled" => return Ok(RefundState { reference: payment.id, is_done: true }),
            "waiting_for_capture" => {
                let path = format!("payments/{}/cancel", self.http.name(&new.reference)?);
                let request = self.post(&path, &key).json(&serde_json::json!({}));
                let released: Option<Payment> = self.ask(request).await?;
                let released = released.ok_or_else(|| self.http.refused("no such payment"))?;
                return Ok(RefundState { is_done: released.status == "canceled", reference: released.id });
            }
            _ => {}
        }
        // Keys are forgotten after a day, and a refund may be tried for longer: it is known by its description.
        let found = self.find_refund(&payment.id, new).await?;
        let refund = match found {
            Some(refund) => refund,
            None => {
                let request = self.post("refunds", &key).json(&GiveBack::new(&payment.id, new)?);
                self.ask(request).await?.ok_or_else(|| self.http.refused("no such payment"))?
            }
        };
        match refund.made() {
            Made::Done => Ok(RefundState { reference: refund.id, is_done: true }),
            Made::Pending => Ok(RefundState { reference: refund.id, is_done: false }),
            Made::Failed => Err(self.http.refused(&refund.why())),
        }
    }

    async fn find_refund(&self, payment: &str, new: &NewRefund) -> Result<Option<Refund>, PayError> {
        let (mut all, mut cursor): (Vec<Refund>, Option<String>) = (Vec::new(), None);
        loop {
            let mut query = vec![("payment_id", payment.to_owned()), ("limit", PAGE.to_owned())];
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let list: Option<List<Refund>> =
                self.ask(self.request(Method::GET, "refunds").query(&query)).await?;
            let Some(list) = list else { return Ok(None) };
            all.extend(list.items);
            cursor = list.next_cursor;
            if cursor.is_none() {
                return Ok(present_refund(new, all, |refund| refund.made_for(new)));
            }
        }
    }

    async fn page(
        &self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        cursor: Option<&str>,
    ) -> Result<(Vec<PaymentState>, Option<String>), PayError> {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut query =
            vec![("created_at.gte", time(from)), ("created_at.lt", time(to)), ("limit", PAGE.to_owned())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let list: Option<List<Payment>> =
            self.ask(self.request(Method::GET, "payments").query(&query)).await?;
        let list = list.ok_or_else(|| self.http.strange("no list of payments"))?;
        // Payments that others make for the same shop are none of ours.
        let ours = list.items.iter().filter(|payment| payment.is_ours());
        Ok((ours.map(Payment::state).collect::<Result<_, _>>()?, list.next_cursor))
    }

    async fn verify(&self, webhook: Webhook<'_>) -> Result<Notice, PayError> {
        let ip = webhook.ip.to_canonical();
        if !self.networks.iter().any(|network| network.contains(&ip)) {
            return Err(PayError::Forged(NAME));
        }
        let told: Notification = decode(NAME, webhook.body)?;
        let Some(reference) = told.payment() else { return Ok(Notice { id: told.name(), state: None }) };
        let Some(payment) = self.read(reference).await?.filter(Payment::is_ours) else {
            return Ok(Notice { id: told.name(), state: None });
        };
        let state = payment.state()?;
        // Named after what was read: a notice that was made up, or came before its time, must not use up the name of
        // the true one.
        let id = format!("{}:{}:{}", state.reference, payment.status, state.refunded_minor);
        Ok(Notice { id, state: Some(state) })
    }
}

impl Adapter for Yookassa {
    fn http(&self) -> &Http {
        &self.http
    }
}

impl Provider for Yookassa {
    fn name(&self) -> &'static str {
        NAME
    }

    fn create_session<'a>(&'a self, new: &'a NewSession) -> BoxFuture<'a, Result<Session, PayError>> {
        self.create(new).boxed()
    }

    fn query<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<PaymentState>, PayError>> {
        async { self.read(reference).await?.map(|payment| payment.state()).transpose() }.boxed()
    }

    /// Only reads: what waits for its payer cannot be closed.
    fn expire_session<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<PaymentState, PayError>> {
        async { self.payment(reference).await?.state() }.boxed()
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
        self.verify(webhook).boxed()
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
