//! What somebody else changes in PostgreSQL at the very moment in which a batch is written, or a reservation released.

use std::time::Duration;

use serde_json::json;
use shared::domain::{BookingId, EventId, UserId};
use shared::queue::control::Pause;
use shared::store::{DuePlace, Emptied};
use sqlx::{PgConnection, Postgres, Transaction};
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, make_event};

/// Ends the transaction as soon as somebody whose statement looks like this waits for it.
async fn commit_when_waited_for(
    lab: &Lab,
    tx: Transaction<'static, Postgres>,
    statement: &str,
) -> TestResult {
    eventually("somebody waits for the transaction", async || {
        lab.waiting_for_locks(statement).await.is_ok_and(|waiting| waiting > 0)
    })
    .await;
    Ok(tx.commit().await?)
}

#[tokio::test]
async fn an_area_that_grows_beside_a_sweep_keeps_no_place_that_ran_out() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::club(5) };
    let (event, _, area) = make_event(lab.store(), &plan).await?;
    let shopper = lab.shopper().await?;
    shopper.outcome(&shopper.book(event, json!({"areaId": area, "quantity": 2})).await?).await?;
    let booking: BookingId = sqlx::query_scalar("select id from bookings where event_id = $1")
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await
        .map(BookingId)?;
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    // It rewrites all claims of the area, and locks no booking.
    let mut growing = lab.store().pool().begin().await?;
    sqlx::query("update areas set capacity = capacity + 1 where id = $1")
        .bind(area)
        .execute(&mut *growing)
        .await?;
    let bookings = [booking];
    let sweep = lab.store().release_expired(&bookings, Emptied::Close);
    let grown = commit_when_waited_for(&lab, growing, "%delete from area_claims%");
    let (swept, grown) = tokio::join!(sweep, grown);
    grown?;
    assert_eq!(swept?.freed.len(), 2, "both places came free");
    assert_eq!(lab.count("select count(*) from area_claims").await?, 0);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn whoever_comes_back_before_an_emptied_booking_is_closed_goes_on_with_it() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::hall(1, 3) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let [back, away]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    for (shopper, seat) in [(&back, seats[0]), (&away, seats[1])] {
        shopper.outcome(&shopper.book_seats(event, &[seat]).await?).await?;
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    sqlx::query("update events set hold_seconds = 600 where id = $1")
        .bind(event.0)
        .execute(lab.store().pool())
        .await?;

    let (due, last) = lab.store().due_bookings(DuePlace::START, 10).await?;
    assert_eq!(due.len(), 2);
    assert_eq!(lab.store().due_bookings(last, 10).await?.0, [], "the list goes on after its last place");
    let freed = lab.store().release_expired(&due, Emptied::Keep).await?.freed;
    assert_eq!((freed.len(), lab.count("select count(*) from seat_claims").await?), (2, 0));
    let open = "select count(*) from bookings where status = 'created'";
    assert_eq!(lab.count(open).await?, 2, "they are closed by another pass");
    let (_, bookings) = away.get("/api/bookings").await?;
    assert_eq!(bookings["items"][0]["status"], "expired", "it reads as what it is");

    back.outcome(&back.book_seats(event, &[seats[2]]).await?).await?;
    let closed = lab.store().release_expired(&due, Emptied::Close).await?;
    assert_eq!((closed.bookings, closed.freed.len()), (1, 0));
    assert_eq!((lab.count(open).await?, lab.count("select count(*) from bookings").await?), (1, 2));
    let (_, bookings) = back.get("/api/bookings").await?;
    assert_eq!(bookings["items"][0]["seats"].as_array().map(Vec::len), Some(1), "{bookings}");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn of_many_that_run_out_every_place_is_free_before_a_booking_is_closed() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(90, 50)).await?;
    let shopper = lab.shopper().await?;
    let ids: Vec<i64> = seats.iter().map(|seat| seat.0).collect();
    sqlx::query(
        "with held as (
             select seat_id, gen_random_uuid() as booking_id, $2 + seat_id as user_id,
                 clock_timestamp() - interval '1 s' as expires_at
             from unnest($1::bigint[]) as held (seat_id)
         ), opened as (
             insert into bookings (id, event_id, user_id, expires_at)
             select booking_id, $3, user_id, expires_at from held
         )
         insert into seat_claims (seat_id, event_id, booking_id, user_id, status, expires_at)
         select seat_id, $3, booking_id, user_id, 'reserved', expires_at from held",
    )
    .bind(&ids)
    .bind(shopper.id.0)
    .bind(event.0)
    .execute(lab.store().pool())
    .await?;
    let _sweeper = lab.add(&[Part::Sweeper]).await?;
    eventually("all bookings are closed", async || {
        let closed = "select count(*) from bookings where status = 'expired'";
        lab.count(closed).await.is_ok_and(|closed| closed == 4_500)
    })
    .await;
    assert_eq!(lab.count("select sum(cardinality(seat_ids)) from claim_frees").await?, 4_500);
    let closed_early = "select count(*) from bookings
         where closed_at < (select max(freed_at) from claim_frees)";
    assert_eq!(lab.count(closed_early).await?, 0);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn what_is_read_after_a_change_of_pauses_is_known_to_be_later() -> TestResult {
    let lab = Lab::start_with(&[], &[]).await?;
    let (store, by) = (lab.store(), UserId(1));
    let pause = Pause { paused: true, message: String::new() };
    let mut versions = vec![store.controls("post").await?.version];
    for lane in [None, Some(EventId(1)), None] {
        store.set_pause("post", lane, &pause, by).await?;
        versions.push(store.controls("post").await?.version);
        store.set_limits("post", lane, None, None, by).await?;
        versions.push(store.controls("post").await?.version);
    }
    assert!(versions.is_sorted_by(|before, after| before < after), "{versions:?}");
    Ok(())
}

