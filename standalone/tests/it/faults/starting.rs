//! Stores that are not as a process needs them: it is told at the start, with what to do.

use std::time::{Duration, Instant};

use shared::store::Store;
use shared::telemetry::chain;
use sqlx::{Connection as _, Executor as _, PgConnection};
use standalone::servers::scratch;
use standalone::settings::{Part, Settings};

use crate::lab::{Lab, TestResult, eventually, free_port};

/// What another sweeper says that is started now; nothing when it starts.
async fn refusal(lab: &Lab) -> String {
    match lab.start_part(Part::Sweeper).await {
        Ok(sweeper) => {
            sweeper.stop().await;
            String::new()
        }
        Err(error) => chain(error.as_ref()),
    }
}

#[tokio::test]
async fn a_schema_that_is_behind_is_told_with_the_way_out() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    assert_eq!(refusal(&lab).await, "");
    let pool = lab.store().pool();
    let newest: i64 = sqlx::query_scalar(
        "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations) returning version",
    )
    .fetch_one(pool)
    .await?;
    let told = refusal(&lab).await;
    for part in [format!("migration {newest} "), "the first of 1;".to_owned(), "`usher migrate`".to_owned()] {
        assert!(told.contains(&part), "{part:?} is not in {told:?}");
    }
    sqlx::query("alter table _sqlx_migrations rename to not_here").execute(pool).await?;
    let told = refusal(&lab).await;
    assert!(told.contains("`usher migrate`") && !told.contains(&newest.to_string()), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_schema_that_is_ahead_keeps_nobody_from_starting() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (29991231000000, 'to come', true, 'x', 0)",
    )
    .execute(lab.store().pool())
    .await?;
    assert_eq!(refusal(&lab).await, "");
    Ok(())
}

#[tokio::test]
async fn a_schema_of_another_program_is_refused() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let other = "update _sqlx_migrations set checksum = 'x'
         where version = (select min(version) from _sqlx_migrations) returning version";
    let first: i64 = sqlx::query_scalar(other).fetch_one(lab.store().pool()).await?;
    let told = refusal(&lab).await;
    assert!(told.contains(&format!("migration {first} of the schema is another one")), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_redis_that_evicts_keys_is_refused() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let mut redis = lab.system.queue.connection();
    let mut set = async |name: &str, value: &str| {
        let set = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).to_owned();
        set.query_async::<()>(&mut redis).await
    };
    set("maxmemory-policy", "volatile-lru").await?;
    assert_eq!(refusal(&lab).await, "", "nothing is evicted without a limit");
    set("maxmemory", "500mb").await?;
    let told = refusal(&lab).await;
    for part in ["maxmemory-policy is volatile-lru", "config set maxmemory-policy noeviction"] {
        assert!(told.contains(part), "{part:?} is not in {told:?}");
    }
    set("maxmemory-policy", "noeviction").await?;
    assert_eq!(refusal(&lab).await, "");
    Ok(())
}

#[tokio::test]
async fn a_node_of_a_cluster_that_evicts_keys_is_refused_and_the_fullest_counts() -> TestResult {
    let lab = Lab::start_on_cluster().await?;
    let nodes = &lab.cluster.as_ref().ok_or("no cluster")?.nodes;
    assert_eq!(refusal(&lab).await, "");
    assert!(lab.system.queue.fullness().await? <= 0.0, "no node has a limit");
    let mut last = redis::Client::open(nodes[2].url())?.get_multiplexed_async_connection().await?;
    for (name, value) in [("maxmemory", "500mb"), ("maxmemory-policy", "allkeys-lru")] {
        let () = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).query_async(&mut last).await?;
    }
    let told = refusal(&lab).await;
    assert!(told.contains("maxmemory-policy is allkeys-lru"), "{told}");
    let fullness = lab.system.queue.fullness().await?;
    assert!((0.001..0.5).contains(&fullness), "{fullness}");
    Ok(())
}

/// What a process says that finds PostgreSQL at this address; nothing when it is connected.
async fn unreachable(url: &str) -> Result<String, Box<dyn std::error::Error>> {
    let settings = Settings::from_words([format!("--database-url={url}").as_str()])?;
    Ok(Store::connect(&settings.store).await.err().map(|error| chain(&error)).unwrap_or_default())
}

#[tokio::test]
async fn why_there_is_no_connection_to_postgres_is_told_without_the_password() -> TestResult {
    let servers = scratch().await?;
    assert_eq!(unreachable(&servers.postgres.url()).await?, "");

    let told = unreachable(&servers.postgres.url_of("nowhere")).await?;
    assert!(told.contains("database \"nowhere\" does not exist"), "{told}");

    let port = free_port()?;
    let started = Instant::now();
    let told = unreachable(&format!("postgres://usher:hush-hush@127.0.0.1:{port}/usher")).await?;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(told.contains("Connection refused") && !told.contains("hush-hush"), "{told}");
    assert!(told.contains(&format!("usher@127.0.0.1:{port}, database usher")), "{told}");

    let mut owner = PgConnection::connect(&servers.postgres.url()).await?;
    owner.execute("create role guest login password 'right'").await?;
    let rules: String = sqlx::query_scalar("show hba_file").fetch_one(&mut owner).await?;
    let rule = "copy (values ('local all guest scram-sha-256'), ('local all all trust'))";
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{rule} to '{rules}'; select pg_reload_conf()")))
        .execute(&mut owner)
        .await?;
    let guest = |password: &str| {
        servers.postgres.url().replace("postgres://usher@", &format!("postgres://guest:{password}@"))
    };
    eventually("passwords are asked for", async || {
        unreachable(&guest("hush-hush")).await.is_ok_and(|told| {
            assert!(!told.contains("hush-hush"), "{told}");
            told.contains("password authentication failed for user \"guest\"")
        })
    })
    .await;
    assert_eq!(unreachable(&guest("right")).await?, "");
    Ok(())
}
