//! The table of tricky cases, each a test.

use std::collections::HashSet;

use futures_util::future::{join_all, try_join};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::Money;
use shared::pay::{PaymentState, PaymentStatus};
use shared::shop::Sweeps;
use shared::store::ClaimedPlace;

use crate::lab::bank::notice_of;
use crate::lab::{Ask, Bank, Fault, TestResult, Till, UNSWEPT, assert_invariants, eventually};

const TICKET_JOBS: &str = "select count(*) from jobs where queue = 'tickets'";
/// Admins were told of payments that wait for a decision.
const TOLD: &str =
    "select count(*) from jobs where queue = 'messages' and payload::text like '%payment_differs%'";

#[tokio::test]
async fn a_webhook_that_comes_before_we_know_the_session_is_settled() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    till.fill(&shopper, &till.seats[..2]).await?;
    till.bank.gate.forget_permits(100_000);
    let buyer = shopper.clone();
    let checkout = tokio::spawn(async move { buyer.post("/api/cart/checkout", json!({})).await });
    eventually("the bank has the session", async || !till.bank.sessions().is_empty()).await;
    let session = till.bank.sessions()[0].reference.clone();
    let paid = till.bank.pay(&session);
    // By another name, as some providers have one for the page and one for what is paid on it.
    let state = PaymentState { reference: format!("paid-by-{session}"), ..paid };
    assert_eq!(till.tell("early", &state).await?, StatusCode::OK);
    till.bank.gate.add_permits(10);
    let (status, answer) = checkout.await??;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let order = answer["orderId"].as_str().ok_or("an order")?;
    let status = till.text("select status from orders where id = $1", order).await?;
    assert!(["paid", "fulfilled"].contains(&status.as_str()), "{status}");
    assert_eq!(till.text("select status from payments where order_id = $1", order).await?, "captured");
    assert_eq!(till.text("select provider_ref from payments where order_id = $1", order).await?, session);
    assert_eq!(till.count(TICKET_JOBS).await?, 1);
    // Nor is it missing in the list by whichever name it is known here.
    let renamed = "update payments
         set provider_ref = 'paid-by-' || provider_ref, created_at = created_at - interval '1 hour'";
    sqlx::query(renamed).execute(till.lab.store().pool()).await?;
    assert_eq!(till.payments()?.reconcile_daily().await?, Some(0));
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_webhook_that_comes_many_times_at_once_has_one_effect() -> TestResult {
    let till = Till::open(Bank::transfers()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    let state = till.bank.pay(&purchase.reference);
    // The same notice, and others that say the same.
    let ids = ["a", "a", "a", "b", "c", "d", "a", "b"];
    for answer in join_all(ids.map(|id| till.tell(id, &state))).await {
        assert_eq!(answer?, StatusCode::OK);
    }
    assert_eq!(till.status(&purchase).await?, "paid");
    assert_eq!(till.count(TICKET_JOBS).await?, 1);
    assert_eq!(till.count("select count(*) from outbox where topic = 'payment.completed'").await?, 1);
    assert_eq!(till.count("select count(*) from payment_webhooks").await?, 4);
    assert_eq!(till.count("select count(*) from refunds").await?, 0);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn webhooks_out_of_order_do_not_take_a_paid_order_back() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    let paid = till.bank.pay(&purchase.reference);
    let of = |status| PaymentState { status, ..paid.clone() };
    for (id, status) in [
        ("4", PaymentStatus::Captured),
        ("3", PaymentStatus::Authorized),
        ("2", PaymentStatus::Declined),
        ("1", PaymentStatus::Open),
        ("5", PaymentStatus::Expired),
    ] {
        assert_eq!(till.tell(id, &of(status)).await?, StatusCode::OK);
        assert_eq!(till.status(&purchase).await?, "paid", "after {status:?}");
    }
    assert_eq!(till.count(TICKET_JOBS).await?, 1);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_wrong_amount_or_currency_goes_back_and_never_pays() -> TestResult {
    let till = Till::open(Bank::transfers()).await?;
    let shopper = till.lab.shopper().await?;
    let mut purchase = till.buy(&shopper, &till.seats[..1]).await?;
    for (wrong, amount, currency) in [("less", 999, "EUR"), ("more", 1_001, "EUR"), ("other", 1_000, "USD")] {
        let amount = Money { amount, currency: currency.to_owned() };
        let state = till.bank.pay_wrongly(&purchase.reference, amount);
        assert_eq!(till.tell(wrong, &state).await?, StatusCode::OK);
        assert_eq!(till.status(&purchase).await?, "awaiting_payment", "{wrong}");
        let path = format!("/api/orders/{}/pay", purchase.order);
        let (status, again) = shopper.post(&path, json!({})).await?;
        assert_eq!(status, StatusCode::OK, "{again}");
        let url = again["redirectUrl"].as_str().ok_or("another page")?;
        purchase.reference = url.rsplit('/').next().unwrap_or_default().to_owned();
    }
    till.until_given_back(999 + 1_001 + 1_000).await;
    assert_eq!(till.count("select count(*) from refunds where currency = 'USD'").await?, 1);
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "paid", "the right amount still pays");
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_place_that_was_taken_from_somebody_whose_refund_is_not_begun_gives_the_next_buyer_their_money_back()
-> TestResult {
    let till = Till::open(Bank::transfers()).await?;
    let [first, second]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let sold = till.buy(&first, &till.seats[..1]).await?;
    assert_eq!(till.pay(&sold).await?, StatusCode::OK);
    till.until(&sold, "paid").await;
    let waiting = till.buy(&second, &till.seats[1..2]).await?;
    // As after its place was removed and is there once more: the claim is gone, and the item is sold still.
    for sql in [
        "delete from seat_claims where seat_id = $1 and $2 <> $1",
        "update order_items set seat_id = $2 where seat_id = $1",
    ] {
        let changed = sqlx::query(sql).bind(till.seats[0].0).bind(till.seats[1].0);
        assert_eq!(changed.execute(till.lab.store().pool()).await?.rows_affected(), 1);
    }
    assert_eq!(till.pay(&waiting).await?, StatusCode::OK, "it is worked off");
    assert_eq!(till.status(&waiting).await?, "cancelled");
    till.until_given_back(1_000).await;
    assert_eq!(till.status(&sold).await?, "paid");
    assert_eq!(
        till.text("select reason from refunds where order_id = $1", &waiting.order).await?,
        "places_gone"
    );
    Ok(())
}

#[tokio::test]
async fn a_forged_webhook_changes_nothing() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    let claimed = PaymentState { status: PaymentStatus::Captured, ..till.bank.state(&purchase.reference) };
    let notice = notice_of("forged", &claimed);
    assert_eq!(till.send(&notice, "bad").await?, StatusCode::BAD_REQUEST);
    assert_eq!(till.send(&json!({"nonsense": true}), "good").await?, StatusCode::BAD_REQUEST);
    let unknown = PaymentState { payment: None, reference: "elsewhere".to_owned(), ..claimed };
    assert_eq!(till.tell("unknown", &unknown).await?, StatusCode::NOT_FOUND);
    assert_eq!(till.status(&purchase).await?, "awaiting_payment");
    assert_eq!(till.count("select count(*) from payment_webhooks").await?, 0, "only what had an effect");
    let large = json!({"padding": "x".repeat(70_000)});
    assert_eq!(till.send(&large, "good").await?, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

#[tokio::test]
async fn two_tabs_that_pay_have_one_order_and_one_page() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    till.fill(&shopper, &till.seats[..2]).await?;
    let checkout = || shopper.post("/api/cart/checkout", json!({}));
    let ((first, one), (second, two)) = try_join(checkout(), checkout()).await?;
    assert!(first.is_success() && second.is_success(), "{one} {two}");
    assert_eq!((&one["orderId"], &one["redirectUrl"]), (&two["orderId"], &two["redirectUrl"]));
    assert!(one["redirectUrl"].is_string());
    assert_eq!(till.bank.sessions().len(), 1);
    let (third, again) = checkout().await?;
    assert_eq!((third, &again["redirectUrl"]), (StatusCode::OK, &one["redirectUrl"]));
    Ok(())
}

#[tokio::test]
async fn a_second_success_for_one_order_goes_back() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let first = till.buy(&shopper, &till.seats[..1]).await?;
    let declined = till.bank.decline(&first.reference);
    assert_eq!(till.tell("declined", &declined).await?, StatusCode::OK);
    let (_, again) = shopper.post(&format!("/api/orders/{}/pay", first.order), json!({})).await?;
    let reference = again["redirectUrl"].as_str().and_then(|url| url.rsplit('/').next()).ok_or("a page")?;
    assert_ne!(reference, first.reference, "a declined attempt is followed by another one");
    let second = till.bank.pay(reference);
    assert_eq!(till.tell("second", &second).await?, StatusCode::OK);
    assert_eq!(till.status(&first).await?, "paid");
    // The page of the declined attempt was still open in another tab.
    assert_eq!(till.pay(&first).await?, StatusCode::OK);
    till.until_given_back(1_000).await;
    assert_eq!(till.status(&first).await?, "paid");
    assert_eq!(till.bank.calls(Ask::Capture), 1, "what goes back is not taken");
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_sweeper_and_a_webhook_that_race_end_in_one_of_two_ways() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &["--payment-limit-seconds=2"]).await?;
    let shoppers = till.lab.shoppers(10).await?;
    let mut purchases = Vec::new();
    for (shopper, seat) in shoppers.iter().zip(&till.seats) {
        purchases.push(till.buy(shopper, &[*seat]).await?);
    }
    let due = "select count(*) from orders where pay_until > clock_timestamp()";
    eventually("all of them are due", async || till.count(due).await.is_ok_and(|left| left == 0)).await;
    let (one, two) = (till.payments()?, till.payments()?);
    let paying = join_all(purchases.iter().map(|purchase| till.pay(purchase)));
    let (paid, first, second) = tokio::join!(paying, one.expire_orders(), two.expire_orders());
    first?;
    second?;
    for status in paid {
        assert_eq!(status?, StatusCode::OK);
    }
    for purchase in &purchases {
        // Whoever was first: nobody else has the seat, so a late success is seated again.
        assert_eq!(till.status(purchase).await?, "paid");
    }
    assert_eq!(till.count(TICKET_JOBS).await?, 10);
    assert_eq!(till.count("select count(*) from refunds").await?, 0);
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_session_whose_answer_was_lost_is_opened_once() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    let booking = till.fill(&shopper, &till.seats[..1]).await?;
    till.bank.fail(Ask::Create, &[Fault::Unheard]);
    let (status, refused) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("payment_unavailable")));
    let path = format!("/api/bookings/{booking}/payment-status");
    let (_, waiting) = shopper.get(&path).await?;
    assert_eq!(
        (&waiting["bookingStatus"], &waiting["paymentStatus"]),
        (&json!("pending_payment"), &json!("creating"))
    );
    let (status, answer) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!((status, &answer["orderId"]), (StatusCode::OK, &waiting["orderId"]), "{answer}");
    assert!(answer["redirectUrl"].is_string());
    assert_eq!((till.bank.sessions().len(), till.bank.calls(Ask::Create)), (1, 2));
    Ok(())
}

