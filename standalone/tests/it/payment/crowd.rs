//! A whole sale, paid at the sandbox, while webhooks go astray and workers and gateways are killed.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::{EventId, SeatId};
use shared::shop::checkout::Payments;
use standalone::settings::Part;

use super::Fallible;
use crate::lab::{
    Booked, EventPlan, Lab, ProviderBook, Shopper, TestResult, UsherProcess, assert_invariants,
    eventually_within, make_event,
};

/// How large a sale is.
struct Plan {
    shoppers: usize,
    /// Visits at the same time.
    at_once: usize,
    /// Workers that are killed, and as many gateways.
    kills: usize,
    /// Within which an order must be paid.
    pay_seconds: u32,
    /// How long anything may take.
    patience: Duration,
}

/// A sale with two doors.
struct Sale {
    lab: Lab,
    book: ProviderBook,
    event: EventId,
    seats: Vec<SeatId>,
    area: i64,
    /// Where the two gateways are reached; webhooks come to the first one.
    doors: [String; 2],
    patience: Duration,
    /// Visits that are over.
    over: Cell<usize>,
}

/// What runs as processes of their own, to be killed.
struct Staff {
    worker: UsherProcess,
    gateways: [UsherProcess; 2],
    ports: [u16; 2],
}

/// Somebody at one of the doors, who goes to the other one when nobody answers.
struct Visitor<'a> {
    sale: &'a Sale,
    shopper: &'a Shopper,
    nth: usize,
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn text<'a>(answer: &'a Value, field: &str) -> Fallible<&'a str> {
    Ok(answer[field].as_str().ok_or_else(|| format!("no {field} in {answer}"))?)
}