async fn claim_for(tx: &mut PgConnection, event: i64, seat: i64, user: i64) -> Result<(), sqlx::Error> {
    let claim = "with booking as (
             insert into bookings (id, event_id, user_id, expires_at)
             values (gen_random_uuid(), $1, $3, clock_timestamp() + interval '1 hour') returning id, expires_at
         )
         insert into seat_claims (seat_id, event_id, booking_id, user_id, status, expires_at)
         select $2, $1, id, $3, 'reserved', expires_at from booking";
    sqlx::query(claim).bind(event).bind(seat).bind(user).execute(tx).await.map(|_| ())
}

#[tokio::test]
async fn a_seat_that_went_while_a_batch_was_written_costs_only_whoever_wanted_that_one() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::hall(1, 6) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let [early, other, first, second, third]: [_; 5] =
        lab.shoppers(5).await?.try_into().map_err(|_| "five shoppers")?;
    let before = lab.add(&[Part::Worker]).await?;
    // Nobody sweeps it: whoever wants it takes it over.
    early.outcome(&early.book_seats(event, &seats[..1]).await?).await?;
    before.stop().await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    let wish = |seat: usize, fallback: &str| json!({"seatIds": [seats[seat]], "fallback": fallback});
    let jobs = [
        (&first, first.book(event, wish(0, "any")).await?),
        (&second, second.book(event, wish(2, "none")).await?),
        (&third, third.book(event, wish(1, "any")).await?),
    ];
    let mut going = lab.store().pool().begin().await?;
    claim_for(&mut going, event.0, seats[1].0, other.id.0).await?;
    let _anew = lab.add(&[Part::Worker]).await?;
    commit_when_waited_for(&lab, going, "%The rows of a batch%").await?;

    let mut got = Vec::new();
    for (shopper, job) in &jobs {
        let outcome = shopper.outcome(job).await?;
        assert_eq!(outcome["status"], "completed", "{outcome}");
        let seat: i64 =
            sqlx::query_scalar("select seat_id from seat_claims where event_id = $1 and user_id = $2")
                .bind(event.0)
                .bind(shopper.id.0)
                .fetch_one(lab.store().pool())
                .await?;
        got.push(seat);
    }
    assert_eq!(
        got[..2],
        [seats[0].0, seats[2].0],
        "what was to be taken over, and what was free, is nobody else's"
    );
    assert!(seats[3..].iter().any(|seat| seat.0 == got[2]), "the fallback took another seat");
    Ok(())
}
