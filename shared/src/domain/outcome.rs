//! How a job ends.

use serde::{Deserialize, Serialize};

use super::{AreaId, BookingId, Language, SeatId};

/// How a job ended. It is written once and read back by every later delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Places were reserved.
    Completed(Reservation),
    /// A business "no", which is no error.
    Failed(Refusal),
}

impl Outcome {
    /// `completed` or `failed`, as stored and shown.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
        }
    }
}

/// What a job won. Short names, because a hundred thousand of these are written, sent and kept in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The booking it went into.
    #[serde(rename = "b")]
    pub booking: BookingId,
    /// Numbered seats.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatId>,
    /// Slots of general-admission areas.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<(AreaId, u32)>,
    /// Until when it holds, in ms since 1970.
    #[serde(rename = "e")]
    pub expires_at_ms: i64,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal: $en:literal, $uk:literal, $ru:literal,)*) => {
        /// Why a job got nothing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Refusal { $($(#[$doc])* $name,)* }

        impl Refusal {
            /// Every one, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable code, as stored and shown.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// A sentence for the shopper.
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) { $(
                    (Self::$name, Language::En) => $en,
                    (Self::$name, Language::Uk) => $uk,
                    (Self::$name, Language::Ru) => $ru,
                )* }
            }
        }
    };
}

refusals! {
    /// A named seat belongs to somebody else.
    SeatTaken = "seat_taken": "This seat is already taken", "Це місце вже зайняте", "Это место уже занято",
    /// Nothing that fits is left.
    SoldOut = "sold_out": "Event is fully booked", "Усі місця розпродано", "Все места распроданы",
    /// Enough is left, but not side by side.
    NotEnoughAdjacent = "not_enough_adjacent": "There are not enough seats side by side",
        "Немає стільки місць поруч", "Нет столько мест рядом",
    /// The shopper's limit for this event.
    LimitReached = "limit_reached": "You have reached the number of seats one person may have at this event",
        "Ви вже маєте стільки місць, скільки може мати одна людина",
        "У вас уже столько мест, сколько может быть у одного человека",
    /// The event gives one booking a person.
    AlreadyBooked = "already_booked": "You have already booked a place at this event",
        "Ви вже забронювали місце", "Вы уже забронировали место",
    /// The sale ended before the job's turn.
    SaleClosed = "sale_closed": "The sale for this event is closed", "Продаж закрито", "Продажа закрыта",
    /// The shopper left the line.
    Left = "left": "You have left the queue", "Ви вийшли з черги", "Вы вышли из очереди",
    /// An operator took the job out.
    Removed = "removed": "This request was removed from the queue by an operator",
        "Оператор вилучив цей запит із черги", "Оператор удалил этот запрос из очереди",
    /// The job failed by itself, again and again.
    Internal = "internal": "Something went wrong on our side; please try again",
        "Щось пішло не так з нашого боку; спробуйте ще раз", "Что-то пошло не так на нашей стороне; попробуйте ещё раз",
}

impl Refusal {
    /// Finds a refusal by its code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.code() == code)
    }
}