#[tokio::test]
async fn a_lost_webhook_is_made_up_for_by_asking() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    till.bank.pay(&purchase.reference);
    eventually("the tickets are asked for", async || {
        till.count(TICKET_JOBS).await.is_ok_and(|jobs| jobs == 1)
    })
    .await;
    assert_eq!(till.status(&purchase).await?, "paid");
    assert_eq!(till.bank.state(&purchase.reference).status, PaymentStatus::Captured);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_shopper_who_comes_back_before_the_webhook_finds_the_order_paid() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    let path = format!("/api/bookings/{}/payment-status", purchase.booking);
    let (_, before) = shopper.get(&path).await?;
    assert_eq!(before["orderStatus"], "awaiting_payment", "coming back proves nothing");
    till.bank.pay(&purchase.reference);
    eventually("the provider is asked", async || {
        shopper
            .get(&path)
            .await
            .is_ok_and(|(_, now)| now["orderStatus"] == "paid" || now["orderStatus"] == "fulfilled")
    })
    .await;
    assert!(till.bank.calls(Ask::Query) <= 3, "not at every look");
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_made_once() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    till.pay(&purchase).await?;
    till.bank.fail(Ask::Refund, &[Fault::Unheard, Fault::Lost]);
    let (status, _) = shopper.post(&format!("/api/orders/{}/refund", purchase.order), json!({})).await?;
    assert_eq!(status, StatusCode::OK);
    till.until(&purchase, "refunded").await;
    assert_eq!((till.bank.given_back(), till.bank.calls(Ask::Refund)), (2_000, 3));
    assert_eq!(till.bank.state(&purchase.reference).refunded_minor, 2_000);
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_chargeback_revokes_the_ticket_and_one_that_is_won_waits_for_a_person() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    till.pay(&purchase).await?;
    sqlx::query(
        "insert into tickets (id, order_item_id, number, event_id, user_id)
         select gen_random_uuid(), id, left(id::text, 13), event_id, $1 from order_items
         on conflict do nothing",
    )
    .bind(shopper.id.0)
    .execute(till.lab.store().pool())
    .await?;
    let state = till.bank.charge_back(&purchase.reference);
    for id in ["once", "twice"] {
        assert_eq!(till.tell(id, &state).await?, StatusCode::OK);
    }
    assert_eq!(till.status(&purchase).await?, "refunded");
    assert_eq!(till.count("select count(*) from tickets where status <> 'cancelled'").await?, 0);
    assert_eq!(till.count("select count(*) from refunds").await?, 0, "the bank has the money already");
    till.until_seat(0, "available").await;
    assert_invariants(till.lab.store(), till.event).await?;
    let asked = async || {
        eventually("the provider was asked", async || {
            let due = "select count(*) from payments where poll_at is not null";
            till.count(due).await.is_ok_and(|due| due == 0)
        })
        .await;
    };
    // A notice from before that comes late says what a dispute that was won says.
    let won = PaymentState { status: PaymentStatus::Captured, ..state };
    assert_eq!(till.tell("late", &won).await?, StatusCode::OK);
    asked().await;
    // Who compares the books may have found the chargeback before the bank told of it.
    let won_back = "select count(*) from payment_differences where kind = 'dispute_won'";
    assert_eq!(till.count(won_back).await?, 0);
    till.bank.change(&purchase.reference, |state| state.status = PaymentStatus::Captured);
    for id in ["won", "won again"] {
        assert_eq!(till.tell(id, &won).await?, StatusCode::OK);
        asked().await;
    }
    let admin = till.lab.with_role(Role::Admin).await?;
    let (_, list) = admin.get("/api/admin/payments/differences").await?;
    let items = list["items"].as_array().ok_or("differences")?;
    let of_dispute: Vec<&Value> = items.iter().filter(|item| item["kind"] == "dispute_won").collect();
    assert_eq!(of_dispute.len(), 1, "{list}");
    assert_eq!(of_dispute[0]["repaired"], false);
    assert_eq!(till.count(TOLD).await?, 1);
    till.until_books_agree().await;
    // A refund waits for whoever decides.
    let (_, failed) = admin.get("/api/admin/refunds?status=failed").await?;
    assert_eq!((&failed["items"][0]["error"], till.bank.given_back()), (&json!("dispute_won"), 0));
    let retry = format!("/api/admin/refunds/{}/retry", failed["items"][0]["id"].as_str().unwrap_or_default());
    assert_eq!(admin.post(&retry, json!({})).await?.0, StatusCode::ACCEPTED);
    till.until_given_back(1_000).await;
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_part_that_the_payer_s_bank_takes_revokes_nothing_and_is_on_the_list_for_a_person() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    till.pay(&purchase).await?;
    let whole = till.bank.charge_back(&purchase.reference);
    let part = PaymentState { amount: Money { amount: 700, currency: "EUR".to_owned() }, ..whole };
    for id in ["once", "twice"] {
        assert_eq!(till.tell(id, &part).await?, StatusCode::OK);
    }
    assert_eq!(till.status(&purchase).await?, "paid");
    assert_eq!(till.count("select count(*) from order_items where status = 'sold'").await?, 2);
    let listed = "select kind, theirs from payment_differences where not repaired";
    let listed: Vec<(String, String)> = sqlx::query_as(listed).fetch_all(till.lab.store().pool()).await?;
    let expected = ("partly_charged_back".to_owned(), "charged_back 700 EUR of 2000 EUR".to_owned());
    assert_eq!(listed, [expected]);
    assert_eq!(till.count(TOLD).await?, 1, "admins are told once");
    // What went back before and the rest are the whole.
    let rest = PaymentState { refunded_minor: 1_300, ..part };
    assert_eq!(till.tell("rest", &rest).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "refunded");
    let to_decide = "select count(*) from payment_differences where not repaired";
    assert_eq!(till.count(to_decide).await?, 0, "there is nothing left to decide");
    Ok(())
}

