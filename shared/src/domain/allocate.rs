//! The choice of places for one request, on the map as it is believed to be.

use std::ops::Range;

use super::{AreaId, Hold, Layout, Place, Refusal, Seat, SeatMap, SectionId, TierId, Wanted};

/// The places chosen for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// As many as were asked for.
    pub places: Vec<Place>,
}

/// Chooses places; nothing is marked as taken.
///
/// Best available means: rows in the layout's order; side by side, nearest to the middle of the row, and
/// without leaving a single seat between taken ones as long as any row permits that. Where not so many seats are left, as
/// where there are none at all, it means the first area that has room for everybody.
///
/// # Errors
/// Why nothing fits.
pub fn choose(layout: &Layout, map: &mut SeatMap, wanted: &Wanted) -> Result<Choice, Refusal> {
    let places = match wanted {
        Wanted::Named { seats, or_best } => {
            let named: Option<Vec<Place>> = seats
                .iter()
                .map(|seat| layout.index_of(*seat).map(Place::Seat))
                .map(|place| place.filter(|place| map.get(*place) == Hold::Free))
                .collect();
            match named {
                Some(places) => places,
                None if *or_best => {
                    best(layout, map, &Filter::none(), u32::try_from(seats.len()).unwrap_or(0), false)?
                }
                None => return Err(Refusal::SeatTaken),
            }
        }
        Wanted::Best { quantity, tier, section, adjacent, or_any } => {
            match best_or_standing(layout, map, (*tier, *section), *quantity, *adjacent) {
                Err(_) if *or_any => best_or_standing(layout, map, (None, None), *quantity, false)?,
                places => places?,
            }
        }
        Wanted::Area { area, quantity } => area_slots(layout, map, *area, *quantity)?,
    };
    Ok(Choice { places })
}

fn best_or_standing(
    layout: &Layout,
    map: &mut SeatMap,
    (tier, section): (Option<TierId>, Option<SectionId>),
    quantity: u32,
    adjacent: bool,
) -> Result<Vec<Place>, Refusal> {
    match best(layout, map, &Filter::new(layout, tier, section), quantity, adjacent) {
        Err(Refusal::SoldOut) if section.is_none() => standing(layout, map, tier, quantity),
        seats => seats,
    }
}

fn standing(
    layout: &Layout,
    map: &mut SeatMap,
    tier: Option<TierId>,
    quantity: u32,
) -> Result<Vec<Place>, Refusal> {
    let mut areas = layout.areas.iter().filter(|area| tier.is_none_or(|tier| tier == area.tier));
    areas.find_map(|area| area_slots(layout, map, area.id, quantity).ok()).ok_or(Refusal::SoldOut)
}

fn area_slots(
    layout: &Layout,
    map: &mut SeatMap,
    area: AreaId,
    quantity: u32,
) -> Result<Vec<Place>, Refusal> {
    let index = layout.area_index(area).ok_or(Refusal::SoldOut)?;
    let slots = map.lowest_slots(index, quantity as usize);
    if slots.len() < quantity as usize {
        return Err(Refusal::SoldOut);
    }
    Ok(slots.into_iter().map(|slot| Place::Slot(index, slot)).collect())
}

/// Which seats a request may get.
struct Filter {
    tier: Option<TierId>,
    /// Index of the section; `Some(None)` for one that this event does not have.
    section: Option<Option<u32>>,
}

impl Filter {
    fn none() -> Self {
        Self { tier: None, section: None }
    }

    fn new(layout: &Layout, tier: Option<TierId>, section: Option<SectionId>) -> Self {
        let section = section.map(|id| {
            layout.sections.iter().position(|known| known.id == id).and_then(|at| u32::try_from(at).ok())
        });
        Self { tier, section }
    }

    /// `None`: no seat of the row fits; `Some(true)`: all do; `Some(false)`: look at each.
    fn row(&self, layout: &Layout, row: usize) -> Option<bool> {
        let row = layout.rows.get(row)?;
        if self.section.is_some_and(|section| section != Some(row.section)) {
            return None;
        }
        match (self.tier, row.tier) {
            (None, _) => Some(true),
            (Some(wanted), Some(tier)) => (wanted == tier).then_some(true),
            (Some(_), None) => Some(false),
        }
    }

    fn seat(&self, seat: &Seat) -> bool {
        self.tier.is_none_or(|tier| tier == seat.tier)
    }
}

