//! The costs as text and as Markdown.

use super::costs::{ALL, Cost, Costs};
use crate::report::{Table, thousands, whole};

/// As a table in plain text.
pub(super) fn text(costs: &[Costs]) -> String {
    let headings = headings(costs);
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    for row in rows(costs) {
        table.add(row);
    }
    table.text()
}

/// As a table in Markdown.
pub(super) fn markdown(costs: &[Costs]) -> String {
    let headings = headings(costs);
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let rule = format!("|---|{}", "---:|".repeat(headings.len() - 1));
    let mut lines = vec![line(&headings), rule];
    lines.extend(rows(costs).iter().map(|row| line(row)));
    lines.join("\n")
}

/// What it is, then a column for each length, then by what it grows.
fn headings(costs: &[Costs]) -> Vec<String> {
    let mut headings = vec!["jobs that wait".to_owned()];
    headings.extend(costs.iter().map(|at| thousands(at.waiting)));
    if let [first, .., last] = costs {
        headings.push(format!("{} : {}", thousands(last.waiting), thousands(first.waiting)));
    }
    headings
}

fn rows(costs: &[Costs]) -> Vec<Vec<String>> {
    let row = |cost: &Cost| {
        let mut row = vec![cost.name.to_owned()];
        row.extend(costs.iter().map(|at| digits((cost.of)(at))));
        row.extend(cost.growth(costs).map(|growth| format!("× {growth:.2}")));
        row
    };
    ALL.iter().map(row).collect()
}

/// A number with as many digits as mean something.
pub(super) fn digits(number: f64) -> String {
    if number >= 100.0 {
        thousands(whole(number))
    } else if number >= 10.0 {
        format!("{number:.1}")
    } else if number >= 1.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(waiting: u64, each: f64) -> Costs {
        Costs {
            waiting,
            enqueue: each,
            decide: each,
            place: each,
            rank: each,
            leave: each,
            ping: each,
            bytes: each,
        }
    }

    #[test]
    fn growth_is_from_the_shortest_lane_to_the_longest() {
        let text = markdown(&[at(1_000, 2.0), at(10_000, 9.0), at(1_000_000, 3.0)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "| jobs that wait | 1,000 | 10,000 | 1,000,000 | 1,000,000 : 1,000 |");
        assert_eq!(lines[1], "|---|---:|---:|---:|---:|");
        assert!(lines[2].ends_with("| 2.00 | 9.00 | 3.00 | × 1.50 |"), "{}", lines[2]);
        assert_eq!(lines.len(), 2 + ALL.len());
    }

    #[test]
    fn one_length_alone_does_not_grow() {
        let text = markdown(&[at(1_000, 0.25)]);
        assert!(text.starts_with("| jobs that wait | 1,000 |\n|---|---:|\n"), "{text}");
        assert!(text.ends_with(" | 0.250 |"), "{text}");
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        assert_eq!([0.0431, 7.126, 42.06, 1_234.6].map(digits), ["0.043", "7.13", "42.1", "1,235"]);
    }
}
