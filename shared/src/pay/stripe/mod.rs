//! Stripe: Checkout Sessions whose money is authorised first and captured later.
//!
//! A payment has two names here: its page's (`cs_…`, which [`Session::reference`] holds) and, once somebody begins to
//! pay, its `PaymentIntent`'s (`pi_…`). Calls take either. A card that is declined leaves the page open, where the payer
//! tries another one: that is still [`PaymentStatus::Open`].

#[cfg(test)]
mod tests;
mod wire;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use super::config::PayConfig;
use super::guarded::Adapter;
use super::http::{Answer, Http, decode};
use super::signature::Signatures;
use super::{
    Made, NewRefund, NewSession, Notice, PayError, PaymentState, PaymentStatus, Provider, RefundState,
    Session, Webhook, present_refund,
};
use crate::config::ConfigError;
use crate::domain::{Money, PaymentId};
use wire::{Charge, CheckoutSession, Dispute, Event, Failure, Intent, List, Refund};

const NAME: &str = "stripe";
/// Fixes the shape of what is sent and answered, whatever the account's default is.
const VERSION: &str = "2024-06-20";
/// A page lives for half an hour at least; it is closed earlier by [`Provider::expire_session`].
const SHORTEST_PAGE: TimeDelta = TimeDelta::minutes(30);
const PAGE: usize = 100;
const EXPAND: (&str, &str) = ("expand[]", "payment_intent.latest_charge");

