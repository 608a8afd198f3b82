//! A streaming replica, and what reads from it.

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::TestResult;
use crate::lab::{EventPlan, Lab, eventually, make_event};

#[tokio::test]
async fn what_may_lag_is_read_at_the_replica_and_what_decides_is_not() -> TestResult {
    let (lab, replica) = Lab::start_with_replica().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let mut standby = PgConnection::connect(&replica.url()).await?;
    let total =
        async || admin.get("/api/events").await.map_or(json!(null), |(_, list)| list["total"].clone());
    make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    eventually("the replica has followed", async || total().await == json!(1)).await;

    standby.execute("select pg_wal_replay_pause()").await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let written: String =
        sqlx::query_scalar("select pg_current_wal_lsn()::text").fetch_one(lab.store().pool()).await?;
    eventually("the replica has received it", async || {
        sqlx::query_scalar("select pg_last_wal_receive_lsn() >= $1::pg_lsn")
            .bind(&written)
            .fetch_one(&mut standby)
            .await
            .unwrap_or(false)
    })
    .await;
    assert_eq!(total().await, json!(1), "the list is the replica's");
    let shopper = lab.shopper().await?;
    let (status, _) = shopper.get(&format!("/api/events/{event}")).await?;
    assert_eq!(status, StatusCode::OK, "one event is read where it is decided on");
    let job = shopper.book_seats(event, &seats[..1]).await?;
    assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    let (_, cart) = shopper.get("/api/cart").await?;
    assert_eq!(cart["items"][0]["seats"].as_array().map(Vec::len), Some(1), "one's own cart never lags");

    standby.execute("select pg_wal_replay_resume()").await?;
    eventually("the replica has caught up", async || total().await == json!(2)).await;
    Ok(())
}

#[tokio::test]
async fn the_primary_is_read_while_the_replica_is_away() -> TestResult {
    let (lab, mut replica) = Lab::start_with_replica().await?;
    let admin = lab.with_role(Role::Admin).await?;
    assert_eq!(admin.get("/api/events").await?.0, StatusCode::OK);
    replica.kill();
    make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    // What was listed before is known for a second; a change of the catalogue is noticed at the primary then.
    eventually("the list is the primary's", async || {
        let (status, list) = admin.get("/api/events").await.expect("an answer");
        assert_eq!(status, StatusCode::OK, "nobody sees an error");
        list["total"] == 1
    })
    .await;
    admin.post("/api/admin/queue/pause", json!({})).await?;
    let (_, lines) = admin.get("/api/admin/audit?action=queue.pause").await?;
    assert_eq!(lines["items"].as_array().map(Vec::len), Some(1), "{lines}");
    Ok(())
}