impl Sale {
    /// Rather less room than is wanted, so that what comes free is taken by others.
    async fn open(plan: &Plan) -> Fallible<(Self, Staff)> {
        let ports = [free_port()?, free_port()?];
        let doors = ports.map(|port| format!("http://127.0.0.1:{port}"));
        // Leases are short, as each death is followed by the wait for the end of some.
        let words = [
            "--queue-lease-ms=1500".to_owned(),
            "--database-statement-timeout-ms=1200".to_owned(),
            "--database-lock-timeout-ms=1200".to_owned(),
            format!("--payment-limit-seconds={}", plan.pay_seconds),
            // As behind a balancer: whoever opens a page, the provider knows one address.
            format!("--public-url={}", doors[0]),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let lab = Lab::start_with(&[Part::Sweeper], &words).await?;
        let staff = Staff {
            worker: lab.spawn("worker")?,
            gateways: [lab.spawn_gateway(ports[0])?, lab.spawn_gateway(ports[1])?],
            ports,
        };
        let size = i32::try_from(plan.shoppers)?;
        let hall = EventPlan { standing: size / 2 - size / 20, ..EventPlan::hall(size / 20, 19) };
        let (event, seats, area) = make_event(lab.store(), &hall).await?;
        for door in &doors {
            lab.until_ready(door).await;
        }
        let book = ProviderBook::of(&lab)?;
        let (patience, over) = (plan.patience, Cell::new(0));
        Ok((Self { lab, book, event, seats, area, doors, patience, over }, staff))
    }

    async fn count(&self, sql: &'static str) -> Fallible<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(self.lab.store().pool()).await?)
    }

    async fn until_zero(&self, what: &str, sql: &'static str) {
        eventually_within(self.patience, what, async || self.count(sql).await.is_ok_and(|left| left == 0))
            .await;
    }

    /// All visits, so many at the same time.
    async fn serve(&self, shoppers: &[Shopper], at_once: usize) -> Fallible<()> {
        let visits = shoppers.iter().enumerate();
        let visits: Vec<_> =
            visits.map(|(nth, shopper)| Visitor { sale: self, shopper, nth }.come()).collect();
        let mut visits = stream::iter(visits).buffer_unordered(at_once);
        while let Some(visit) = visits.next().await {
            visit?;
        }
        Ok(())
    }

    /// A worker and a gateway are killed in turn while visits go on; how many processes were.
    async fn kill(&self, plan: &Plan, staff: &mut Staff) -> Fallible<usize> {
        let rounds = plan.kills * 2;
        for round in 0..rounds {
            let wanted = plan.shoppers * (round + 1) / (rounds + 2);
            eventually_within(self.patience, "visits go on", async || self.over.get() >= wanted).await;
            // Not always at the same point of what they do.
            tokio::time::sleep(Duration::from_millis(u64::try_from(round)? * 7 % 40)).await;
            if round % 2 == 0 {
                staff.worker.kill();
                staff.worker = self.lab.spawn("worker")?;
            } else {
                let door = round / 2 % 2;
                staff.gateways[door].kill();
                staff.gateways[door] = self.lab.spawn_gateway(staff.ports[door])?;
                self.lab.until_ready(&self.doors[door]).await;
            }
            assert!(self.over.get() < plan.shoppers, "killed when everybody had gone");
        }
        Ok(rounds)
    }

    /// Until nothing is under way, and a day later, when the provider's list was compared with ours; how many payments
    /// differed.
    async fn settle(&self) -> Fallible<i64> {
        self.until_zero("nothing is under way", UNDER_WAY).await;
        let a_day = "update reconciliations
             set started_at = started_at - interval '2 days', finished_at = finished_at - interval '2 days'";
        sqlx::query(a_day).execute(self.lab.store().pool()).await?;
        let services = self.lab.settings(&[])?.services;
        let queue = self.lab.system.queue.clone();
        let payments = Payments::connect(&services, self.lab.store().clone(), queue)?;
        // The sweeper may be the one that does it.
        eventually_within(self.patience, "the lists are compared", async || {
            payments.reconcile_daily().await.is_ok()
                && self.count(COMPARED).await.is_ok_and(|finished| finished > 0)
        })
        .await;
        self.until_zero("nothing is under way again", UNDER_WAY).await;
        self.count("select coalesce(sum(differences), 0)::bigint from reconciliations").await
    }
}

const COMPARED: &str =
    "select count(*) from reconciliations where finished_at > clock_timestamp() - interval '1 day'";

const UNDER_WAY: &str = "select
     (select count(*) from orders where status in ('awaiting_payment', 'expiring', 'paid'))
     + (select count(*) from payments where status in ('creating', 'open', 'authorized'))
     + (select count(*) from refunds where status = 'pending')
     + (select count(*) from jobs where queue in ('tickets', 'refunds') and status = 'waiting')";

const FAILED: &str = "select (select count(*) from refunds where status = 'failed')
     + (select count(*) from jobs where queue in ('tickets', 'refunds') and status = 'failed')
     + (select count(*) from job_outcomes where code = 'internal')";

const VALUE: &str = "select coalesce(sum(i.price_minor), 0)::bigint
     from tickets t join order_items i on i.id = t.order_item_id where t.status = 'valid'";

impl Visitor<'_> {
    async fn come(self) -> Fallible<()> {
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

/// Holds what is left against the invariants and the provider's book, and prints it.
async fn close(sale: &Sale, plan: &Plan, (killed, differences): (usize, i64)) -> TestResult {
    assert_invariants(sale.lab.store(), sale.event).await?;
    assert_eq!(sale.count(FAILED).await?, 0, "nothing has failed for good");
    let lane = sale.lab.system.queue.lane_state(sale.event).await?;
    assert_eq!(lane.waiting + lane.active, 0, "nobody waits");
    let stranger = sale.lab.shopper().await?.at(&sale.doors[1]);
    let orders: Vec<String> =
        sqlx::query_scalar("select id::text from orders limit 20").fetch_all(sale.lab.store().pool()).await?;
    for order in orders {
        let (status, _) = stranger.get(&format!("/api/orders/{order}")).await?;
        assert_eq!(status, StatusCode::NOT_FOUND, "nobody reads what is another one's");
    }
    let paid = sale.count("select count(*) from orders where status = 'fulfilled'").await?;
    let expired = sale.count("select count(*) from orders where status = 'expired'").await?;
    let refunded = sale.count("select count(*) from orders where status = 'refunded'").await?;
    let (lost, doubled, late) = (
        sale.book.struck("lose").await?,
        sale.book.struck("duplicate").await?,
        sale.book.struck("delay").await?,
    );
    let (Booked { taken, returned, .. }, value) = (sale.book.money().await?, sale.count(VALUE).await?);
    eprintln!(
        "{} shoppers
  orders    {paid} paid, {expired} expired, {refunded} refunded
  webhooks  {lost} lost, {doubled} doubled, {late} late; {differences} payments found by the daily comparison
  killed    {killed} processes, workers and gateways in turn
  money     {taken} taken - {returned} returned = {}; valid tickets are worth {value}",
        plan.shoppers,
        taken - returned,
    );
    assert_eq!(taken - returned, value, "money taken less money returned is what valid tickets are worth");
    assert!(paid * 2 > i64::try_from(plan.shoppers)?, "most have bought something");
    assert!(expired > 0 && refunded > 0 && returned > 0, "the ways that end otherwise were gone as well");
    assert!(lost > 0 && doubled > 0 && late > 0, "webhooks went astray");
    Ok(())
}

async fn sell(plan: &Plan) -> TestResult {
    let (sale, mut staff) = Sale::open(plan).await?;
    for fault in [
        json!({"on": "webhook", "kind": "lose", "percent": 5}),
        json!({"on": "webhook", "kind": "duplicate", "percent": 5}),
        json!({"on": "webhook", "kind": "delay", "ms": 3_000, "percent": 5}),
    ] {
        sale.book.order_fault(&fault).await?;
    }
    let shoppers = sale.lab.shoppers(plan.shoppers).await?;
    let (serving, killing) = (sale.serve(&shoppers, plan.at_once), sale.kill(plan, &mut staff));
    let ((), killed) = tokio::try_join!(serving, killing)?;
    let differences = sale.settle().await?;
    close(&sale, plan, (killed, differences)).await
}

#[tokio::test]
async fn sixty_shoppers_pay_what_their_tickets_are_worth_whatever_is_lost() -> TestResult {
    sell(&Plan { shoppers: 60, at_once: 12, kills: 1, pay_seconds: 12, patience: Duration::from_secs(60) })
        .await
}

#[tokio::test]
async fn soak_two_thousand_shoppers_pay_what_their_tickets_are_worth_whatever_is_lost() -> TestResult {
    sell(&Plan { shoppers: 2_000, at_once: 50, kills: 12, pay_seconds: 20, patience: Duration::from_mins(5) })
        .await
}
