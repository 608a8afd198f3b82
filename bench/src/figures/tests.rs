//! What the figures read from the database, on a small one.

use std::str::FromStr as _;

use clap::Parser as _;
use shared::auth::AccessTokens;
use shared::config::StoreConfig;
use shared::store::{DuePlace, Emptied, Store};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use standalone::servers::{PostgresOptions, PrivatePostgres, ScratchServers, scratch};

use super::invariants::{Scope, check};
use super::{chain, reserve, rows, sold_out, sweep};
use crate::lab::{Event, people};

const SEATS: u32 = 1_234;

async fn migrated() -> (ScratchServers, PrivatePostgres, PgPool, Vec<i64>) {
    let servers = scratch().await.expect("servers");
    // With the settings of the lab: commits are dated.
    let options = PostgresOptions {
        settings: vec!["track_commit_timestamp=on".to_owned()],
        ..PostgresOptions::throwaway()
    };
    let postgres = PrivatePostgres::start(&servers.dir().join("dated"), options).await.expect("PostgreSQL");
    let options = PgConnectOptions::from_str(&postgres.url()).expect("a URL");
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("a connection");
    store(&postgres).await.migrate().await.expect("migrations");
    let tokens = AccessTokens::new(&["a secret of more than 32 characters".into()], 60);
    let (people, _) = people::bring(&pool, &tokens, 2_000).await.expect("people");
    (servers, postgres, pool, people.ids)
}

async fn store(postgres: &PrivatePostgres) -> Store {
    #[derive(clap::Parser)]
    struct Settings {
        #[command(flatten)]
        store: StoreConfig,
    }
    let settings = Settings::try_parse_from(["bench", "--database-url", &postgres.url()]).expect("settings");
    Store::connect(&settings.store).await.expect("a store")
}

async fn violations(pool: &PgPool) -> Vec<&'static str> {
    let rules = check(pool, Scope::Everything).await.expect("rules");
    rules.into_iter().filter(|rule| rule.violations > 0).map(|rule| rule.rule).collect()
}

#[tokio::test]
async fn rows_alone_are_what_a_sale_leaves_and_broken_rules_are_seen() {
    let (_servers, _postgres, pool, people) = migrated().await;
    let event = Event::create(&pool, "Rows", SEATS).await.expect("an event");
    assert_eq!(event.seats.len(), SEATS as usize);
    let since = sqlx::types::chrono::DateTime::from_timestamp_millis(0).expect("a time");
    assert!(rows::write_all(&pool, &people, &event).await.expect("rows") > 0.0);
    assert_eq!(event.claimed(&pool).await.expect("a count"), u64::from(SEATS));
    assert_eq!(violations(&pool).await, [""; 0]);

    let seats = i64::from(SEATS);
    let outcomes = sold_out::outcomes(&pool, &event).await.expect("outcomes");
    assert_eq!(outcomes, [("reserved".to_owned(), seats)]);
    assert_eq!(sold_out::won(&pool, &event).await.expect("seats"), (seats, seats));

    // Three transactions; the first one's jobs don't count.
    let (jobs, seconds, batches) = reserve::pace(&pool, &[event.id], since).await.expect("a pace");
    assert_eq!((jobs, batches), (seats - 500, 3));
    assert!(seconds > 0.0);
    let (p50, p95, p99) = chain::to_commit_ms(&pool, &event).await.expect("quantiles");
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{p50} {p95} {p99}");

    // One rule after the other is broken.
    let run = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&pool).await.expect("a statement");
        violations(&pool).await
    };
    let late = "update job_outcomes set decided_at = decided_at + interval '1 hour'
                where number = (select min(number) from job_outcomes)";
    assert_eq!(run(late).await, ["jobs of a lane are decided in their order"]);
    let stood_by = "update job_outcomes set may_stand_by = true
                    where number = (select min(number) from job_outcomes)";
    assert_eq!(run(stood_by).await, [""; 0], "who may have stood by is left out");
    let left_out: u64 =
        check(&pool, Scope::Everything).await.expect("rules").iter().map(|rule| rule.left_out).sum();
    assert_eq!(left_out, 1, "and counted");
    run("update job_outcomes set decided_at = decided_at - interval '1 hour', may_stand_by = false
         where number = (select min(number) from job_outcomes)")
    .await;
    let lost = "delete from seat_claims where seat_id = (select min(seat_id) from seat_claims)";
    assert_eq!(run(lost).await, ["who won a seat has it"]);
    let foreign =
        "update seat_claims set event_id = 0 where seat_id = (select max(seat_id) from seat_claims)";
    let found = run(foreign).await;
    assert!(found.contains(&"a claim is of a seat of its event"), "{found:?}");
    let dead = "update bookings set status = 'cancelled', closed_at = now()
                where id = (select booking_id from seat_claims limit 1)";
    let found = run(dead).await;
    assert!(found.contains(&"who has a seat has a booking that is alive"), "{found:?}");
    let twice = "update job_outcomes set result = (select result from job_outcomes order by number limit 1)
                 where number = (select max(number) from job_outcomes)";
    let found = run(twice).await;
    assert!(found.contains(&"no seat was won twice"), "{found:?}");
}

#[tokio::test]
async fn reservations_run_out_and_their_release_is_timed() {
    let (_servers, postgres, pool, people) = migrated().await;
    let event = Event::create(&pool, "Runs out", SEATS).await.expect("an event");
    let until_ms = event.reserve_all(&pool, &people, -1.0).await.expect("reservations");
    assert_eq!(event.claimed(&pool).await.expect("a count"), u64::from(SEATS));
    assert_eq!(violations(&pool).await, [""; 0]);
    let freed = sweep::look(&pool, &event, until_ms).await.expect("notes");
    assert_eq!((freed.passes, freed.seats), (0, 0));

    let store = store(&postgres).await;
    let third = SEATS as usize / 3;
    let mut last = DuePlace::START;
    for _ in 0..4 {
        let (due, at) = store.due_bookings(last, third).await.expect("a list");
        store.release_expired(&due, Emptied::Keep).await.expect("a pass");
        last = at;
    }
    let freed = sweep::look(&pool, &event, until_ms).await.expect("notes");
    assert_eq!((freed.passes, freed.seats), (4, i64::from(SEATS)));
    assert!(freed.late_ms >= 1_000.0 && freed.span_ms > 0.0, "{} {}", freed.late_ms, freed.span_ms);
    assert_eq!(violations(&pool).await, [""; 0]);
}

#[tokio::test]
async fn deleting_alone_deletes_all() {
    let (_servers, _postgres, pool, people) = migrated().await;
    let event = Event::create(&pool, "Deleting", SEATS).await.expect("an event");
    event.reserve_all(&pool, &people, 3_600.0).await.expect("reservations");
    assert!(sweep::delete_all(&pool, &event).await.expect("a time") > 0.0);
    assert_eq!(event.claimed(&pool).await.expect("a count"), 0);
    assert_eq!(violations(&pool).await, [""; 0]);
}
