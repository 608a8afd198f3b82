//! The closing table.

use std::time::Duration;

use hdrhistogram::Histogram;
use shared::domain::Refusal;

use super::api::Api;
use super::ledger::{Counts, Ledger};
use crate::figures::invariants::Rule;
use crate::load::tally::quantile_ms;
use crate::report::{Table, millis, print, thousands};

/// What there is to tell, when all have gone.
pub(super) struct Closing<'a> {
    pub(super) api: &'a Api,
    pub(super) ledger: &'a Ledger,
    pub(super) shoppers: usize,
    pub(super) took: Duration,
    pub(super) seed: u64,
    pub(super) longest_hold_s: u64,
    /// What the database says, or why it could not be asked.
    pub(super) rules: Result<Vec<Rule>, String>,
}

/// Of so many one may fail, as on any network, before it counts.
const TOLERATED: u64 = 100;

/// Prints it; false when a promise was broken or could not be looked at, or when too much failed.
pub(super) fn print_closing(closing: &Closing<'_>) -> bool {
    let counts = closing.ledger.counts();
    let seconds = closing.took.as_secs();
    print(&format!(
        "\n{} shoppers in {seconds} s (--seed {})\n",
        thousands(closing.shoppers as u64),
        closing.seed
    ));
    print(&fates(&counts, closing.longest_hold_s));
    print(&format!("\n{}", calls(closing.api)));
    let errors = closing.api.errors();
    if errors.is_empty() {
        print("\nno errors");
    } else {
        let mut table = Table::new(&["errors by code", "times"], &[]);
        for (code, times) in errors {
            table.add([code, thousands(times)]);
        }
        print(&format!("\n{}", table.text()));
    }
    let (text, is_kept) = promises(closing, &counts);
    print(&format!("\n{text}"));
    is_kept
}

fn fates(counts: &Counts, longest_hold_s: u64) -> String {
    let mut table = Table::new(&["shoppers", "", ""], &[2]);
    let mut add = |what: &str, count: u64, note: String| table.add([what.to_owned(), thousands(count), note]);
    add("reserved", counts.reserved, format!("{} places", thousands(counts.places)));
    let by_code = counts.refused.iter().map(|(code, count)| format!("{} {code}", thousands(*count)));
    let by_code = by_code.collect::<Vec<_>>().join(", ");
    add("refused", counts.refused.values().sum(), by_code);
    add("left the line", counts.left, String::new());
    add("released a place", counts.released, String::new());
    add("cancelled", counts.cancelled, String::new());
    add("expired, as told on a socket", counts.expired, String::new());
    let hold = if counts.walked_away == 0 {
        String::new()
    } else {
        format!("not waited for: holds run on, for up to {} min", longest_hold_s.div_ceil(60))
    };
    add("walked away from their cart", counts.walked_away, hold);
    if counts.still_waiting > 0 {
        add("still in line at the end", counts.still_waiting, String::new());
    }
    if counts.gave_up > 0 {
        add("gave up after an error", counts.gave_up, String::new());
    }
    add("messages on sockets", counts.messages, String::new());
    table.text()
}

fn calls(api: &Api) -> String {
    let mut table = Table::new(&["call", "times", "p50", "p95", "p99", "longest"], &[]);
    for (name, latency) in api.latencies() {
        let at = |quantile| millis(quantile_ms(&latency, quantile));
        table.add([
            name.to_owned(),
            thousands(Histogram::len(&latency)),
            at(0.5),
            at(0.95),
            at(0.99),
            at(1.0),
        ]);
    }
    table.text()
}

fn promises(closing: &Closing<'_>, counts: &Counts) -> (String, bool) {
    let mut table = Table::new(&["what must hold", "violations", ""], &[2]);
    let mut is_kept = true;
    let mut add = |what: &str, count: u64, note: &str| {
        is_kept &= count == 0;
        table.add([what.to_owned(), thousands(count), note.to_owned()]);
    };
    add("oversold: a place told to two at the same time", closing.ledger.oversold(), "as shoppers were told");
    let refreshed = format!("of {} sent twice", thousands(counts.refreshed));
    add("the same request is the same job", counts.other_job, &refreshed);
    add("the cart holds what was won", counts.other_cart, "");
    let outcomes = closing.api.outcomes();
    add("no answer is an error of the server (5xx)", outcomes.server_errors, "");
    let of_calls = format!("{} failed, one in {TOLERATED} may", thousands(outcomes.failed));
    add("calls do not fail", beyond(outcomes.failed, outcomes.calls), &of_calls);
    let of_shoppers = format!("{} gave up, one in {TOLERATED} may", thousands(counts.gave_up));
    add("shoppers do not give up", beyond(counts.gave_up, closing.shoppers as u64), &of_shoppers);
    add("nobody is left in line", counts.still_waiting, "");
    add("no job fails by itself", failed_jobs(counts), "");
    add("somebody had an outcome", u64::from(!has_outcome(counts)), "");
    match &closing.rules {
        Ok(rules) => {
            for rule in rules {
                let note = match rule.left_out {
                    0 => "in the database".to_owned(),
                    some => format!("in the database, without {} who may have stood by", thousands(some)),
                };
                add(rule.rule, rule.violations, &note);
            }
        }
        Err(why) => {
            is_kept = false;
            table.add([
                "jobs of a lane are decided in their order".to_owned(),
                "not looked at".to_owned(),
                why.clone(),
            ]);
        }
    }
    (table.text(), is_kept)
}

