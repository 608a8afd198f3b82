//! Stores that are not as a process needs them: it is told at the start, with what to do.

use shared::telemetry::chain;
use standalone::settings::Part;

use crate::lab::{Lab, TestResult};

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
