//! One shopper of a sale, from the line to the provider's page, whichever gateway is there.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::SeatId;

use super::Sale;
use crate::lab::Shopper;
use crate::payment::Fallible;

/// Somebody at one of the doors, who goes to the other one when nobody answers.
pub(super) struct Visitor<'a> {
    pub(super) sale: &'a Sale,
    pub(super) shopper: &'a Shopper,
    pub(super) nth: usize,
}

fn text<'a>(answer: &'a Value, field: &str) -> Fallible<&'a str> {
    Ok(answer[field].as_str().ok_or_else(|| format!("no {field} in {answer}"))?)
}

impl Visitor<'_> {
    /// The whole visit.
    pub(super) async fn come(self) -> Fallible<()> {
        let visit = self.visit().await;
        self.sale.over.set(self.sale.over.get() + 1);
        visit
    }

    /// Asks at one door after the other, until somebody answers who is able to.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Fallible<(StatusCode, Value)> {
        let deadline = Instant::now() + self.sale.patience;
        let mut last = String::new();
        for turn in self.nth.. {
            let door = &self.sale.doors[turn % 2];
            let request = self.shopper.http.request(method.clone(), format!("{door}{path}"));
            let mut request = request.bearer_auth(&self.shopper.token).timeout(Duration::from_secs(10));
            if path.ends_with("/book") {
                // Whoever has had no answer takes no second place.
                request = request.header("Idempotency-Key", "the only one");
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            match request.send().await {
                Ok(answer) if !answer.status().is_server_error() => {
                    let status = answer.status();
                    if let Ok(text) = answer.text().await {
                        return Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))));
                    }
                }
                Ok(answer) => last = answer.status().to_string(),
                Err(error) => last = error.to_string(),
            }
            if Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        Err(format!("nobody answers at {path}: {last}").into())
    }

    /// One of 20 walks away, one pays when it is too late, one gives everything back, and two are declined at first.
    async fn visit(&self) -> Fallible<()> {
        if !self.reserve().await? {
            return Ok(());
        }
        let (status, order) = self.ask(Method::POST, "/api/cart/checkout", Some(json!({}))).await?;
        // Nobody could open a page before the time was over.
        if status == StatusCode::CONFLICT {
            return Ok(());
        }
        if !status.is_success() {
            return Err(format!("checkout: {status}: {order}").into());
        }
        let page = text(&order, "redirectUrl")?;
        let path = format!("/api/orders/{}", text(&order, "orderId")?);
        match self.nth % 20 {
            0 | 10 => self.pay_after_a_decline(&path, page).await,
            5 => self.choose(page, "leave").await.map(drop),
            7 => self.pay_late(&path, page).await,
            12 => self.give_back(&path, page).await,
            nth if nth % 2 == 0 => self.choose(page, "card").await.map(drop),
            _ => self.choose(page, "sbp").await.map(drop),
        }
    }

    /// One or two places: the best, standing, or by name.
    fn wish(&self) -> Value {
        let quantity = 1 + self.nth / 2 % 2;
        match self.nth % 3 {
            0 => json!({"quantity": quantity}),
            1 => json!({"quantity": quantity, "areaId": self.sale.area}),
            _ => {
                let from = self.nth * 7 % self.sale.seats.len();
                let seats: Vec<SeatId> =
                    self.sale.seats.iter().cycle().skip(from).take(quantity).copied().collect();
                json!({"seatIds": seats, "fallback": "any"})
            }
        }
    }

    /// Whether anything is in the cart.
    async fn reserve(&self) -> Fallible<bool> {
        let path = format!("/api/bookings/{}/book", self.sale.event);
        let (status, answer) = self.ask(Method::POST, &path, Some(self.wish())).await?;
        match status {
            StatusCode::ACCEPTED => {}
            StatusCode::CONFLICT => return Ok(false),
            _ => return Err(format!("booking: {status}: {answer}").into()),
        }
        let path = format!("/api/bookings/status/{}", text(&answer, "jobId")?);
        let ended = self.until(&path, &["completed", "failed"]).await?;
        Ok(ended == "completed")
    }

    /// What becomes of a job or an order: the first of these words.
    async fn until(&self, path: &str, words: &[&str]) -> Fallible<String> {
        let deadline = Instant::now() + self.sale.patience;
        loop {
            let (_, answer) = self.ask(Method::GET, path, None).await?;
            let status = answer["status"].as_str().unwrap_or_default();
            if words.contains(&status) {
                return Ok(status.to_owned());
            }
            if Instant::now() > deadline {
                return Err(format!("{path} is none of {words:?}: {answer}").into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A click; false when the page was closed meanwhile.
    async fn choose(&self, page: &str, choice: &str) -> Fallible<bool> {
        match self.sale.book.choose(page, choice).await? {
            StatusCode::SEE_OTHER => Ok(true),
            StatusCode::CONFLICT => Ok(false),
            status => Err(format!("the page answers {status}").into()),
        }
    }

    async fn pay_after_a_decline(&self, path: &str, first: &str) -> Fallible<()> {
        if !self.choose(first, "decline").await? {
            return Ok(());
        }
        // Until the provider has told, or was asked, there is no other page; and none when the time is over.
        loop {
            let (status, again) = self.ask(Method::POST, &format!("{path}/pay"), Some(json!({}))).await?;
            if status == StatusCode::CONFLICT {
                return Ok(());
            }
            if !status.is_success() {
                return Err(format!("another attempt: {status}: {again}").into());
            }
            match again["redirectUrl"].as_str() {
                Some(page) if page != first => return self.choose(page, "card").await.map(drop),
                Some(_) | None => {}
            }
            self.ask(Method::GET, path, None).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// The money was on its way when the page was closed.
    async fn pay_late(&self, path: &str, page: &str) -> Fallible<()> {
        self.until(path, &["expired"]).await?;
        let session = page.rsplit('/').next().unwrap_or_default();
        let fault = json!({"on": "expire", "kind": "late_success", "session": session});
        self.sale.book.order_fault(&fault).await
    }

    async fn give_back(&self, path: &str, page: &str) -> Fallible<()> {
        if !self.choose(page, "card").await? {
            return Ok(());
        }
        if self.until(path, &["fulfilled", "expired"]).await? == "expired" {
            return Ok(());
        }
        let (status, answer) = self.ask(Method::POST, &format!("{path}/refund"), Some(json!({}))).await?;
        // Asked twice, when the first answer was lost.
        if status.is_success() || answer["code"] == "refund_not_allowed" {
            return Ok(());
        }
        Err(format!("refund: {status}: {answer}").into())
    }
}
