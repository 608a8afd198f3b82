//! Whoever asked goes away in the midst of it, as a shopper does who closes the page.

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use shared::domain::BookingId;
use shared::store::{Emptied, Store};

use crate::lab::{Lab, TestResult};

/// Steps of a transaction after which somebody goes away: more than the one below has.
const STEPS: u32 = 24;
/// Longer than PostgreSQL takes for an answer.
const STEP: Duration = Duration::from_millis(3);

#[tokio::test]
async fn whoever_goes_away_while_a_transaction_begins_leaves_none_open() -> TestResult {
    let lab = Lab::start_with(&[], &[]).await?;
    let url = format!("--database-url={}", lab.servers.postgres.url());
    let store = Store::connect(&lab.settings(&[&url, "--database-max-connections=1"])?.store).await?;
    let watcher = lab.system.store.pool();
    sqlx::query("create table written (step integer)").execute(watcher).await?;
    let (mut was_under_way, mut was_done) = (false, false);
    for step in 0..STEPS {
        let bookings = [BookingId(uuid::Uuid::nil())];
        let mut releasing = pin!(store.release_expired(&bookings, Emptied::Close));
        was_done = false;
        for _ in 0..step {
            if poll!(releasing.as_mut()).is_ready() {
                was_done = true;
                break;
            }
            was_under_way = true;
            tokio::time::sleep(STEP).await;
        }
        if was_done {
            break;
        }
        releasing.set(store.release_expired(&[], Emptied::Close));
        sqlx::query("insert into written values ($1)")
            .bind(i32::try_from(step)?)
            .execute(store.pool())
            .await?;
        let written: i64 = sqlx::query_scalar("select count(*) from written").fetch_one(watcher).await?;
        assert_eq!(written, i64::from(step) + 1, "what is written after step {step} stands at once");
    }
    assert!(was_under_way && was_done, "every step was left once");
    Ok(())
}
