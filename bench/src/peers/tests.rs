//! What becomes of results.

use super::child::{Answer, Said};
use super::compare::Line;
use super::measure::{Measure, Measured};
use super::table;
use crate::figures::Quantity;

const ADD: &str = r#"{"peer":"bullmq","version":"6.7.0","measure":"add","count":20000,"seconds":1.5,"perSecond":13333.3,"adders":50}"#;
const RECOVERY: &str = r#"
{"peer":"bullmq","version":"6.7.0","measure":"recovery","count":8,"seconds":14,"least":10.5,"most":19.25,"lockDuration":10000}
{"peer":"bullmq","version":"6.7.0","measure":"recovery","count":8,"seconds":45.5,"least":31,"most":60,"lockDuration":30000}
"#;

fn said(output: &str, measure: &str) -> Answer {
    Said::read(output, measure).map_err(|error| error.to_string())
}

fn lines(
    measure: Measure,
    usher: &Result<Measured, String>,
    bullmq: &Answer,
    port: Option<&Answer>,
) -> Vec<Line> {
    measure.comparisons().iter().map(|comparison| comparison.line(usher, bullmq, port)).collect()
}

#[test]
fn results_are_read_line_by_line() {
    let found = Said::read(ADD, "add").expect("a result");
    assert_eq!(found[0].quantity(), Some(Quantity::PerSecond(13_333.3)));
    let found = Said::read(RECOVERY, "recovery").expect("results");
    assert_eq!(found[0].quantity(), Some(Quantity::Ms(14_000.0)));
    assert_eq!(found[1].note(), "31.0 to 60.0 s");
    for output in ["", "nonsense", ADD] {
        assert!(Said::read(output, "memory").is_err(), "{output}");
    }
}

#[test]
fn promise_is_held_against_the_peer() {
    let bullmq = said(ADD, "add");
    for (pace, is_kept) in [(26_000.0, false), (27_000.0, true)] {
        let lines =
            lines(Measure::Add, &Ok(Measured::new(Quantity::PerSecond(pace))), &bullmq, Some(&bullmq));
        assert_eq!(lines[0].is_kept(), is_kept);
    }
    let recovery = said(RECOVERY, "recovery");
    let lines = lines(Measure::Recovery, &Ok(Measured::new(Quantity::Ms(15_000.0))), &recovery, None);
    let kept: Vec<bool> = lines.iter().map(Line::is_kept).collect();
    assert_eq!(kept, [true, false]);
}

#[test]
fn what_could_not_be_measured_keeps_no_promise() {
    let (usher, none) = (Ok(Measured::new(Quantity::PerSecond(1e9))), Err("is away".to_owned()));
    let beside_none = lines(Measure::Process, &usher, &none, None);
    assert!(!beside_none[0].is_kept());
    let text = table::text(&beside_none, ("BullMQ", None));
    assert!(
        text.contains("MISSED") && text.ends_with("jobs done that do nothing: BullMQ: is away"),
        "{text}"
    );
    let none_of_usher = lines(Measure::Process, &Err("no".to_owned()), &none, None);
    assert!(!none_of_usher[0].is_kept());
}

#[test]
fn table_tells_both_peers() {
    let bullmq = said(ADD, "add");
    let told = lines(Measure::Add, &Ok(Measured::new(Quantity::PerSecond(40_000.0))), &bullmq, Some(&bullmq));
    let text = table::text(&told, ("BullMQ 6.7.0", Some("Rust port 1.4.4")));
    let row = text.lines().last().expect("a row");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let beside = ["13,333 /s", "3.00×"];
    let expected = ["jobs added one by one", "40,000 /s", beside[0], beside[1], "≥ 2×", "ok"];
    assert_eq!(cells[..6], expected);
    assert_eq!(cells[6..], [beside[0], beside[1], "–", "–"]);
}