/// How many are too many.
fn beyond(count: u64, of: u64) -> u64 {
    count.saturating_sub(of / TOLERATED)
}

/// Jobs whose end is no business "no".
fn failed_jobs(counts: &Counts) -> u64 {
    let is_business = |code: &str| Refusal::from_code(code).is_some_and(|known| known != Refusal::Internal);
    counts.refused.iter().filter(|(code, _)| !is_business(code)).map(|(_, count)| count).sum()
}

fn has_outcome(counts: &Counts) -> bool {
    counts.reserved > 0 || counts.left > 0 || !counts.refused.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    fn api() -> Api {
        let target = Target { address: ([127, 0, 0, 1], 1).into(), host: "127.0.0.1:1".to_owned() };
        Api::new(target).expect("a client")
    }

    /// What is told of a crowd of 200 that was seen to by `api`.
    fn promised(api: &Api, counts: &Counts, rules: Result<Vec<Rule>, String>) -> (String, bool) {
        let closing = Closing {
            api,
            ledger: &Ledger::default(),
            shoppers: 200,
            took: Duration::ZERO,
            seed: 1,
            longest_hold_s: 0,
            rules,
        };
        promises(&closing, counts)
    }

    fn is_kept(counts: &Counts, rules: Result<Vec<Rule>, String>) -> bool {
        promised(&api(), counts, rules).1
    }

    #[test]
    fn the_table_tells_what_became_of_shoppers_and_how_long_calls_took() {
        let refused = [("sold_out".to_owned(), 1_200), ("seat_taken".to_owned(), 3)].into();
        let counts = Counts { reserved: 41, refused, expired: 7, ..Counts::default() };
        let told = fates(&counts, 0);
        let has = |what: &str, count: &str| {
            told.lines()
                .any(|line| line.starts_with(what) && line.split_whitespace().any(|word| word == count))
        };
        assert!(has("reserved", "41") && has("refused", "1,203") && has("expired", "7"), "{told}");
        assert!(told.contains("1,200 sold_out") && told.contains("3 seat_taken"), "{told}");
        let head = calls(&api());
        assert!(["p50", "p95", "p99"].iter().all(|column| head.contains(column)), "{head}");
        let order = Rule { rule: "jobs of a lane are decided in their order", violations: 0, left_out: 0 };
        let (promised, _) = promised(&api(), &counts, Ok(vec![order]));
        assert!(promised.contains("oversold") && promised.contains("decided in their order"), "{promised}");
    }

    #[test]
    fn a_crowd_succeeds_only_when_it_was_served_and_looked_after() {
        let rule = |violations| Rule { rule: "a rule", violations, left_out: 0 };
        let served = Counts { reserved: 198, gave_up: 2, ..Counts::default() };
        assert!(is_kept(&served, Ok(vec![rule(0)])));
        assert!(!is_kept(&served, Ok(vec![rule(1)])), "a rule was broken");
        assert!(!is_kept(&served, Err("no database".to_owned())), "nobody looked");
        let refused = |code: &str| std::collections::BTreeMap::from([(code.to_owned(), 1)]);
        assert!(is_kept(&Counts { refused: refused("sold_out"), ..served.clone() }, Ok(Vec::new())));
        assert!(
            !is_kept(&Counts { refused: refused("internal"), ..served.clone() }, Ok(Vec::new())),
            "a job failed"
        );
        assert!(!is_kept(&Counts { still_waiting: 1, ..served.clone() }, Ok(Vec::new())), "one waits on");
        assert!(!is_kept(&Counts { gave_up: 3, ..served }, Ok(Vec::new())), "too many gave up");
        assert!(!is_kept(&Counts::default(), Ok(Vec::new())), "nobody had an outcome");
    }
}
