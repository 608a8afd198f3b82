//! What a partition's feed says, and reading it.

use std::time::Duration;

use redis::FromRedisValue as _;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use serde::{Deserialize, Serialize};

use super::client::Connection;
use super::control::Pause;
use super::{Partition, Queue, QueueError};
use crate::domain::{AreaId, BookingId, EventId, Outcome, Refusal, Reservation, SeatId, UserId};

/// Entries read at once.
const PAGE: usize = 512;

/// One entry of a feed.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id in the stream, to go on from.
    pub id: String,
    /// The epoch in which it was written.
    pub epoch: String,
    /// Rises by one with every entry of the partition.
    pub seq: u64,
    /// Which lane; event 0 for all of the partition.
    pub event: EventId,
    /// What happened.
    pub change: Change,
}

/// What happened in a lane.
#[derive(Debug, Clone)]
pub enum Change {
    /// `count` jobs were added, numbered from `first` on; some name seats.
    Added {
        /// The first new number.
        first: u64,
        /// How many.
        count: u64,
        /// Seats that jobs want by name.
        named: Vec<(u64, Vec<SeatId>)>,
    },
    /// Everybody who waits up to this number is being decided.
    Claimed(u64),
    /// The claimed ones wait again.
    GivenBack,
    /// Jobs ended, or stand by.
    Done(Done),
    /// Jobs that stood by wait again.
    Recalled(Vec<u64>),
    /// Jobs are back that Redis had forgotten.
    Reentered(Vec<u64>),
    /// Places changed hands outside of a batch.
    Seats(SeatsChanged),
    /// The lane, or the whole queue, is paused or not.
    Control {
        /// Whether, and why.
        pause: Pause,
        /// It is the whole queue.
        is_whole: bool,
    },
}

/// What a settled batch says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Done {
    /// Won: number, owner, what.
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub won: Vec<(u64, UserId, Reservation)>,
    /// Refused: number, owner, code.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<(u64, UserId, String)>,
    /// Stand by now.
    #[serde(rename = "y", default, skip_serializing_if = "Vec::is_empty")]
    pub standby: Vec<u64>,
    /// Places that the batch took over from reservations which had run out count as won already; these are the
    /// people to tell.
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
}

impl Done {
    /// Adds how a job ended.
    pub fn push(&mut self, number: u64, owner: UserId, outcome: &Outcome) {
        match outcome {
            Outcome::Completed(reservation) => self.won.push((number, owner, reservation.clone())),
            Outcome::Failed(refusal) => self.failed.push((number, owner, refusal.code().to_owned())),
        }
    }

    /// The jobs that a worker decided: whoever left or was removed was decided by nobody.
    pub fn decided(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        let by_others = [Refusal::Left, Refusal::Removed].map(Refusal::code);
        let failed = self.failed.iter().filter(move |(.., code)| !by_others.contains(&code.as_str()));
        self.won.iter().map(|(number, ..)| *number).chain(failed.map(|(number, ..)| *number))
    }

    /// How each job ended.
    pub fn outcomes(&self) -> impl Iterator<Item = (u64, UserId, Outcome)> + '_ {
        let won =
            self.won.iter().map(|(number, owner, won)| (*number, *owner, Outcome::Completed(won.clone())));
        let failed = self.failed.iter().map(|(number, owner, code)| {
            (*number, *owner, Outcome::Failed(Refusal::from_code(code).unwrap_or(Refusal::Internal)))
        });
        won.chain(failed)
    }
}

/// Places that changed hands outside of a batch, and who is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SeatsChanged {
    /// Free again.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatId>,
    /// Slots that are free again.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<(AreaId, u32)>,
    /// Whose they were.
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
    /// Sold.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub sold: Vec<SeatId>,
    /// Slots that are sold.
    #[serde(rename = "q", default, skip_serializing_if = "Vec::is_empty")]
    pub sold_slots: Vec<(AreaId, u32)>,
}

impl SeatsChanged {
    /// Whether no place came free.
    pub fn is_nothing_freed(&self) -> bool {
        self.seats.is_empty() && self.slots.is_empty()
    }
}

/// Somebody to tell that a booking lost places.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    /// Who.
    #[serde(rename = "u")]
    pub user: UserId,
    /// Which booking.
    #[serde(rename = "b")]
    pub booking: BookingId,
    /// Its time ran out; else it was given up.
    #[serde(rename = "x")]
    pub is_expiry: bool,
    /// Which seats.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatId>,
    /// Which slots of areas.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<(AreaId, u32)>,
}

/// An entry as it stands in the stream.
#[derive(Debug, Clone)]
pub struct RawEntry {
    /// Its id in the stream.
    pub id: String,
    /// Rises by one with every entry of the partition.
    pub seq: u64,
    /// The epoch in which it was written.
    pub epoch: String,
    /// Which lane; event 0 for all of the partition.
    pub event: EventId,
    /// What kind of thing happened.
    pub kind: String,
    /// What exactly.
    pub data: String,
}