#[tokio::test]
async fn a_late_success_has_its_seats_again_when_they_are_free() -> TestResult {
    let till = Till::open_with(Bank::cards(), &[], &["--payment-limit-seconds=1"]).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    till.until(&purchase, "expired").await;
    till.until_seat(1, "available").await;
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "paid");
    till.until_seat(1, "sold").await;
    // They were told that it had come to nothing, and are told that it is paid after all, with the tickets.
    let told = async |kind: &str| {
        let about = "select count(*) from jobs where queue = 'messages'
             and payload::text like '%' || $1 || '%' and payload::text like '%' || $2 || '%'";
        let about = sqlx::query_scalar::<_, i64>(about).bind(kind).bind(&purchase.order);
        about.fetch_one(till.lab.store().pool()).await
    };
    assert_eq!(told("order_expired").await?, 1);
    eventually("the shopper is told", async || told("order_paid").await.is_ok_and(|told| told == 1)).await;
    assert_eq!(till.bank.given_back(), 0);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_late_success_goes_back_when_one_of_its_seats_is_gone() -> TestResult {
    let till = Till::open_with(Bank::transfers(), &[], &["--payment-limit-seconds=1"]).await?;
    let [late, other]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let purchase = till.buy(&late, &till.seats[..2]).await?;
    till.until(&purchase, "expired").await;
    till.until_seat(1, "available").await;
    till.fill(&other, &till.seats[1..2]).await?;
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "expired");
    till.until_given_back(2_000).await;
    assert_eq!(till.seat(0).await?, "available", "all or nothing");
    let refunded = "select count(*) from jobs where queue = 'messages' and payload::text like '%refunded%'";
    eventually("the shopper is told", async || till.count(refunded).await.is_ok_and(|told| told == 1)).await;
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_late_success_goes_back_when_its_shopper_has_their_one_booking_by_now() -> TestResult {
    let till = Till::open_with(Bank::transfers(), &[], &["--payment-limit-seconds=1"]).await?;
    sqlx::query("update events set one_booking_each = true").execute(till.lab.store().pool()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    till.until(&purchase, "expired").await;
    till.until_seat(0, "available").await;
    till.fill(&shopper, &till.seats[1..2]).await?;
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "expired");
    till.until_given_back(1_000).await;
    assert_eq!(till.seat(1).await?, "reserved");
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_late_success_goes_back_when_its_shopper_books_at_the_same_moment() -> TestResult {
    let till = Till::open_with(Bank::transfers(), &[], &["--payment-limit-seconds=1"]).await?;
    sqlx::query("update events set one_booking_each = true").execute(till.lab.store().pool()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    till.until(&purchase, "expired").await;
    till.until_seat(0, "available").await;
    // Written and not committed: the look at the shopper's bookings does not see it, the index does.
    let mut other = till.lab.store().pool().begin().await?;
    sqlx::query(
        "insert into bookings (id, event_id, user_id, is_only, expires_at)
         values (gen_random_uuid(), $1, $2, true, now() + interval '1 hour')",
    )
    .bind(till.event.0)
    .bind(shopper.id.0)
    .execute(&mut *other)
    .await?;
    let waits = "select count(*) from pg_locks where locktype = 'transactionid' and not granted";
    let committing = async {
        eventually("the success waits for it", async || {
            till.count(waits).await.is_ok_and(|waiting| waiting > 0)
        })
        .await;
        other.commit().await
    };
    let (told, committed) = tokio::join!(till.pay(&purchase), committing);
    committed?;
    assert_eq!(told?, StatusCode::OK, "it is settled, and not told again and again");
    assert_eq!(till.status(&purchase).await?, "expired");
    till.until_given_back(1_000).await;
    till.until_seat(0, "available").await;
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_late_success_that_has_its_seats_again_makes_workers_look_again() -> TestResult {
    let till = Till::open_with(Bank::transfers(), &[], &["--payment-limit-seconds=1"]).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    till.until(&purchase, "expired").await;
    let store = till.lab.store();
    let look = async || store.prepare_batch(till.event, &[], &[], "0", &HashSet::new()).await;
    let before = look().await?.ok_or("the event")?;
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "paid");
    let after = look().await?.ok_or("the event")?;
    assert!(after.version > before.version, "what was decided on the old map is decided anew");
    assert!(after.freed.sold.contains(&ClaimedPlace::Seat(till.seats[0])), "and the map learns of it");
    Ok(())
}

#[tokio::test]
async fn webhooks_are_forgotten_when_no_provider_sends_them_any_more() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    sqlx::query(
        "insert into payment_webhooks (provider, id, received_at)
         select 'bank', 'w' || days, clock_timestamp() - make_interval(days => days)
         from unnest('{0, 59, 61, 62, 63}'::integer[]) as old (days)",
    )
    .execute(till.lab.store().pool())
    .await?;
    assert_eq!(till.lab.store().forget_webhooks(60, 2).await?, 2, "so many at most");
    Sweeps::new(till.lab.store().clone(), till.lab.system.queue.clone()).forget_old(400).await?;
    assert_eq!(till.count("select count(*) from payment_webhooks").await?, 2);
    Ok(())
}
