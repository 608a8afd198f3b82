//! What must hold of everything that was written, whatever happened.

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::PgPool;

use crate::report::{Table, thousands};

/// A rule, and how often it was broken.
#[derive(Debug, Clone, Serialize)]
pub struct Rule {
    /// What must hold.
    pub rule: &'static str,
    /// How often it did not; 0 is the only good number.
    pub violations: u64,
    /// How many it could not be told of.
    #[serde(rename = "leftOut")]
    pub left_out: u64,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A database that only figures were measured in: nobody gave anything back.
    Everything,
    /// A running system with other people in it: jobs whose number is at least this.
    JobsFrom(i64),
}

const ORDER: &str = "jobs of a lane are decided in their order";

/// Rules for every database.
const ALWAYS: [(&str, &str); 5] = [
    ("a claim is of a seat of its event", include_str!("sql/foreign_seats.sql")),
    ("no area is claimed beyond its capacity", include_str!("sql/overfull_areas.sql")),
    ("who has a seat has a booking that is alive", include_str!("sql/dead_bookings.sql")),
    ("sold + held + free = capacity, per tier", include_str!("sql/tier_sums.sql")),
    (ORDER, include_str!("sql/inversions.sql")),
];

/// Rules for a database in which nobody gave anything back.
const UNTOUCHED: [(&str, &str); 2] = [
    ("no seat was won twice", include_str!("sql/won_twice.sql")),
    ("who won a seat has it", include_str!("sql/won_and_lost.sql")),
];

/// Counts what breaks the rules.
pub async fn check(pool: &PgPool, scope: Scope) -> Result<Vec<Rule>> {
    let (from, rules): (i64, Vec<_>) = match scope {
        Scope::Everything => (0, ALWAYS.into_iter().chain(UNTOUCHED).collect()),
        Scope::JobsFrom(number) => (number, ALWAYS.to_vec()),
    };
    let mut found = Vec::with_capacity(rules.len());
    for (rule, sql) in rules {
        let look = async |sql: &'static str| {
            count(pool, sql, from).await.with_context(|| format!("look whether {rule}"))
        };
        // Whoever stood by was decided in turn, and again later.
        let left_out = if rule == ORDER { look(include_str!("sql/left_out.sql")).await? } else { 0 };
        found.push(Rule { rule, violations: look(sql).await?, left_out });
    }
    Ok(found)
}

/// Counts jobs that were decided after one that had come later.
pub async fn inversions(pool: &PgPool, from: i64) -> Result<u64> {
    count(pool, include_str!("sql/inversions.sql"), from).await
}

async fn count(pool: &PgPool, sql: &'static str, from: i64) -> Result<u64> {
    let count: i64 = sqlx::query_scalar(sql).bind(from).fetch_one(pool).await?;
    Ok(count.unsigned_abs())
}

/// The rules as a table.
pub fn table(rules: &[Rule]) -> String {
    let mut table = Table::new(&["what must hold", "violations"], &[]);
    for rule in rules {
        table.add([rule.rule.to_owned(), thousands(rule.violations)]);
    }
    table.text()
}
