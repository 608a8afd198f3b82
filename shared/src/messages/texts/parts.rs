//! Blocks that look alike in every language, given its words.

use super::Language;
use super::letter::Block;
use super::words::{date, money, one_line};
use crate::domain::{EventId, Money};
use crate::store::{ToldCart, ToldOrder, ToldPlace, ToldShow};

/// Subject, short text and blocks, without greeting and footer.
pub(super) type Sheet = (String, String, Vec<Block>);

/// An event: name, venue, date.
pub(super) fn card(language: Language, show: &ToldShow) -> Block {
    let venue = one_line(&format!("{}, {}", show.venue, show.city));
    Block::Card(name(show), vec![venue, date(language, &show.starts)])
}

/// The name of an event.
pub(super) fn name(show: &ToldShow) -> String {
    one_line(&show.name)
}

/// What is in a cart, and what it costs. `row` and `seat` are the words for them.
pub(super) fn places(language: Language, cart: &ToldCart, (row, seat): (&str, &str)) -> Block {
    let words = |place: &ToldPlace| {
        let (section, tier) = (one_line(&place.section), one_line(&place.tier));
        match &place.row_and_seat {
            Some((nth, label)) => {
                format!("{section}, {row} {}, {seat} {} ({tier})", one_line(nth), one_line(label))
            }
            None => format!("{section} ({tier})"),
        }
    };
    Block::Prices(cart.places.iter().map(|place| (words(place), money(language, &place.price))).collect())
}

/// What a cart costs, one sum for each currency.
pub(super) fn total(cart: &ToldCart) -> Vec<Money> {
    Money::totals(cart.places.iter().map(|place| &place.price))
}

/// Every event of an order with its places.
pub(super) fn ordered(language: Language, order: &ToldOrder) -> Vec<Block> {
    let of = |event: EventId| {
        let items = order.items.iter().filter(move |item| item.event == event);
        items.map(|item| {
            let words = format!("{} ({})", one_line(&item.place), one_line(&item.tier));
            (words, money(language, &item.price))
        })
    };
    let each = |show: &ToldShow| [card(language, show), Block::Prices(of(show.id).collect())];
    order.shows.iter().flat_map(each).collect()
}

/// What an order is for: the names of its events.
pub(super) fn names(order: &ToldOrder) -> String {
    order.shows.iter().map(name).collect::<Vec<_>>().join(", ")
}
