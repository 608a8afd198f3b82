//! A whole sale, paid at the sandbox, while webhooks go astray and workers, gateways and sweepers are killed.

mod visitor;

use std::cell::Cell;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::json;
use shared::domain::{EventId, SeatId};
use shared::seen;
use shared::shop::checkout::Payments;
use standalone::settings::Part;

use self::visitor::Visitor;
use super::Fallible;
use crate::lab::{
    Booked, EventPlan, Lab, ProviderBook, Shopper, TestResult, UsherProcess, assert_invariants,
    eventually_within, free_port, make_event,
};

/// How large a sale is.
struct Plan {
    shoppers: usize,
    /// Visits at the same time.
    at_once: usize,
    /// Workers that are killed, and as many gateways and sweepers.
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
    sweeper: UsherProcess,
    gateways: [UsherProcess; 2],
    ports: [u16; 2],
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
        // In this process only a gateway that nobody goes to.
        let lab = Lab::start_with(&[Part::Gateway], &words).await?;
        let staff = Staff {
            worker: lab.spawn("worker")?,
            sweeper: lab.spawn("sweeper")?,
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

    async fn until_zero(&self, what: &str, sql: &'static str) {
        eventually_within(self.patience, what, async || {
            self.lab.count(sql).await.is_ok_and(|left| left == 0)
        })
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

    /// A worker, a gateway and the sweeper are killed in turn while visits go on; how many processes were.
    async fn kill(&self, plan: &Plan, staff: &mut Staff) -> Fallible<usize> {
        let rounds = plan.kills * 3;
        for round in 0..rounds {
            let wanted = plan.shoppers * (round + 1) / (rounds + 2);
            eventually_within(self.patience, "visits go on", async || self.over.get() >= wanted).await;
            // Not always at the same point of what they do.
            tokio::time::sleep(Duration::from_millis(u64::try_from(round)? * 7 % 40)).await;
            match round % 3 {
                0 => {
                    staff.worker.kill();
                    staff.worker = self.lab.spawn("worker")?;
                }
                1 => {
                    let door = round / 3 % 2;
                    staff.gateways[door].kill();
                    staff.gateways[door] = self.lab.spawn_gateway(staff.ports[door])?;
                    self.lab.until_ready(&self.doors[door]).await;
                }
                _ => {
                    staff.sweeper.kill();
                    staff.sweeper = self.lab.spawn("sweeper")?;
                }
            }
            assert!(self.over.get() < plan.shoppers, "killed when everybody had gone");
        }
        Ok(rounds)
    }

    /// Until nothing is under way, and a day later, when the provider's list was compared with ours; how many payments
    /// differed. Another day later none does, and nothing is left for a person.
    async fn settle(&self) -> Fallible<i64> {
        self.until_zero("nothing is under way", UNDER_WAY).await;
        let found = self.compare().await?;
        self.until_zero("nothing is under way again", UNDER_WAY).await;
        let found_again = self.compare().await?;
        let open: Vec<String> = sqlx::query_scalar(OPEN).fetch_all(self.lab.store().pool()).await?;
        assert_eq!((found_again, open), (0, Vec::new()), "what differed is mended");
        Ok(found)
    }

    /// How many payments differ a day later.
    async fn compare(&self) -> Fallible<i64> {
        let a_day = "update reconciliations
             set started_at = started_at - interval '2 days', finished_at = finished_at - interval '2 days'";
        sqlx::query(a_day).execute(self.lab.store().pool()).await?;
        let services = self.lab.settings(&[])?.services;
        let stores = (self.lab.store().clone(), self.lab.system.queue.clone());
        let payments = Payments::connect(&services, stores, seen::Part::Worker)?;
        // The sweeper may be the one that does it.
        eventually_within(self.patience, "the lists are compared", async || {
            payments.reconcile_daily().await.is_ok()
                && self.lab.count(COMPARED).await.is_ok_and(|finished| finished > 0)
        })
        .await;
        Ok(self.lab.count(DIFFERENCES).await?)
    }
}

const COMPARED: &str =
    "select count(*) from reconciliations where finished_at > clock_timestamp() - interval '1 day'";

/// Of the latest comparison.
const DIFFERENCES: &str =
    "select differences from reconciliations where finished_at is not null order by id desc limit 1";

/// Differences that a person would have to see to.
const OPEN: &str = "select format('%s: %s here, %s there', kind, ours, theirs) from payment_differences
     where not repaired order by id";

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

/// Holds what is left against the invariants and the provider's book, and prints it.
async fn close(sale: &Sale, plan: &Plan, (killed, differences): (usize, i64)) -> TestResult {
    assert_invariants(sale.lab.store(), sale.event).await?;
    assert_eq!(sale.lab.count(FAILED).await?, 0, "nothing has failed for good");
    let lane = sale.lab.system.queue.lane_state(sale.event).await?;
    assert_eq!(lane.waiting + lane.active, 0, "nobody waits");
    let stranger = sale.lab.shopper().await?.at(&sale.doors[1]);
    let orders: Vec<String> =
        sqlx::query_scalar("select id::text from orders limit 20").fetch_all(sale.lab.store().pool()).await?;
    for order in orders {
        let (status, _) = stranger.get(&format!("/api/orders/{order}")).await?;
        assert_eq!(status, StatusCode::NOT_FOUND, "nobody reads what is another one's");
    }
    let paid = sale.lab.count("select count(*) from orders where status = 'fulfilled'").await?;
    let expired = sale.lab.count("select count(*) from orders where status = 'expired'").await?;
    let refunded = sale.lab.count("select count(*) from orders where status = 'refunded'").await?;
    let (lost, doubled, late) = (
        sale.book.struck("lose").await?,
        sale.book.struck("duplicate").await?,
        sale.book.struck("delay").await?,
    );
    let (Booked { taken, returned, .. }, value) = (sale.book.money().await?, sale.lab.count(VALUE).await?);
    eprintln!(
        "{} shoppers
  orders    {paid} paid, {expired} expired, {refunded} refunded
  webhooks  {lost} lost, {doubled} doubled, {late} late; {differences} payments found by the daily comparison
  killed    {killed} processes, workers, gateways and sweepers in turn
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
    sell(&Plan { shoppers: 60, at_once: 12, kills: 1, pay_seconds: 12, patience: Duration::from_mins(1) })
        .await
}

#[tokio::test]
async fn soak_two_thousand_shoppers_pay_what_their_tickets_are_worth_whatever_is_lost() -> TestResult {
    sell(&Plan { shoppers: 2_000, at_once: 50, kills: 12, pay_seconds: 20, patience: Duration::from_mins(5) })
        .await
}
