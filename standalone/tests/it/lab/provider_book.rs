//! The sandbox from outside: what payers click, what goes wrong, and its own book of the money.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::Lab;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A lab's sandbox, over its API and its pages.
#[derive(Clone)]
pub(crate) struct ProviderBook {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// Money as the sandbox has booked it, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Booked {
    /// Taken from payers.
    pub(crate) taken: i64,
    /// Given back to them.
    pub(crate) returned: i64,
    /// Payments that were taken.
    pub(crate) payments: usize,
    /// Of these, those that were given back as a whole.
    pub(crate) returned_whole: usize,
}

impl ProviderBook {
    /// The book of this lab's sandbox.
    pub(crate) fn of(lab: &Lab) -> Fallible<Self> {
        // A payer's browser would go back to the shop; here nobody does, as that proves nothing.
        let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
        let key = lab.sandbox.key.expose_secret().to_owned();
        Ok(Self { http, url: lab.sandbox.url.clone(), key })
    }

    /// A payer's click on a page; `SEE_OTHER` when it was taken, `CONFLICT` when the page is closed.
    pub(crate) async fn choose(&self, page: &str, choice: &str) -> Fallible<StatusCode> {
        let form = self.http.post(page).header("content-type", "application/x-www-form-urlencoded");
        Ok(form.body(format!("choice={choice}")).send().await?.status())
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Fallible<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.timeout(Duration::from_secs(30)).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("the sandbox answers {status} at {path}: {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Orders a fault.
    pub(crate) async fn order_fault(&self, fault: &Value) -> Fallible<()> {
        self.call(Method::POST, "/faults", Some(fault)).await.map(drop)
    }

    /// Faults that were ordered and have not struck as often as they are to.
    pub(crate) async fn to_come(&self) -> Fallible<usize> {
        let faults = self.call(Method::GET, "/faults", None).await?;
        Ok(faults.as_array().ok_or("a list of faults")?.len())
    }

    /// How often the fault of this kind that is ordered as a percentage has struck.
    pub(crate) async fn struck(&self, kind: &str) -> Fallible<u64> {
        let faults = self.call(Method::GET, "/faults", None).await?;
        let faults = faults.as_array().ok_or("a list of faults")?;
        let fault = faults.iter().find(|fault| fault["kind"] == kind && fault["percent"].is_u64());
        Ok(fault.and_then(|fault| fault["struck"].as_u64()).ok_or("such a fault")?)
    }

    /// Nobody is counted any more who has called so far.
    pub(crate) async fn forget_calls(&self) -> Fallible<()> {
        self.call(Method::DELETE, "/calls", None).await.map(drop)
    }

    /// Calls of the shop since then: all, and those in the busiest second.
    pub(crate) async fn calls(&self) -> Fallible<(u64, u64)> {
        let calls = self.call(Method::GET, "/calls", None).await?;
        let figure = |name: &str| calls[name].as_u64().ok_or("a figure");
        Ok((figure("total")?, figure("busiest_second")?))
    }

    /// All money that was ever taken, and what has gone back of it.
    pub(crate) async fn money(&self) -> Fallible<Booked> {
        let mut money = Booked::default();
        let mut cursor = String::new();
        loop {
            let page = self.call(Method::GET, &format!("/v1/sessions?from_ms=0{cursor}"), None).await?;
            for session in page["sessions"].as_array().ok_or("a list of sessions")? {
                let figure = |name: &str| session[name].as_i64().ok_or("an amount");
                if session["status"] != "captured" {
                    continue;
                }
                let (taken, returned) = (figure("amount")?, figure("refunded")?);
                money.taken += taken;
                money.returned += returned;
                money.payments += 1;
                money.returned_whole += usize::from(taken == returned);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(money),
            }
        }
    }
}