type Form = Vec<(&'static str, String)>;

/// The adapter.
pub struct Stripe {
    http: Http,
    url: String,
    key: SecretString,
    signatures: Signatures,
}

impl Stripe {
    /// With these settings.
    ///
    /// # Errors
    /// One of Stripe's is missing.
    pub fn new(config: &PayConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            http: Http::new(NAME, config.timeout(), config.payment_rate_per_second)?,
            url: config.stripe.stripe_url.trim_end_matches('/').to_owned(),
            key: config.stripe.key()?,
            signatures: Signatures::new("stripe-signature", &config.stripe.webhook_secrets()?),
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .client()
            .request(method, format!("{}/v1/{path}", self.url))
            .bearer_auth(self.key.expose_secret())
            .header("Stripe-Version", VERSION)
    }

    /// Sends, and reads what is there; `None` for what Stripe does not know.
    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Option<T>, PayError> {
        match self.http.send(request).await? {
            Answer::Done(body) => self.http.decode(&body).map(Some),
            Answer::NotFound => Ok(None),
            Answer::Refused(status, body) => {
                let failure: Failure = decode(NAME, &body).unwrap_or_default();
                Err(self.http.refused(&format!("{} {}", status.as_u16(), failure.error.words())))
            }
        }
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, key: &str, form: &Form) -> Result<T, PayError> {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key).form(form);
        self.ask(request).await?.ok_or_else(|| self.http.refused("no such thing"))
    }

    async fn read_session(&self, reference: &str) -> Result<Option<CheckoutSession>, PayError> {
        let reference = self.http.name(reference)?;
        if reference.starts_with("pi_") {
            let query = [
                ("payment_intent", reference),
                ("limit", "1"),
                ("expand[]", "data.payment_intent.latest_charge"),
            ];
            let list: Option<List<CheckoutSession>> =
                self.ask(self.request(Method::GET, "checkout/sessions").query(&query)).await?;
            return Ok(list.and_then(|list| list.data.into_iter().next()));
        }
        self.ask(self.request(Method::GET, &format!("checkout/sessions/{reference}")).query(&[EXPAND])).await
    }

    async fn session(&self, reference: &str) -> Result<CheckoutSession, PayError> {
        self.read_session(reference).await?.ok_or_else(|| self.http.refused("no such session"))
    }

    /// The state that page, payment and disputes make up.
    async fn state(&self, session: &CheckoutSession) -> Result<PaymentState, PayError> {
        let state = session.state()?;
        match session.disputed() {
            Some(intent) => self.after_disputes(intent, state).await,
            None => Ok(state),
        }
    }

    async fn after_disputes(&self, intent: &str, state: PaymentState) -> Result<PaymentState, PayError> {
        let query = [("payment_intent", self.http.name(intent)?.to_owned()), ("limit", PAGE.to_string())];
        let list: Option<List<Dispute>> =
            self.ask(self.request(Method::GET, "disputes").query(&query)).await?;
        let disputes = list.map(|list| list.data).unwrap_or_default();
        Ok(charged_back(state, &disputes))
    }

    async fn create(&self, new: &NewSession) -> Result<Session, PayError> {
        let made: CheckoutSession =
            self.post("checkout/sessions", &new.payment.to_string(), &session_form(new)).await?;
        let redirect_url = made.url.ok_or_else(|| self.http.strange("a session without an address"))?;
        Ok(Session { reference: made.id, redirect_url })
    }

    async fn expire(&self, reference: &str) -> Result<PaymentState, PayError> {
        let session = self.session(reference).await?;
        if session.status.as_deref() != Some("open") {
            return self.state(&session).await;
        }
        let path = format!("checkout/sessions/{}/expire", self.http.name(&session.id)?);
        match self.ask::<CheckoutSession>(self.request(Method::POST, &path)).await {
            // What was refused was closed by somebody who paid in between.
            Ok(_) | Err(PayError::Refused { .. }) => self.state(&self.session(&session.id).await?).await,
            Err(error) => Err(error),
        }
    }

    async fn take(
        &self,
        reference: &str,
        payment: PaymentId,
        amount: &Money,
    ) -> Result<PaymentState, PayError> {
        let mut session = self.session(reference).await?;
        if let Some(intent) = session.intent().filter(|intent| intent.status == "requires_capture") {
            let path = format!("payment_intents/{}/capture", self.http.name(&intent.id)?);
            let form =
                vec![("amount_to_capture", wire::figure(amount)), ("expand[]", "latest_charge".to_owned())];
            let taken: Intent = self.post(&path, &format!("{payment}-capture"), &form).await?;
            session.set_intent(taken);
        }
        self.state(&session).await
    }

    async fn give_back(&self, new: &NewRefund) -> Result<RefundState, PayError> {
        let session = self.session(&new.reference).await?;
        let intent = session.intent().ok_or_else(|| self.http.refused("nothing was paid"))?;
        let id = self.http.name(&intent.id)?;
        match intent.status.as_str() {
            "canceled" => return Ok(RefundState { reference: intent.id.clone(), is_done: true }),
            "requires_capture" => {
                let path = format!("payment_intents/{id}/cancel");
                let released: Intent = self.post(&path, &new.key(), &Vec::new()).await?;
                return Ok(RefundState { is_done: released.status == "canceled", reference: released.id });
            }
            _ => {}
        }
        // Stripe forgets idempotency keys after a day, and a refund may be tried for longer.
        let refund = match self.find_refund(id, new).await? {
            Some(refund) => refund,
            None => self.post("refunds", &new.key(), &refund_form(id, new)).await?,
        };
        self.told(refund)
    }

    async fn find_refund(&self, intent: &str, new: &NewRefund) -> Result<Option<Refund>, PayError> {
        let (mut all, mut after): (Vec<Refund>, Option<String>) = (Vec::new(), None);
        loop {
            let mut query = vec![("payment_intent", intent.to_owned()), ("limit", PAGE.to_string())];
            query.extend(after.map(|after| ("starting_after", after)));
            let list: List<Refund> = self
                .ask(self.request(Method::GET, "refunds").query(&query))
                .await?
                .ok_or_else(|| self.http.refused("no such payment"))?;
            after = list.next(|refund| &refund.id);
            all.extend(list.data);
            if after.is_none() {
                return Ok(present_refund(new, all, |refund| refund.made_for(new)));
            }
        }
    }

    fn told(&self, refund: Refund) -> Result<RefundState, PayError> {
        match refund.made() {
            Made::Done => Ok(RefundState { reference: refund.id, is_done: true }),
            Made::Pending => Ok(RefundState { reference: refund.id, is_done: false }),
            Made::Failed => {
                let why = refund.failure_reason.unwrap_or_else(|| "the refund did not go through".to_owned());
                Err(self.http.refused(&why))
            }
        }
    }

    async fn page(
        &self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        cursor: Option<&str>,
    ) -> Result<(Vec<PaymentState>, Option<String>), PayError> {
        let mut query = vec![
            ("created[gte]", from.timestamp().to_string()),
            ("created[lt]", to.timestamp().to_string()),
            ("limit", PAGE.to_string()),
            ("expand[]", "data.payment_intent.latest_charge".to_owned()),
        ];
        if let Some(cursor) = cursor {
            query.push(("starting_after", self.http.name(cursor)?.to_owned()));
        }
        let list: List<CheckoutSession> = self
            .ask(self.request(Method::GET, "checkout/sessions").query(&query))
            .await?
            .ok_or_else(|| self.http.strange("no list of sessions"))?;
        let next = list.next(|session| &session.id);
        // Sessions that others make with the same account are none of ours.
        let mut ours = Vec::new();
        for session in list.data.iter().filter(|session| session.metadata.payment_id.is_some()) {
            ours.push(self.state(session).await?);
        }
        Ok((ours, next))
    }

    async fn verify(&self, webhook: Webhook<'_>) -> Result<Notice, PayError> {
        // Only compared with the time that is signed; no database is asked before a signature is known to be good.
        if !self.signatures.is_good(webhook.headers, webhook.body, Utc::now().timestamp()) {
            return Err(PayError::Forged(NAME));
        }
        let event: Event = decode(NAME, webhook.body)?;
        let state = match event.kind.as_str() {
            "checkout.session.completed"
            | "checkout.session.expired"
            | "checkout.session.async_payment_succeeded"
            | "checkout.session.async_payment_failed" => self.session_state(&event).await?,
            "payment_intent.amount_capturable_updated"
            | "payment_intent.payment_failed"
            | "payment_intent.canceled" => event.read::<Intent>()?.ours(),
            "charge.refunded" => self.refunded(event.read()?).await?,
            "charge.dispute.created" | "charge.dispute.funds_withdrawn" => self.disputed(&event).await?,
            "charge.dispute.closed" | "charge.dispute.funds_reinstated" => self.decided(&event).await?,
            _ => None,
        };
        Ok(Notice { id: event.id, state })
    }

    async fn session_state(&self, event: &Event) -> Result<Option<PaymentState>, PayError> {
        let session: CheckoutSession = event.read()?;
        if session.metadata.payment_id.is_none() {
            return Ok(None);
        }
        // A page that is done says nothing of money that is only set aside, so the payment behind it is read.
        if event.kind == "checkout.session.completed" && session.payment_status.as_deref() != Some("paid") {
            return self.state(&self.session(&session.id).await?).await.map(Some);
        }
        let mut state = session.state()?;
        match event.kind.as_str() {
            "checkout.session.async_payment_failed" => state.status = PaymentStatus::Declined,
            "checkout.session.expired" => state.status = PaymentStatus::Expired,
            _ => {}
        }
        Ok(Some(state))
    }

    async fn refunded(&self, charge: Charge) -> Result<Option<PaymentState>, PayError> {
        let is_disputed = charge.disputed;
        let Some(state) = charge.ours()? else { return Ok(None) };
        if !is_disputed {
            return Ok(Some(state));
        }
        let intent = state.reference.clone();
        self.after_disputes(&intent, state).await.map(Some)
    }

    /// A dispute has no metadata of ours, so the payment is read.
    async fn disputed(&self, event: &Event) -> Result<Option<PaymentState>, PayError> {
        let dispute: Dispute = event.read()?;
        let Some(intent) = dispute.payment_intent.as_deref().filter(|_| dispute.taken().is_some()) else {
            return Ok(None);
        };
        let session = self.read_session(intent).await?;
        let state =
            session.filter(|session| session.metadata.payment_id.is_some()).map(|session| session.state());
        Ok(state.transpose()?.map(|state| charged_back(state, &[dispute])))
    }

    /// A dispute that has ended, either way: what all disputes of the payment say now.
    async fn decided(&self, event: &Event) -> Result<Option<PaymentState>, PayError> {
        let dispute: Dispute = event.read()?;
        let Some(intent) = dispute.payment_intent else { return Ok(None) };
        match self.read_session(&intent).await?.filter(|session| session.metadata.payment_id.is_some()) {
            Some(session) => self.state(&session).await.map(Some),
            None => Ok(None),
        }
    }
}

