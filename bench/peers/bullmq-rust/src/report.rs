//! Printing results.

use serde_json::{Map, Value};

/// As Cargo.toml has it.
const VERSION: &str = "1.4.4";
const DIGITS: f64 = 1_000.0;

/// What a measure tells.
pub(crate) type Told = Map<String, Value>;

/// What most measures tell.
pub(crate) fn pace(count: usize, seconds: f64) -> Told {
    let mut told = Told::new();
    tell(&mut told, "count", count);
    tell(&mut told, "seconds", seconds);
    tell(&mut told, "perSecond", count as f64 / seconds);
    told
}

/// Adds one thing to what is told.
pub(crate) fn tell(told: &mut Told, name: &str, value: impl Into<Value>) {
    told.insert(name.to_owned(), value.into());
}

/// Prints a result.
pub(crate) fn report(measure: &str, told: Told) {
    let mut line = Told::new();
    tell(&mut line, "peer", "bullmq-rust");
    tell(&mut line, "version", VERSION);
    tell(&mut line, "measure", measure);
    line.extend(told.into_iter().map(|(name, value)| (name, round(value))));
    println!("{}", Value::Object(line));
}

fn round(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() => Value::from((number * DIGITS).round() / DIGITS),
        _ => value,
    }
}
