//! What a message is about: looked up when it is sent, so that it says what is true then.

use super::ports::{Attachment, CodeDigits};
use super::{Message, Recipient};
use crate::domain::{Money, OrderId};
use crate::store::{
    CodeTarget, Store, StoreError, ToldCart, ToldChange, ToldDifference, ToldOrder, ToldRefund, ToldShow,
};

/// What a code confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodePurpose {
    /// A new e-mail address.
    Email,
    /// A new phone number.
    Phone,
    /// A new login name.
    Login,
    /// A new password.
    Password,
    /// The e-mail address as it is.
    Verify,
    /// Something else that was asked for.
    Other,
}

impl CodePurpose {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Email, Self::Phone, Self::Login, Self::Password, Self::Verify, Self::Other];

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Self {
        match word {
            "email" => Self::Email,
            "phone" => Self::Phone,
            "login" => Self::Login,
            "password" | "password_reset" | "reset" => Self::Password,
            "verify" => Self::Verify,
            _ => Self::Other,
        }
    }
}

/// What of an account was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountField {
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
    /// The login name.
    Login,
    /// The password.
    Password,
}

impl AccountField {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Email, Self::Phone, Self::Login, Self::Password];

    /// Reads a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "email" => Some(Self::Email),
            "phone" => Some(Self::Phone),
            "login" => Some(Self::Login),
            "password" => Some(Self::Password),
            _ => None,
        }
    }
}

/// A message with all that it tells. It has no `Debug`: codes are in it.
#[derive(Clone)]
pub enum About {
    /// A code to type.
    Code {
        /// What it confirms.
        purpose: CodePurpose,
        /// What to type.
        digits: String,
        /// Minutes that it is good for.
        minutes: u32,
    },
    /// A field of an account was changed.
    AccountChanged {
        /// Which.
        field: AccountField,
        /// When, and a part of the new value.
        change: ToldChange,
    },
    /// Seats are in the cart.
    SeatsReserved(ToldCart),
    /// A reservation has run out.
    ReservationExpired(ToldShow),
    /// An order is paid.
    OrderPaid {
        /// The order.
        order: ToldOrder,
        /// The tickets go with the mail.
        is_attached: bool,
    },
    /// An order was not paid in time.
    OrderExpired(ToldOrder),
    /// Money goes back.
    Refunded {
        /// The order.
        order: ToldOrder,
        /// How much.
        amount: Money,
    },
    /// An event has changed.
    EventChanged(ToldShow),
    /// An event does not take place.
    EventCancelled(ToldShow),
    /// A place was removed.
    PlaceRemoved {
        /// The event.
        show: ToldShow,
        /// The place in words.
        place: String,
    },
    /// A refund waits for a person.
    RefundFailed(ToldRefund),
    /// A payment that is not the same at the provider's waits for a person.
    PaymentDiffers(ToldDifference),
}

/// Where links in messages lead.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
}

impl Links {
    /// Links below this address.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned() }
    }

    /// The cart.
    pub fn cart(&self) -> String {
        format!("{}/cart", self.base)
    }

    /// The page of an event.
    pub fn show(&self, show: &ToldShow) -> String {
        format!("{}/concerts/{}", self.base, show.id)
    }

    /// The page of an order with its tickets.
    pub fn order(&self, order: OrderId) -> String {
        format!("{}/orders/{order}", self.base)
    }

    /// The page on which a forgotten password is replaced.
    pub fn password(&self) -> String {
        format!("{}/password", self.base)
    }

    /// The operators' page.
    pub fn operator(&self) -> String {
        format!("{}/operator", self.base)
    }
}

/// Looks up what messages are about.
pub(super) struct Facts<'a> {
    pub(super) store: &'a Store,
    pub(super) digits: &'a dyn CodeDigits,
}

impl Facts<'_> {
    /// What a message is about; `None` when it is not true any more, or never was.
    pub(super) async fn about(
        &self,
        message: &Message,
        code: Option<&CodeTarget>,
    ) -> Result<Option<About>, StoreError> {
        Ok(match message {
            Message::Code { code: id } => code.map(|code| About::Code {
                purpose: CodePurpose::from_word(&code.purpose),
                digits: self.digits.digits(*id),
                minutes: code.minutes,
            }),
            Message::AccountChanged { change } => {
                let change = self.store.told_change(*change).await?;
                change.and_then(|change| {
                    let field = AccountField::from_word(&change.field)?;
                    Some(About::AccountChanged { field, change })
                })
            }
            Message::SeatsReserved { booking } => {
                let cart = self.store.told_cart(*booking).await?;
                let is_held = |cart: &ToldCart| cart.status == "created" && !cart.places.is_empty();
                cart.filter(is_held).map(About::SeatsReserved)
            }
            Message::ReservationExpired { booking } => {
                let cart = self.store.told_cart(*booking).await?;
                let is_lost = |cart: &ToldCart| ["created", "expired"].contains(&cart.status.as_str());
                cart.filter(is_lost).map(|cart| About::ReservationExpired(cart.show))
            }
            Message::OrderPaid { order } => {
                let paid = ["paid", "fulfilled", "partially_refunded"];
                let order = self.order(*order, &paid).await?;
                order.map(|order| About::OrderPaid { order, is_attached: false })
            }
            Message::OrderExpired { order } => {
                // A sale that was undone leaves it cancelled; shoppers who cancel by themselves are not told.
                self.order(*order, &["expired", "cancelled"]).await?.map(About::OrderExpired)
            }
            Message::Refunded { order, amount } => {
                let order = self.store.told_order(*order).await?;
                order.map(|order| About::Refunded { order, amount: amount.clone() })
            }
            Message::EventChanged { event } => {
                let show = self.store.told_shows(&[*event]).await?.pop();
                show.filter(|show| !show.is_cancelled && !show.is_over).map(About::EventChanged)
            }
            Message::EventCancelled { event } => {
                let show = self.store.told_shows(&[*event]).await?.pop();
                show.filter(|show| show.is_cancelled).map(About::EventCancelled)
            }
            Message::PlaceRemoved { event, place } => {
                let show = self.store.told_shows(&[*event]).await?.pop();
                show.map(|show| About::PlaceRemoved { show, place: place.clone() })
            }
            Message::RefundFailed { refund } => {
                let refund = self.store.told_refund(*refund).await?;
                refund.filter(|refund| refund.is_failed).map(About::RefundFailed)
            }
            Message::PaymentDiffers { difference } => {
                let difference = self.store.told_difference(*difference).await?;
                difference.filter(|difference| !difference.is_over).map(About::PaymentDiffers)
            }
        })
    }

    async fn order(&self, order: OrderId, states: &[&str]) -> Result<Option<ToldOrder>, StoreError> {
        let order = self.store.told_order(order).await?;
        Ok(order.filter(|order| states.contains(&order.status.as_str())))
    }

    /// Where a code goes, if this message goes there.
    pub(super) async fn code(
        &self,
        to: &Recipient,
        message: &Message,
    ) -> Result<Option<CodeTarget>, StoreError> {
        match (to, message) {
            (Recipient::CodeTarget { code }, _) | (_, Message::Code { code }) => {
                self.store.code_target(*code).await
            }
            (Recipient::User { .. } | Recipient::FormerAddress { .. } | Recipient::Admins, _) => Ok(None),
        }
    }
}

impl About {
    /// Tells that tickets go with it.
    pub(super) fn attach(&mut self, attachments: &[Attachment]) {
        if let Self::OrderPaid { is_attached, .. } = self {
            *is_attached = !attachments.is_empty();
        }
    }
}