/// A payment of which the payer's bank has taken what these say; as it was when they say nothing.
fn charged_back(state: PaymentState, disputes: &[Dispute]) -> PaymentState {
    let mut taken = disputes.iter().filter_map(Dispute::taken);
    let Some(mut amount) = taken.next() else { return state };
    amount.amount += taken.map(|further| further.amount).sum::<i64>();
    PaymentState { status: PaymentStatus::ChargedBack, amount, ..state }
}

fn session_form(new: &NewSession) -> Form {
    let (payment, order) = (new.payment.to_string(), new.order.to_string());
    // From the order, not from now: a repeated request has the same words.
    let expires = (new.pay_until + SHORTEST_PAGE).timestamp().to_string();
    let currency = new.amount.currency.to_ascii_lowercase();
    let mut form = vec![
        ("mode", "payment".to_owned()),
        ("client_reference_id", order.clone()),
        ("success_url", new.return_url.clone()),
        ("cancel_url", new.cancel_url.clone()),
        ("expires_at", expires),
        // Stripe's pages do not speak Ukrainian; `auto` is the browser's language.
        (
            "locale",
            if matches!(new.language.as_str(), "en" | "ru") { &new.language } else { "auto" }.to_owned(),
        ),
        ("line_items[0][quantity]", "1".to_owned()),
        ("line_items[0][price_data][currency]", currency),
        ("line_items[0][price_data][unit_amount]", wire::figure(&new.amount)),
        ("line_items[0][price_data][product_data][name]", new.description.clone()),
        ("metadata[payment_id]", payment.clone()),
        ("metadata[order_id]", order.clone()),
        ("payment_intent_data[capture_method]", "manual".to_owned()),
        ("payment_intent_data[metadata][payment_id]", payment),
        ("payment_intent_data[metadata][order_id]", order),
    ];
    form.extend(new.email.clone().map(|email| ("customer_email", email)));
    form
}

fn refund_form(intent: &str, new: &NewRefund) -> Form {
    vec![
        ("payment_intent", intent.to_owned()),
        ("amount", wire::figure(&new.amount)),
        ("reason", "requested_by_customer".to_owned()),
        ("metadata[refund_id]", new.key()),
        ("metadata[why]", new.reason.chars().take(500).collect()),
    ]
}

impl Adapter for Stripe {
    fn http(&self) -> &Http {
        &self.http
    }
}

impl Provider for Stripe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn create_session<'a>(&'a self, new: &'a NewSession) -> BoxFuture<'a, Result<Session, PayError>> {
        self.create(new).boxed()
    }

    fn query<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<PaymentState>, PayError>> {
        async {
            match self.read_session(reference).await? {
                Some(session) => self.state(&session).await.map(Some),
                None => Ok(None),
            }
        }
        .boxed()
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
