//! Usher's own readers.

/// A consumer group of Usher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Tells people.
    Notifications,
    /// Counts.
    Analytics,
    /// Writes the audit log.
    Audit,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Notifications, Self::Analytics, Self::Audit];

    /// Its name at the broker.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notifications => "notifications",
            Self::Analytics => "analytics",
            Self::Audit => "audit",
        }
    }

    /// What it reads.
    pub fn topics(self) -> &'static [&'static str] {
        match self {
            Self::Notifications => {
                &["seat.selected", "reservation.expired", "event.cancelled", "event.changed"]
            }
            Self::Analytics => &[
                "booking.created",
                "seat.selected",
                "seat.released",
                "reservation.expired",
                "payment.completed",
                "order.refunded",
                "order.charged_back",
            ],
            Self::Audit => &[
                "booking.created",
                "booking.cancelled",
                "payment.initiated",
                "payment.completed",
                "payment.failed",
                "payment.reversed",
                "order.expired",
                "order.cancelled",
                "order.refunded",
                "order.charged_back",
                "ticket.issued",
                "ticket.used",
            ],
        }
    }

    /// The groups that read a topic.
    pub fn of(topic: &str) -> Vec<&'static str> {
        let reads = Self::ALL.into_iter().filter(|group| group.topics().contains(&topic));
        reads.map(Self::name).collect()
    }

    /// Every group with every topic that it reads.
    pub fn pairs() -> Vec<(&'static str, &'static str)> {
        let of = |group: Self| group.topics().iter().map(move |topic| (group.name(), *topic));
        Self::ALL.into_iter().flat_map(of).collect()
    }
}
