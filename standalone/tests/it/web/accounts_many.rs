//! A million people: found by indexes, and known without a store once they were verified.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::aio::MultiplexedConnection;
use reqwest::StatusCode;
use serde_json::json;
use shared::store::{DirectoryQuery, Store};
use sqlx::PgPool;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, PASSWORD, TestResult, eventually, make_event};

const PEOPLE: i32 = 1_000_000;
/// Looked up in each way.
const LOOKS: i32 = 1_000;
/// Verified before, each once.
const KNOWN: i32 = 100;
const REQUESTS: i32 = 20_000;

/// All with the same password.
async fn a_million(pool: &PgPool, hash: &str) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    sqlx::raw_sql("set statement_timeout = 0").execute(&mut *connection).await?;
    sqlx::query(
        "insert into users (email, login, phone, first_name, last_name, password_hash)
         select format('p%s@many.test', n), format('p%s', n), format('+38%s', lpad(n::text, 10, '0')), 'Many', 'People', $2
         from generate_series(1, $1) n",
    )
    .bind(PEOPLE)
    .bind(hash)
    .execute(&mut *connection)
    .await?;
    sqlx::raw_sql("vacuum analyze users").execute(&mut *connection).await?;
    connection.close().await
}

/// How often all people were read from end to end, and how often an index was asked.
async fn scans(pool: &PgPool) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as("select seq_scan, idx_scan from pg_stat_user_tables where relname = 'users'")
        .fetch_one(pool)
        .await
}

/// The 95th percentile by e-mail address, by login name and by phone number.
async fn look_up(store: &Store) -> Result<[Duration; 3], Box<dyn std::error::Error>> {
    let mut took = [const { Vec::new() }; 3];
    for look in 0..LOOKS {
        let n = 1 + look * 7_919 % PEOPLE;
        let begun = Instant::now();
        store.credentials(&format!("p{n}@many.test")).await?.ok_or("nobody by e-mail address")?;
        took[0].push(begun.elapsed());
        let begun = Instant::now();
        store.credentials(&format!("p{n}")).await?.ok_or("nobody by login name")?;
        took[1].push(begun.elapsed());
        let query =
            DirectoryQuery { text: Some(format!("+38{n:010}")), limit: 20, ..DirectoryQuery::default() };
        let begun = Instant::now();
        assert_eq!(store.people(&query).await?.len(), 1, "by phone number");
        took[2].push(begun.elapsed());
    }
    Ok(took.map(|mut all| {
        all.sort_unstable();
        all[all.len() * 95 / 100]
    }))
}

/// How many commands Redis has been given.
async fn commands(redis: &mut MultiplexedConnection) -> Result<i64, Box<dyn std::error::Error>> {
    let stats: String = redis::cmd("INFO").arg("stats").query_async(redis).await?;
    let count = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
    Ok(count.ok_or("Redis does not count")?.trim().parse()?)
}

#[tokio::test]
async fn soak_a_million_people_are_found_by_indexes_and_then_known_without_a_store() -> TestResult {
    let mut lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let nova = lab.account("nova").await?;
    let pool = lab.store().pool().clone();
    let hash: String = sqlx::query_scalar("select password_hash from users where id = $1")
        .bind(nova.shopper.id.0)
        .fetch_one(&pool)
        .await?;
    a_million(&pool, &hash).await?;

    let before = scans(&pool).await?;
    let [by_email, by_login, by_phone] = look_up(lab.store()).await?;
    eprintln!(
        "{PEOPLE} people: p95 of a look-up by e-mail {by_email:?}, login name {by_login:?}, phone {by_phone:?}"
    );
    for slowest in [by_email, by_login, by_phone] {
        assert!(slowest < Duration::from_millis(20), "a look-up takes {slowest:?}");
    }
    // Connections tell what they did a while later.
    eventually("every look-up has asked an index", async || {
        scans(&pool).await.is_ok_and(|now| now.1 - before.1 >= i64::from(LOOKS) * 3)
    })
    .await;
    assert_eq!(scans(&pool).await?.0, before.0, "nobody has read all people");

    // A place in a line is told from memory, so what these requests cost is who asks.
    let poll = format!("/api/bookings/status/{}", nova.shopper.book(event, json!({"quantity": 1})).await?);
    eventually("the place is known", async || {
        let status = nova.shopper.get(&poll).await;
        status.is_ok_and(|(_, status)| status["place"] == 1)
    })
    .await;
    for n in 1..=KNOWN {
        let (status, answer) = lab.basic(&poll, (&format!("p{n}@many.test"), PASSWORD)).await?;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    lab.servers.postgres.kill();
    let client = redis::Client::open(lab.servers.redis.url())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let (commands_before, begun) = (commands(&mut redis).await?, Instant::now());
    let (known_to, path) = (&lab, &poll);
    let statuses: Vec<StatusCode> = stream::iter(0..REQUESTS)
        .map(|n| async move {
            let who = format!("p{}@many.test", 1 + n % KNOWN);
            known_to.basic(path, (&who, PASSWORD)).await.map(|(status, _)| status)
        })
        .buffer_unordered(64)
        .try_collect()
        .await?;
    let (took, given) = (begun.elapsed(), commands(&mut redis).await? - commands_before);
    eprintln!(
        "remembered Basic credentials: {} requests a second, while Redis got {given} commands",
        u128::try_from(REQUESTS)? * 1_000 / took.as_millis().max(1)
    );
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "no PostgreSQL is needed");
    assert!(given < i64::from(REQUESTS) / 10, "Redis was asked {given} times in {REQUESTS} requests");
    let (status, _) = lab.basic(&poll, ("p500000@many.test", PASSWORD)).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "whoever is not known yet is looked up");
    Ok(())
}
