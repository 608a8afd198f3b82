//! What is looked at when everything has ended can fail.

use serde_json::json;

use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, broken_invariants, make_event};

/// What is done to the database, and what must notice it.
const BREAKS: &[(&str, &str)] = &[
    ("delete from seat_claims", "1: a place was told to two who hold it, or to somebody who does not"),
    ("delete from area_claims", "1: a place was told to two who hold it, or to somebody who does not"),
    (
        "update area_claims set booking_id = gen_random_uuid()",
        "1: a place was told to two who hold it, or to somebody who does not",
    ),
    ("update seat_claims set event_id = 0", "1: a seat is claimed that is another event's"),
    ("update area_claims set event_id = 0", "1: an area has more claims than capacity, or another event's"),
    ("update seat_claims set event_id = 0", "2: sold + held + free is not the capacity of a tier"),
    ("update area_claims set event_id = 0", "2: sold + held + free is not the capacity of a tier"),
    (
        "update events set capacity = capacity + 1",
        "2: an event's capacity is not that of its seats and areas",
    ),
    (
        "update job_outcomes set decided_at = decided_at + interval '1 hour'
         where number = (select min(number) from job_outcomes)",
        "3: a later number was decided before an earlier one",
    ),
    ("update job_outcomes set nonce = 7", "4: a job has more than one outcome"),
    (
        "delete from job_outcomes where number = (select max(number) from job_outcomes)",
        "4: what a job won is not what the outside was told of it",
    ),
    (
        "update outbox set facts = json_build_array(facts -> 0, facts -> 0) where topic = 'seat.selected'",
        "4: what a job won is not what the outside was told of it",
    ),
    (
        "update bookings set user_id = user_id + 1000",
        "4: a job won something in a booking that is not its shopper's",
    ),
    (
        "update bookings set status = 'cancelled', closed_at = clock_timestamp()",
        "5: a claim belongs to a booking that is closed, or of somebody else",
    ),
    ("update events set seat_limit = 3", "a shopper has more places than one person may"),
    (
        "update area_claims set status = 'sold', expires_at = null",
        "5: a place is sold without having been bought, or bought without being sold",
    ),
];

#[tokio::test]
async fn the_invariants_of_places_notice_what_they_are_for() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, area) =
        make_event(lab.store(), &EventPlan { standing: 5, ..EventPlan::hall(1, 4) }).await?;
    let shopper = lab.shopper().await?;
    for body in [json!({"seatIds": &seats[..2]}), json!({"quantity": 2, "areaId": area})] {
        let outcome = shopper.outcome(&shopper.book(event, body).await?).await?;
        assert_eq!(outcome["status"], "completed", "{outcome}");
    }
    assert_invariants(lab.store(), event).await?;
    for (harm, noticed) in BREAKS {
        let mut tx = lab.store().pool().begin().await?;
        sqlx::query(*harm).execute(&mut *tx).await?;
        let broken = broken_invariants(&mut tx, event).await?;
        assert!(broken.contains(noticed), "{harm}: {broken:?}");
        tx.rollback().await?;
    }
    let mut tx = lab.store().pool().begin().await?;
    let stood_by = "update job_outcomes set decided_at = decided_at + interval '1 hour', may_stand_by = true
                    where number = (select min(number) from job_outcomes)";
    sqlx::query(stood_by).execute(&mut *tx).await?;
    assert_eq!(broken_invariants(&mut tx, event).await?, [""; 0], "whoever stood by was decided once before");
    tx.rollback().await?;
    assert_invariants(lab.store(), event).await
}
