//! What there is to ask for.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::api::{Api, Call};

/// Where the demo data comes from.
pub(super) const DEMO: &str =
    "`make run` loads demo data into its private database, `make demo` into one that DATABASE_URL names";

/// An event as shoppers see it.
#[derive(Debug)]
pub(super) struct Show {
    pub(super) id: i64,
    /// Places that one person may have.
    pub(super) seat_limit: u32,
    pub(super) hold_seconds: u64,
    pub(super) sections: Vec<i64>,
    pub(super) areas: Vec<i64>,
    pub(super) rows: Vec<Row>,
}

/// Seats side by side.
#[derive(Debug)]
pub(super) struct Row {
    /// The index of its first seat in the event.
    pub(super) first: usize,
    /// Their ids.
    pub(super) seats: Vec<i64>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    status: String,
    seat_limit: u32,
    hold_seconds: u64,
    sections: Vec<Named>,
    areas: Vec<Named>,
}

#[derive(Deserialize)]
struct SeatMap {
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct Section {
    rows: Vec<SeatRow>,
}

/// Each seat as id, label, x, y.
#[derive(Deserialize)]
struct SeatRow {
    seats: Vec<(i64, serde_json::Value, serde_json::Value, serde_json::Value)>,
}

/// Reads what is on sale.
pub(super) async fn read(api: &Api) -> Result<Vec<Show>> {
    let page: Page = fetch(api, "events", "/api/events?pageSize=100").await?;
    let mut shows = Vec::new();
    for Named { id } in page.items {
        let detail: Detail = fetch(api, "event", &format!("/api/events/{id}")).await?;
        if detail.status != "on_sale" {
            continue;
        }
        let map: SeatMap = fetch(api, "seat map", &format!("/api/events/{id}/seatmap")).await?;
        let mut first = 0;
        let rows = map.sections.into_iter().flat_map(|section| section.rows).map(|row| {
            let row = Row { first, seats: row.seats.into_iter().map(|seat| seat.0).collect() };
            first += row.seats.len();
            row
        });
        let ids = |named: Vec<Named>| named.into_iter().map(|named| named.id).collect::<Vec<_>>();
        shows.push(Show {
            id,
            seat_limit: detail.seat_limit,
            hold_seconds: detail.hold_seconds,
            rows: rows.filter(|row| !row.seats.is_empty()).collect(),
            sections: ids(detail.sections),
            areas: ids(detail.areas),
        });
    }
    shows.retain(|show| !show.rows.is_empty() || !show.areas.is_empty());
    if shows.is_empty() {
        bail!("nothing is on sale: {DEMO}");
    }
    Ok(shows)
}

async fn fetch<T: serde::de::DeserializeOwned>(api: &Api, name: &'static str, path: &str) -> Result<T> {
    let answer = api.call(&Call::get(name, path), None).await;
    let answer = answer.with_context(|| format!("nobody answers at {}", api.target().url()))?;
    if !answer.status.is_success() {
        bail!("{path} was answered with {} ({})", answer.status, answer.code());
    }
    serde_json::from_slice(&answer.bytes).with_context(|| format!("{path} is not as docs/API.md has it"))
}

/// Which seats are free, as the server's bytes say; see `docs/API.md`.
#[derive(Debug, Default)]
pub(super) struct Availability(Vec<u8>);

impl Availability {
    /// Magic, layout version, version, number of seats, number of areas.
    const HEAD: usize = 4 + 4 + 8 + 4 + 4;

    /// Reads the bytes; of other bytes everything looks free.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        if bytes.starts_with(b"UA01") { Self(bytes) } else { Self::default() }
    }

    /// Whether a seat looks free.
    pub(super) fn is_free(&self, index: usize) -> bool {
        let byte = self.0.get(Self::HEAD + index / 4).copied().unwrap_or(0);
        (byte >> (index % 4 * 2)).trailing_zeros() >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_a_seat_are_found() {
        let mut bytes = b"UA01".to_vec();
        bytes.extend([0; 20]);
        // Seats 0 to 7: free, reserved, sold, in queue, then the reverse.
        bytes.extend([0b11_10_01_00, 0b00_01_10_11]);
        let availability = Availability::new(bytes);
        let free: Vec<bool> = (0..8).map(|index| availability.is_free(index)).collect();
        assert_eq!(free, [true, false, false, false, false, false, false, true]);
    }
}
