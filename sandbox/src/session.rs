//! A hosted page and the money behind it, as a state machine without a clock or a network.
//!
//! `open → authorized → captured → charged_back` for a card, `open → captured` for SBP; `open → declined | expired`,
//! `authorized → released`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Refunds of one session.
const MAX_REFUNDS: usize = 1_000;
/// Characters of a line or a reason.
const MAX_TEXT: usize = 500;
const MAX_URL: usize = 2_000;
/// Minor units; above it somebody has mistaken the unit.
const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has paid yet.
    Open,
    /// A card's money is set aside.
    Authorized,
    /// The money was taken.
    Captured,
    /// The payer's bank said no.
    Declined,
    /// Closed unpaid.
    Expired,
    /// What was set aside was let go.
    Released,
    /// The payer's bank took the money back.
    ChargedBack,
}

/// What a shop asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NewSession {
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// A line for the payer.
    pub description: String,
    /// The page's language: `en`, `uk`, `ru`.
    #[serde(default)]
    pub language: String,
    /// Where the payer goes afterwards.
    pub return_url: String,
    /// Where a payer goes who gives up.
    pub cancel_url: String,
    /// Where the shop is told.
    pub webhook_url: String,
    /// The shop's name for the attempt.
    pub payment_id: Option<Uuid>,
    /// The shop's name for what is bought.
    pub order_id: Option<Uuid>,
}

impl NewSession {
    /// What is wrong with it, in a word.
    pub fn fault(&self) -> Option<&'static str> {
        let is_url = |url: &str| {
            url.len() <= MAX_URL
                && reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        let is_currency =
            self.currency.len() == 3 && self.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        if !(1..=MAX_AMOUNT).contains(&self.amount) {
            Some("amount")
        } else if !is_currency {
            Some("currency")
        } else if self.description.chars().count() > MAX_TEXT {
            Some("description")
        } else if self.language.len() > 10 {
            Some("language")
        } else if ![&self.return_url, &self.cancel_url, &self.webhook_url].into_iter().all(|url| is_url(url))
        {
            Some("url")
        } else {
            None
        }
    }
}

/// How far a refund has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Under way.
    Pending,
    /// The money is back.
    Succeeded,
    /// Nothing had been taken; what was set aside was let go.
    Released,
}

/// Money given back.
#[derive(Debug, Clone, Serialize)]
pub struct Refund {
    /// Its name.
    pub id: String,
    /// How far it has come.
    pub status: RefundStatus,
    /// Minor units.
    pub amount: i64,
    #[serde(skip)]
    key: String,
}

/// What a payer does on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Pays by card: set aside, taken later.
    Card,
    /// Pays by SBP: taken at once.
    Sbp,
    /// A card that the bank declines.
    Decline,
    /// Walks away; the page stays open.
    Leave,
}

/// Why a session does not do as asked; also the word that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not in a state for that.
    #[error("wrong_status")]
    WrongStatus,
    /// More than there is, or nothing.
    #[error("wrong_amount")]
    WrongAmount,
    /// The key was used for something else.
    #[error("idempotency_mismatch")]
    Mismatch,
    /// It has too many refunds.
    #[error("too_many_refunds")]
    TooMany,
}

/// A hosted page and the money behind it.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its name, which also opens the page.
    pub id: String,
    /// What was asked for.
    pub new: NewSession,
    /// How far it has come.
    pub status: Status,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Minor units taken.
    pub taken: i64,
    /// Its refunds, oldest first.
    pub refunds: Vec<Refund>,
}

/// A session as it is shown to shops.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Its name.
    pub id: String,
    /// The page.
    pub url: String,
    /// How far it has come.
    pub status: Status,
    /// Minor units: what was taken, or what was asked for before.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units given back.
    pub refunded: i64,
    /// The shop's name for the attempt.
    pub payment_id: Option<Uuid>,
    /// The shop's name for what is bought.
    pub order_id: Option<Uuid>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

impl Session {
    /// An open one.
    pub fn open(new: NewSession, created_ms: u64) -> Self {
        let id = format!("sbx_{}", Uuid::new_v4().simple());
        Self { id, new, status: Status::Open, created_ms, taken: 0, refunds: Vec::new() }
    }

