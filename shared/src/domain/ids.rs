//! Typed ids, so that a seat is never taken for an event.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A show at a venue, on a date. Also the name of its lane in the booking queue.
    EventId
);
id!(
    /// A numbered place of one event.
    SeatId
);
id!(
    /// A general-admission area of one event.
    AreaId
);
id!(
    /// A block of rows.
    SectionId
);
id!(
    /// A price that seats or an area carry.
    TierId
);
id!(
    /// Somebody with an account.
    UserId
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// A new id; ids made later sort later.
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A shopper's cart for one event.
    BookingId
);
uuid_id!(
    /// The result of checkout: what is bought together and paid at once.
    OrderId
);
uuid_id!(
    /// One place in an order.
    OrderItemId
);
uuid_id!(
    /// One attempt to pay an order.
    PaymentId
);
uuid_id!(
    /// Money on its way back.
    RefundId
);
uuid_id!(
    /// The document with a QR code, for one order item.
    TicketId
);
