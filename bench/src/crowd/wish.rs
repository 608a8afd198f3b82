//! What shoppers ask for.

use rand::rngs::StdRng;
use rand::{Rng, RngExt as _};
use reqwest::Method;
use serde_json::json;

use super::api::Call;
use super::hall::{Availability, Row, Show};

/// Seats or places in one request at most.
const MOST: u32 = 4;
/// How often somebody looks for seats that are free side by side.
const LOOKS: usize = 20;
/// One in so many rows, the first ones, are those that everybody wants.
const FAVOURITE_ROWS: usize = 50;

/// Chooses an event: the first is on everybody's lips.
pub(super) fn choose_show<'a>(rng: &mut StdRng, shows: &'a [Show]) -> &'a Show {
    if rng.random_bool(0.5) { &shows[0] } else { &shows[rng.random_range(0..shows.len())] }
}

/// Whether a shopper will want to see what is free before asking.
pub(super) fn wants_named(rng: &mut StdRng, show: &Show) -> bool {
    !show.rows.is_empty() && rng.random_bool(0.5)
}

/// Asks for seats by name.
pub(super) fn named(rng: &mut StdRng, show: &Show, availability: &Availability) -> Call {
    let seats = choose_seats(rng, show, availability);
    if let [seat] = seats[..] {
        match rng.random_range(0..10) {
            0..3 => return Call::new("queue for a seat", Method::POST, format!("/tickets/{seat}/queue")),
            3..5 => {
                return Call::new("select a seat", Method::PATCH, "/api/seats/select")
                    .with(json!({"seatId": seat}));
            }
            _ => {}
        }
    }
    let book = Call::new("book seats by name", Method::POST, format!("/api/bookings/{}/book", show.id));
    if rng.random_bool(0.2) {
        book.with(json!({"seatIds": seats, "fallback": "any"}))
    } else {
        book.with(json!({"seatIds": seats}))
    }
}

/// Asks for the best that is free, or for room in an area.
pub(super) fn chosen_by_usher(rng: &mut StdRng, show: &Show) -> Call {
    let quantity = rng.random_range(1..=MOST.min(show.seat_limit).max(1));
    let path = format!("/api/bookings/{}/book", show.id);
    let is_area = !show.areas.is_empty() && (show.rows.is_empty() || rng.random_bool(0.5));
    if is_area {
        let area = show.areas[rng.random_range(0..show.areas.len())];
        return Call::new("book room in an area", Method::POST, path)
            .with(json!({"quantity": quantity, "areaId": area}));
    }
    let mut body = json!({"quantity": quantity, "adjacent": rng.random_bool(0.5)});
    if !show.sections.is_empty() && rng.random_bool(0.2) {
        body["sectionId"] = json!(show.sections[rng.random_range(0..show.sections.len())]);
    }
    Call::new("book the best", Method::POST, path).with(body)
}

/// Seats side by side that look free, if some are found soon; mostly in the rows that everybody wants.
fn choose_seats(rng: &mut StdRng, show: &Show, availability: &Availability) -> Vec<i64> {
    let favourites = (show.rows.len() / FAVOURITE_ROWS).max(1);
    let rows = if rng.random_bool(0.7) { favourites } else { show.rows.len() };
    let quantity = rng.random_range(1..=MOST.min(show.seat_limit).max(1)) as usize;
    let mut seats = Vec::new();
    for _ in 0..LOOKS {
        let row = &show.rows[rng.random_range(0..rows)];
        let (run, is_free) = run_of_seats(rng, row, quantity, availability);
        seats = run;
        if is_free {
            break;
        }
    }
    seats
}

fn run_of_seats(
    rng: &mut impl Rng,
    row: &Row,
    quantity: usize,
    availability: &Availability,
) -> (Vec<i64>, bool) {
    use rand::RngExt as _;
    let quantity = quantity.min(row.seats.len());
    let at = rng.random_range(0..=row.seats.len() - quantity);
    let is_free = (at..at + quantity).all(|nth| availability.is_free(row.first + nth));
    (row.seats[at..at + quantity].to_vec(), is_free)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn nobody_asks_for_more_than_the_limit_or_the_row_has() {
        let rows = vec![Row { first: 0, seats: vec![7, 8] }, Row { first: 2, seats: vec![9] }];
        let show =
            Show { id: 1, seat_limit: 3, hold_seconds: 900, sections: vec![1], areas: Vec::new(), rows };
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..500 {
            let seats = choose_seats(&mut rng, &show, &Availability::default());
            assert!((1..=2).contains(&seats.len()) && seats.is_sorted());
            let quantity = chosen_by_usher(&mut rng, &show).body.and_then(|body| body["quantity"].as_u64());
            assert!(quantity.is_some_and(|quantity| (1..=3).contains(&quantity)));
        }
    }
}