fn best(
    layout: &Layout,
    map: &mut SeatMap,
    filter: &Filter,
    quantity: u32,
    adjacent: bool,
) -> Result<Vec<Place>, Refusal> {
    for is_clean in [true, false] {
        for row in map.first_fit(quantity, is_clean)..layout.rows.len() {
            let Some(all_fit) = filter.row(layout, row) else { continue };
            if !map.may_fit(row, quantity, is_clean) {
                continue;
            }
            if let Some(start) = side_by_side(layout, map, filter, row, quantity, is_clean) {
                return Ok((start..start + quantity).map(Place::Seat).collect());
            }
            if all_fit {
                map.note_misfit(row, quantity, is_clean);
            }
        }
    }
    let first = map.first_open_row();
    let split = scattered(layout, map, filter, first, quantity as usize);
    match (split.len() == quantity as usize, adjacent) {
        (true, false) => Ok(split),
        (true, true) => Err(Refusal::NotEnoughAdjacent),
        (false, _) => Err(Refusal::SoldOut),
    }
}

/// The start of the group nearest to the middle of the row.
fn side_by_side(
    layout: &Layout,
    map: &SeatMap,
    filter: &Filter,
    row: usize,
    quantity: u32,
    is_clean: bool,
) -> Option<u32> {
    let row = layout.rows.get(row)?;
    let (first, end) = (row.first as usize, (row.first + row.len) as usize);
    let seats = layout.seats.get(first..end)?.iter().zip(map.seats().get(first..end)?);
    let mut is_free = seats.map(|(seat, hold)| *hold == Hold::Free && filter.seat(seat));
    let (middle, mut start, mut found) = (row.first * 2 + row.len, row.first, None);
    while start < row.first + row.len {
        let run = is_free.by_ref().take_while(|is_free| *is_free).count();
        let run_end = start + u32::try_from(run).unwrap_or(0);
        if let Some(at) = nearest_start(start..run_end, middle, quantity, is_clean) {
            let distance = (at * 2 + quantity).abs_diff(middle);
            if found.is_none_or(|(nearest, _)| distance < nearest) {
                found = Some((distance, at));
            }
        }
        start = run_end + 1;
    }
    found.map(|(_, at)| at)
}

/// Where a group starts within a run of free seats, to be nearest to the middle of its row (twice that, so that it is whole).
/// A clean one leaves no single seat: it starts anywhere but at the second place, or at the last but one, so one that may
/// be is within two places of the nearest.
fn nearest_start(run: Range<u32>, middle: u32, quantity: u32, is_clean: bool) -> Option<u32> {
    let last = run.end.checked_sub(quantity).filter(|last| *last >= run.start)?;
    let nearest = (middle.saturating_sub(quantity) / 2).clamp(run.start, last);
    let around = nearest.saturating_sub(2).max(run.start)..=(nearest + 3).min(last);
    let leaves_single = |at: u32| at - run.start == 1 || last - at == 1;
    around
        .filter(|at| !(is_clean && leaves_single(*at)))
        .min_by_key(|at| (at * 2 + quantity).abs_diff(middle))
}

