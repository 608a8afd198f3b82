//! Every key is built here and nowhere else.

use crate::domain::{AreaId, EventId, Reservation, SeatId};

/// How many partitions there are. Changing it moves events between hash slots: drain the queue first.
pub const PARTITIONS: u16 = 8;

/// One of [`PARTITIONS`]; all keys of an event share its hash slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u16);

impl Partition {
    /// The partition of an event.
    pub fn of(event: EventId) -> Self {
        let index = event.0.rem_euclid(i64::from(PARTITIONS));
        Self(u16::try_from(index).unwrap_or(0))
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// From 0 to [`PARTITIONS`] - 1.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Builds keys under one prefix.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
}

macro_rules! partition_keys {
    ($($name:ident),*) => { $(
        #[doc = concat!("The key `", stringify!($name), "` of a partition.")]
        pub fn $name(&self, partition: Partition) -> String {
            format!("{}:{{p{:03}}}:{}", self.prefix, partition.0, stringify!($name))
        }
    )* };
}

macro_rules! lane_keys {
    ($($name:ident),*) => { $(
        #[doc = concat!("The key `", stringify!($name), "` of a lane.")]
        pub fn $name(&self, event: EventId) -> String {
            let partition = Partition::of(event);
            format!("{}:{{p{:03}}}:lane:{event}:{}", self.prefix, partition.0, stringify!($name))
        }
    )*
        /// Every key of a lane, `meta`, `wait`, `standby` and `delayed` first.
        pub fn whole_lane(&self, event: EventId) -> Vec<String> {
            vec![$(self.$name(event)),*]
        }
    };
}

impl Keys {
    /// Keys that start with this.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    partition_keys!(partition, ready, lanes, feed, leased);
    lane_keys!(
        meta, wait, standby, delayed, owners, attempts, errors, idem, idem_old, completed, failed, history
    );

    /// What is left of a budget that all gateways share.
    pub fn budget(&self, name: &str) -> String {
        format!("{}:budget:{name}", self.prefix)
    }

    /// The channel on which lanes with new work are named.
    pub fn wake(&self) -> String {
        format!("{}:wake", self.prefix)
    }

    /// An answer about the catalogue in one of its states.
    pub fn catalogue(&self, version: &str, question: u128) -> String {
        format!("{}:catalogue:{version}:{question:032x}", self.prefix)
    }

    /// The stream of a topic's facts.
    pub fn stream(&self, topic: &str) -> String {
        format!("{}:{{stream:{topic}}}", self.prefix)
    }

    /// The run of Redis that the stream of a topic was begun in.
    pub fn stream_run(&self, topic: &str) -> String {
        format!("{}:{{stream:{topic}}}:run", self.prefix)
    }

    /// The lock of a seat.
    pub fn seat_lock(&self, event: EventId, seat: SeatId) -> String {
        format!("{}:{{p{:03}}}:seat:{seat}:lock", self.prefix, Partition::of(event).0)
    }

    /// Who reserved a seat, with the hold as its TTL.
    pub fn seat_reserved(&self, event: EventId, seat: SeatId) -> String {
        format!("{}:{{p{:03}}}:seat:{seat}:reserved", self.prefix, Partition::of(event).0)
    }

    /// The lock of a slot of an area.
    pub fn slot_lock(&self, event: EventId, area: AreaId, slot: u32) -> String {
        format!("{}:{{p{:03}}}:area:{area}:{slot}:lock", self.prefix, Partition::of(event).0)
    }

    /// Who reserved a slot of an area.
    pub fn slot_reserved(&self, event: EventId, area: AreaId, slot: u32) -> String {
        format!("{}:{{p{:03}}}:area:{area}:{slot}:reserved", self.prefix, Partition::of(event).0)
    }

    /// The reservation keys of all that a job won.
    pub(super) fn reserved(&self, event: EventId, won: &Reservation) -> Vec<String> {
        let seats = won.seats.iter().map(|seat| self.seat_reserved(event, *seat));
        let slots = won.slots.iter().map(|(area, slot)| self.slot_reserved(event, *area, *slot));
        seats.chain(slots).collect()
    }
}