    /// As shops see it; pages are under `base`.
    pub fn show(&self, base: &str) -> Shown {
        Shown {
            id: self.id.clone(),
            url: format!("{base}/pay/{}", self.id),
            status: self.status,
            amount: if self.taken > 0 { self.taken } else { self.new.amount },
            currency: self.new.currency.clone(),
            refunded: self.refunded(),
            payment_id: self.new.payment_id,
            order_id: self.new.order_id,
            created_ms: self.created_ms,
        }
    }

    /// Minor units that are back.
    pub fn refunded(&self) -> i64 {
        let done = self.refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded);
        done.map(|refund| refund.amount).sum()
    }

    /// The payer's choice. Whether anything changed.
    ///
    /// # Errors
    /// The page is closed.
    pub fn choose(&mut self, choice: Choice) -> Result<bool, Refusal> {
        if self.status != Status::Open {
            return Err(Refusal::WrongStatus);
        }
        match choice {
            Choice::Card => self.status = Status::Authorized,
            Choice::Sbp => self.take(self.new.amount),
            Choice::Decline => self.status = Status::Declined,
            Choice::Leave => return Ok(false),
        }
        Ok(true)
    }

    /// Closes the page. What was paid before stays. Whether anything changed.
    pub fn expire(&mut self) -> bool {
        let is_open = self.status == Status::Open;
        if is_open {
            self.status = Status::Expired;
        }
        is_open
    }

    /// Takes what was set aside. Whether anything changed: taking the same twice is taking it once.
    ///
    /// # Errors
    /// Nothing is set aside, or less than that.
    pub fn capture(&mut self, amount: i64) -> Result<bool, Refusal> {
        match self.status {
            Status::Captured if self.taken == amount => Ok(false),
            Status::Authorized if (1..=self.new.amount).contains(&amount) => {
                self.take(amount);
                Ok(true)
            }
            Status::Authorized | Status::Captured => Err(Refusal::WrongAmount),
            Status::Open | Status::Declined | Status::Expired | Status::Released | Status::ChargedBack => {
                Err(Refusal::WrongStatus)
            }
        }
    }

    fn take(&mut self, amount: i64) {
        self.status = Status::Captured;
        self.taken = amount;
    }

    /// Gives money back, or lets go what was set aside. With the place of the refund, and whether it is new.
    ///
    /// # Errors
    /// There is not as much, or the key was used for another amount.
    pub fn refund(&mut self, key: &str, amount: i64, is_pending: bool) -> Result<(usize, bool), Refusal> {
        if let Some(at) = self.refunds.iter().position(|refund| refund.key == key) {
            let is_same = self.refunds[at].amount == amount;
            return if is_same { Ok((at, false)) } else { Err(Refusal::Mismatch) };
        }
        if self.refunds.len() >= MAX_REFUNDS {
            return Err(Refusal::TooMany);
        }
        let status = match self.status {
            Status::Authorized => RefundStatus::Released,
            Status::Captured if is_pending => RefundStatus::Pending,
            Status::Captured => RefundStatus::Succeeded,
            Status::Open | Status::Declined | Status::Expired | Status::Released | Status::ChargedBack => {
                return Err(Refusal::WrongStatus);
            }
        };
        let promised: i64 = self.refunds.iter().map(|refund| refund.amount).sum();
        if status == RefundStatus::Released {
            self.status = Status::Released;
        } else if amount < 1 || promised.saturating_add(amount) > self.taken {
            return Err(Refusal::WrongAmount);
        }
        let id = format!("sbr_{}", Uuid::new_v4().simple());
        self.refunds.push(Refund { id, status, amount, key: key.to_owned() });
        Ok((self.refunds.len() - 1, true))
    }

    /// Ends a pending refund well. Whether anything changed.
    pub fn finish_refund(&mut self, id: &str) -> bool {
        let pending = |refund: &&mut Refund| refund.id == id && refund.status == RefundStatus::Pending;
        let found = self.refunds.iter_mut().find(pending);
        found.map(|refund| refund.status = RefundStatus::Succeeded).is_some()
    }

    /// Pays after all, though the page is closed: money that was on its way. Whether anything changed.
    pub fn succeed_late(&mut self) -> bool {
        let is_unpaid = matches!(self.status, Status::Open | Status::Expired);
        if is_unpaid {
            self.take(self.new.amount);
        }
        is_unpaid
    }

    /// The payer's bank takes the money back. Whether anything changed.
    pub fn charge_back(&mut self) -> bool {
        let is_taken = self.status == Status::Captured;
        if is_taken {
            self.status = Status::ChargedBack;
        }
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let url = "http://shop.test/".to_owned();
        let new = NewSession {
            amount: 1_000,
            currency: "EUR".to_owned(),
            description: "Two seats".to_owned(),
            language: "en".to_owned(),
            return_url: url.clone(),
            cancel_url: url.clone(),
            webhook_url: url,
            payment_id: None,
            order_id: None,
        };
        assert_eq!(new.fault(), None);
        Session::open(new, 1)
    }

    #[test]
    fn card_is_authorised_then_captured_and_sbp_is_captured_at_once() {
        let mut card = session();
        assert_eq!(card.capture(1_000), Err(Refusal::WrongStatus));
        assert_eq!(card.choose(Choice::Card), Ok(true));
        assert_eq!(card.status, Status::Authorized);
        assert_eq!(card.capture(1_001), Err(Refusal::WrongAmount));
        assert_eq!(card.capture(1_000), Ok(true));
        assert_eq!(card.capture(1_000), Ok(false), "a repetition");
        assert_eq!(card.choose(Choice::Sbp), Err(Refusal::WrongStatus), "paid twice");
        let mut sbp = session();
        assert_eq!(sbp.choose(Choice::Sbp), Ok(true));
        assert_eq!((sbp.status, sbp.taken), (Status::Captured, 1_000));
    }

    #[test]
    fn walking_away_leaves_the_page_open_and_closing_it_ends_it() {
        let mut one = session();
        assert_eq!(one.choose(Choice::Leave), Ok(false));
        assert!(one.expire());
        assert!(!one.expire());
        assert_eq!(one.choose(Choice::Card), Err(Refusal::WrongStatus));
        assert!(one.succeed_late());
        assert_eq!(one.status, Status::Captured);
        assert!(!one.expire(), "what was paid stays");
    }

    #[test]
    fn refunds_never_give_back_more_than_was_taken() {
        let mut one = session();
        assert_eq!(one.refund("a", 1, false).err(), Some(Refusal::WrongStatus));
        one.choose(Choice::Sbp).expect("open");
        assert_eq!(one.refund("a", 600, false), Ok((0, true)));
        assert_eq!(one.refund("a", 600, false), Ok((0, false)), "a repetition");
        assert_eq!(one.refund("a", 601, false), Err(Refusal::Mismatch));
        assert_eq!(one.refund("b", 400, true), Ok((1, true)));
        assert_eq!(one.refund("c", 1, false), Err(Refusal::WrongAmount), "the pending one counts");
        assert_eq!(one.refunded(), 600);
        let pending = one.refunds[1].id.clone();
        assert!(one.finish_refund(&pending));
        assert!(!one.finish_refund(&pending));
        assert_eq!(one.refunded(), 1_000);
    }

    #[test]
    fn refund_of_what_was_only_set_aside_lets_it_go() {
        let mut one = session();
        one.choose(Choice::Card).expect("open");
        assert_eq!(one.refund("a", 1_000, false), Ok((0, true)));
        assert_eq!((one.status, one.refunded()), (Status::Released, 0));
        assert_eq!(one.capture(1_000), Err(Refusal::WrongStatus));
        assert_eq!(one.refund("a", 1_000, false), Ok((0, false)), "a repetition");
    }

    #[test]
    fn requests_that_make_no_sense_are_named() {
        let wrong = |change: fn(&mut NewSession)| {
            let mut new = session().new;
            change(&mut new);
            new.fault()
        };
        assert_eq!(wrong(|new| new.amount = 0), Some("amount"));
        assert_eq!(wrong(|new| new.currency = "eur".to_owned()), Some("currency"));
        assert_eq!(wrong(|new| new.description = "x".repeat(501)), Some("description"));
        assert_eq!(wrong(|new| new.return_url = "javascript:alert(1)".to_owned()), Some("url"));
        assert_eq!(wrong(|new| new.webhook_url = "nowhere".to_owned()), Some("url"));
    }
}