fn scattered(layout: &Layout, map: &SeatMap, filter: &Filter, first: usize, quantity: usize) -> Vec<Place> {
    let mut places = Vec::with_capacity(quantity);
    for (number, row) in layout.rows.iter().enumerate().skip(first) {
        if map.row_free(number) == 0 || filter.row(layout, number).is_none() {
            continue;
        }
        for index in row.first..row.first + row.len {
            let fits = layout.seats.get(index as usize).is_some_and(|seat| filter.seat(seat));
            if fits && map.get(Place::Seat(index)) == Hold::Free {
                places.push(Place::Seat(index));
                if places.len() == quantity {
                    return places;
                }
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Area, EventId, Money, SeatId, SeatRecord, Section, Tier};

    /// Two sections with rows of these lengths; the second section costs less.
    fn hall(rows: &[u32]) -> Layout {
        let tier = |id, name: &str| Tier {
            id: TierId(id),
            name: name.to_owned(),
            price: Money { amount: 100 * id, currency: "EUR".to_owned() },
        };
        let section = |id: i64| Section { id: SectionId(id), name: format!("S{id}") };
        let mut seats = Vec::new();
        for part in 0..2u32 {
            for (row, len) in rows.iter().enumerate() {
                for seat in 0..*len {
                    seats.push(SeatRecord {
                        id: SeatId(i64::try_from(seats.len()).expect("small") + 1),
                        section: part,
                        row: row.to_string(),
                        label: seat.to_string(),
                        tier: TierId(i64::from(part) + 1),
                        x: 0.0,
                        y: 0.0,
                    });
                }
            }
        }
        let tiers = vec![tier(1, "A"), tier(2, "B")];
        Layout::new(EventId(1), 1, tiers, vec![section(1), section(2)], seats, vec![])
    }

    /// The same with two areas of one place and three, the second of the cheaper tier.
    fn hall_with_areas(rows: &[u32]) -> Layout {
        let mut layout = hall(rows);
        let area = |id, tier, capacity| Area {
            id: AreaId(id),
            name: format!("floor {id}"),
            tier: TierId(tier),
            capacity,
        };
        layout.areas = vec![area(7, 1, 1), area(8, 2, 3)];
        layout
    }

    fn best_of(quantity: u32, adjacent: bool) -> Wanted {
        Wanted::Best { quantity, tier: None, section: None, adjacent, or_any: false }
    }

    fn take(layout: &Layout, map: &mut SeatMap, wanted: &Wanted) -> Result<Vec<Place>, Refusal> {
        let choice = choose(layout, map, wanted)?;
        for place in &choice.places {
            map.set(layout, *place, Hold::Reserved);
        }
        Ok(choice.places)
    }

    #[test]
    fn group_sits_in_the_middle_of_the_best_row() {
        let layout = hall(&[10]);
        let mut map = SeatMap::new(&layout);
        let places = take(&layout, &mut map, &best_of(2, true)).expect("room");
        assert_eq!(places, [Place::Seat(4), Place::Seat(5)]);
    }

    #[test]
    fn no_single_seat_is_left_while_another_row_permits_it() {
        let layout = hall(&[3, 4]);
        let mut map = SeatMap::new(&layout);
        // Two of three would leave one; two of four leave two or none.
        let places = take(&layout, &mut map, &best_of(2, true)).expect("room");
        assert!(places.iter().all(|place| matches!(place, Place::Seat(3..=6))), "{places:?}");
    }

    #[test]
    fn group_is_split_only_when_it_may_be() {
        let layout = hall(&[2]);
        let mut map = SeatMap::new(&layout);
        assert_eq!(choose(&layout, &mut map, &best_of(3, true)), Err(Refusal::NotEnoughAdjacent));
        assert_eq!(take(&layout, &mut map, &best_of(3, false)).expect("room").len(), 3);
        assert_eq!(choose(&layout, &mut map, &best_of(2, false)), Err(Refusal::SoldOut));
    }

    #[test]
    fn where_no_seat_is_left_the_best_is_the_first_area_with_room_for_all() {
        let layout = hall_with_areas(&[1]);
        let mut map = SeatMap::new(&layout);
        let mut best = |quantity| take(&layout, &mut map, &best_of(quantity, false));
        assert_eq!(best(2).expect("seats"), [Place::Seat(0), Place::Seat(1)]);
        assert_eq!(best(2).expect("the first area is too small"), [Place::Slot(1, 1), Place::Slot(1, 2)]);
        assert_eq!(best(2), Err(Refusal::SoldOut), "nobody is split between areas");
        assert_eq!(best(1).expect("the first area"), [Place::Slot(0, 1)]);
        assert_eq!(best(1).expect("the second"), [Place::Slot(1, 3)]);
        assert_eq!(best(1), Err(Refusal::SoldOut));
        let mut map = SeatMap::new(&layout);
        let mut cheaper = || {
            let wanted = Wanted::Best {
                quantity: 1,
                tier: Some(TierId(2)),
                section: None,
                adjacent: true,
                or_any: false,
            };
            take(&layout, &mut map, &wanted)
        };
        let taken = [cheaper(), cheaper(), cheaper()].map(|places| places.expect("room"));
        assert_eq!(taken.concat(), [Place::Seat(1), Place::Slot(1, 1), Place::Slot(1, 2)]);
        let in_section = Wanted::Best {
            quantity: 1,
            tier: None,
            section: Some(SectionId(2)),
            adjacent: false,
            or_any: false,
        };
        assert_eq!(choose(&layout, &mut map, &in_section), Err(Refusal::SoldOut), "an area is in no section");
    }

    #[test]
    fn named_seat_that_is_gone_is_refused_or_replaced() {
        let layout = hall(&[4]);
        let mut map = SeatMap::new(&layout);
        map.set(&layout, Place::Seat(0), Hold::Sold);
        let seats = vec![SeatId(1), SeatId(2)];
        let strict = Wanted::Named { seats: seats.clone(), or_best: false };
        assert_eq!(choose(&layout, &mut map, &strict), Err(Refusal::SeatTaken));
        let flexible = Wanted::Named { seats, or_best: true };
        assert_eq!(choose(&layout, &mut map, &flexible).expect("room").places.len(), 2);
    }

    #[test]
    fn section_and_price_are_kept() {
        let layout = hall(&[3]);
        let mut map = SeatMap::new(&layout);
        let by_tier =
            Wanted::Best { quantity: 1, tier: Some(TierId(2)), section: None, adjacent: true, or_any: false };
        // Not the middle one: it would leave a single seat on either side.
        assert_eq!(choose(&layout, &mut map, &by_tier).expect("room").places, [Place::Seat(3)]);
        let nowhere = Wanted::Best {
            quantity: 1,
            tier: Some(TierId(2)),
            section: Some(SectionId(1)),
            adjacent: true,
            or_any: false,
        };
        assert_eq!(choose(&layout, &mut map, &nowhere), Err(Refusal::SoldOut));
    }

    #[test]
    fn whoever_takes_any_gets_others_only_where_there_are_none_like_that() {
        let layout = hall(&[3]);
        let mut map = SeatMap::new(&layout);
        let wanted = |quantity, or_any| Wanted::Best {
            quantity,
            tier: Some(TierId(2)),
            section: Some(SectionId(2)),
            adjacent: true,
            or_any,
        };
        map.set(&layout, Place::Seat(4), Hold::Sold);
        assert_eq!(choose(&layout, &mut map, &wanted(2, false)), Err(Refusal::NotEnoughAdjacent));
        let places = take(&layout, &mut map, &wanted(2, true)).expect("others");
        assert_eq!(places, [Place::Seat(0), Place::Seat(1)], "side by side elsewhere");
        assert_eq!(take(&layout, &mut map, &wanted(1, true)).expect("one like that"), [Place::Seat(3)]);
        assert_eq!(take(&layout, &mut map, &wanted(2, false)), Err(Refusal::SoldOut));
        let rest = take(&layout, &mut map, &wanted(2, true)).expect("what is left, though apart");
        assert_eq!(rest, [Place::Seat(2), Place::Seat(5)]);
        assert_eq!(take(&layout, &mut map, &wanted(1, true)), Err(Refusal::SoldOut));
    }

    proptest! {
        /// The few starts that are looked at have the one that a look at all of them finds.
        #[test]
        fn nearest_start_is_the_one_that_all_would_give(
            (start, length, quantity, middle, is_clean) in (0u32..9, 0u32..14, 1u32..6, 0u32..50, any::<bool>()),
        ) {
            let end = start + length;
            let fits = |at: &u32| at + quantity <= end;
            let is_allowed = |at: &u32| !is_clean || (at - start != 1 && end - at - quantity != 1);
            let all = (start..end).filter(fits).filter(is_allowed);
            let expected = all.min_by_key(|at| (at * 2 + quantity).abs_diff(middle));
            prop_assert_eq!(nearest_start(start..end, middle, quantity, is_clean), expected);
        }

        /// Whatever was taken and given back before: a choice is of free seats, each once, as many as asked
        /// for; a refusal means that there really are too few (or none side by side).
        #[test]
        fn choice_is_free_exact_and_refused_only_rightly(
            rows in proptest::collection::vec(1u32..12, 1..5),
            steps in proptest::collection::vec((1u32..6, any::<bool>(), any::<u16>()), 1..80),
        ) {
            let layout = hall(&rows);
            let mut map = SeatMap::new(&layout);
            for (quantity, adjacent, back) in steps {
                let free: Vec<bool> = map.seats().iter().map(|hold| *hold == Hold::Free).collect();
                let count = free.iter().filter(|free| **free).count();
                let has_run = layout.rows.iter().any(|row| {
                    let row = &free[row.first as usize..(row.first + row.len) as usize];
                    row.windows(quantity as usize).any(|run| run.iter().all(|free| *free))
                });
                // What is remembered of rows changes no choice.
                let mut fresh = SeatMap::new(&layout);
                for (index, hold) in (0u32..).zip(map.seats()) {
                    fresh.set(&layout, Place::Seat(index), *hold);
                }
                let anew = choose(&layout, &mut fresh, &best_of(quantity, adjacent));
                let taken = take(&layout, &mut map, &best_of(quantity, adjacent));
                prop_assert_eq!(&taken, &anew.map(|choice| choice.places));
                match taken {
                    Ok(places) => {
                        let mut once = places.clone();
                        once.sort_unstable();
                        once.dedup();
                        prop_assert_eq!(once.len(), quantity as usize);
                        for place in &places {
                            let Place::Seat(index) = place else { unreachable!("no areas") };
                            prop_assert!(free[*index as usize]);
                        }
                        if has_run {
                            let Place::Seat(at) = once[0] else { unreachable!("no areas") };
                            let expected: Vec<Place> = (at..at + quantity).map(Place::Seat).collect();
                            prop_assert_eq!(once, expected);
                        }
                    }
                    Err(Refusal::SoldOut) => prop_assert!(count < quantity as usize),
                    Err(Refusal::NotEnoughAdjacent) => prop_assert!(adjacent && !has_run),
                    Err(other) => prop_assert!(false, "{:?}", other),
                }
                let index = u32::from(back) % u32::try_from(layout.seats.len()).expect("small");
                map.set(&layout, Place::Seat(index), Hold::Free);
                let free = map.seats().iter().filter(|hold| **hold == Hold::Free).count();
                prop_assert_eq!(map.free(), free as u64);
            }
        }
    }
}