/// A part of a feed.
#[derive(Debug, Clone)]
pub struct FeedPage {
    /// In order.
    pub entries: Vec<RawEntry>,
    /// The entry that was asked with is not kept any more, nor perhaps what came right after it.
    pub is_gap: bool,
}

impl Queue {
    /// A part of a feed after an entry, or from the oldest that is kept.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn feed_page(
        &self,
        partition: Partition,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<FeedPage, QueueError> {
        let key = self.keys().feed(partition);
        let mut pipe = redis::pipe();
        pipe.cmd("XRANGE").arg(&key).arg(after.unwrap_or("-")).arg("+").arg("COUNT").arg(at_most + 1);
        let (reply,): (StreamRangeReply,) = pipe.query_async(&mut self.connection()).await?;
        let mut entries: Vec<RawEntry> = reply.ids.iter().filter_map(read_raw).collect();
        // The entry that one has is still there, unless it is kept no more.
        let is_gap = after.is_some_and(|after| entries.first().is_none_or(|first| first.id != after));
        if after.is_some() && !is_gap && !entries.is_empty() {
            entries.remove(0);
        }
        entries.truncate(at_most);
        Ok(FeedPage { entries, is_gap })
    }

    /// Where a feed stands: the id of its last entry ("0-0" for none).
    ///
    /// # Errors
    /// Redis is away.
    pub async fn feed_end(&self, partition: Partition) -> Result<String, QueueError> {
        let last: StreamRangeReply = redis::cmd("XREVRANGE")
            .arg(self.keys().feed(partition))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .query_async(&mut self.connection())
            .await?;
        Ok(last.ids.into_iter().next().map_or_else(|| "0-0".to_owned(), |entry| entry.id))
    }

    /// Waits for what comes after an entry; nothing within `longest` gives an empty list.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn read_feed(
        &self,
        connection: &mut Connection,
        partition: Partition,
        after: &str,
        longest: Duration,
    ) -> Result<Vec<Entry>, QueueError> {
        let reply: Option<StreamReadReply> = redis::cmd("XREAD")
            .arg("COUNT")
            .arg(PAGE)
            .arg("BLOCK")
            .arg(u64::try_from(longest.as_millis()).unwrap_or(1_000))
            .arg("STREAMS")
            .arg(self.keys().feed(partition))
            .arg(after)
            .query_async(connection)
            .await?;
        let ids = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        ids.map(|entry| read(entry).ok_or(QueueError::Reply("a feed entry is malformed"))).collect()
    }
}

fn read_raw(entry: &StreamId) -> Option<RawEntry> {
    let field = |name: &str| String::from_redis_value(entry.map.get(name)?.clone()).ok();
    Some(RawEntry {
        id: entry.id.clone(),
        seq: field("s")?.parse().ok()?,
        epoch: field("e")?,
        event: EventId(field("l")?.parse().ok()?),
        kind: field("k")?,
        data: field("d")?,
    })
}

fn read(entry: StreamId) -> Option<Entry> {
    let field = |name: &str| String::from_redis_value(entry.map.get(name)?.clone()).ok();
    let data = field("d")?;
    let change = match field("k")?.as_str() {
        "add" => read_added(&data)?,
        "claim" => Change::Claimed(data.parse().ok()?),
        "back" => Change::GivenBack,
        "done" => Change::Done(serde_json::from_str(&data).ok()?),
        "recall" => Change::Recalled(read_numbers(&data)?),
        "reenter" => Change::Reentered(read_numbers(&data)?),
        "seats" => Change::Seats(serde_json::from_str(&data).ok()?),
        "control" => {
            let pause = Pause { paused: data.starts_with('1'), message: data.get(1..)?.to_owned() };
            Change::Control { pause, is_whole: field("l")? == "0" }
        }
        _ => return None,
    };
    Some(Entry {
        epoch: field("e")?,
        seq: field("s")?.parse().ok()?,
        event: EventId(field("l")?.parse().ok()?),
        change,
        id: entry.id,
    })
}

fn read_numbers(data: &str) -> Option<Vec<u64>> {
    data.split(',').map(|number| number.parse().ok()).collect()
}

fn read_added(data: &str) -> Option<Change> {
    let mut parts = data.splitn(3, ':');
    let first = parts.next()?.parse().ok()?;
    let count = parts.next()?.parse().ok()?;
    let named = parts.next()?.split(';').filter(|part| !part.is_empty()).map(|part| {
        let (number, seats) = part.split_once('=')?;
        let seats: Option<Vec<SeatId>> = seats.split(',').map(|seat| seat.parse().ok().map(SeatId)).collect();
        Some((number.parse().ok()?, seats?))
    });
    Some(Change::Added { first, count, named: named.collect::<Option<_>>()? })
}
