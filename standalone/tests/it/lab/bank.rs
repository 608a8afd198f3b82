//! A payment provider that does as it is told: it stands for what is outside, and knows what it was asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::domain::{Money, PaymentId, RefundId};
use shared::pay::{
    NewRefund, NewSession, Notice, PayError, PaymentState, PaymentStatus, Provider, RefundState, Session,
    Webhook,
};
use tokio::sync::Semaphore;

const NAME: &str = "bank";
/// Says why it refuses.
const TOLD: &str = "as it was told";

/// What a call comes to, in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens, and nothing is heard.
    Lost,
    /// It happens, and nothing is heard.
    Unheard,
    /// It says no; to a refund also whenever it is asked under the same key.
    Refused,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Create,
    Query,
    Expire,
    Capture,
    Refund,
}

#[derive(Default)]
struct Books {
    sessions: HashMap<String, PaymentState>,
    /// When they were opened.
    opened: HashMap<String, DateTime<Utc>>,
    refunds: HashMap<RefundId, i64>,
    /// Keys of refunds that it was asked for, in order,
    keys: Vec<String>,
    /// and those that it has refused.
    refused: HashSet<String>,
    faults: HashMap<Ask, VecDeque<Fault>>,
    is_away: bool,
    /// Pages stay open until they are paid, whoever asks to close them.
    keeps_pages: bool,
    calls: HashMap<Ask, usize>,
}

/// The provider.
pub(crate) struct Bank {
    name: &'static str,
    books: Mutex<Books>,
    /// Cards are authorised first; others are captured at once.
    takes_cards: bool,
    /// Answers to `create_session` wait for one of these,
    pub(crate) gate: Semaphore,
    /// and those to `expire_session` for one of these.
    pub(crate) closing: Semaphore,
}

impl Bank {
    /// One that sets money aside first.
    pub(crate) fn cards() -> Arc<Self> {
        Self::named(NAME, true)
    }

    /// One that takes money at once.
    pub(crate) fn transfers() -> Arc<Self> {
        Self::named(NAME, false)
    }

    /// Another one.
    pub(crate) fn named(name: &'static str, takes_cards: bool) -> Arc<Self> {
        let (gate, closing) = (Semaphore::new(100_000), Semaphore::new(100_000));
        Arc::new(Self { name, books: Mutex::default(), takes_cards, gate, closing })
    }

    /// It, as the system takes it.
    pub(crate) fn provider(self: &Arc<Self>) -> Arc<dyn Provider> {
        self.clone()
    }

    /// The header that it signs its webhooks in.
    pub(crate) fn header(&self) -> String {
        format!("x-{}-signature", self.name)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next such calls come to this.
    pub(crate) fn fail(&self, ask: Ask, faults: &[Fault]) {
        self.books().faults.entry(ask).or_default().extend(faults);
    }

    /// It does not answer at all, or does again.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.books().is_away = is_away;
    }

    /// Its pages cannot be closed.
    pub(crate) fn keep_pages(&self) {
        self.books().keeps_pages = true;
    }

    /// How often it was asked.
    pub(crate) fn calls(&self, ask: Ask) -> usize {
        self.books().calls.get(&ask).copied().unwrap_or(0)
    }

    /// The sessions that it has opened, in the order of their payments.
    pub(crate) fn sessions(&self) -> Vec<PaymentState> {
        let mut sessions: Vec<PaymentState> = self.books().sessions.values().cloned().collect();
        sessions.sort_by_key(|state| state.payment);
        sessions
    }

    /// A session as it stands.
    pub(crate) fn state(&self, reference: &str) -> PaymentState {
        self.books().sessions.get(reference).cloned().expect("a session of this bank")
    }

    /// Something happens to a session that nobody has asked for.
    pub(crate) fn change(&self, reference: &str, change: impl FnOnce(&mut PaymentState)) -> PaymentState {
        let mut books = self.books();
        let state = books.sessions.get_mut(reference).expect("a session of this bank");
        change(state);
        state.clone()
    }

    /// A session was opened so many days ago.
    pub(crate) fn age(&self, reference: &str, days: i64) {
        self.books().opened.insert(reference.to_owned(), Utc::now() - TimeDelta::days(days));
    }

    /// It knows nothing of a session any more.
    pub(crate) fn forget(&self, reference: &str) {
        self.books().sessions.remove(reference);
    }

    fn set(&self, reference: &str, status: PaymentStatus) -> PaymentState {
        self.change(reference, |state| state.status = status)
    }

    /// The payer pays, whatever the session says.
    pub(crate) fn pay(&self, reference: &str) -> PaymentState {
        let paid = if self.takes_cards { PaymentStatus::Authorized } else { PaymentStatus::Captured };
        self.set(reference, paid)
    }

    /// The payer is refused.
    pub(crate) fn decline(&self, reference: &str) -> PaymentState {
        self.set(reference, PaymentStatus::Declined)
    }

    /// The payer's own bank takes the money back.
    pub(crate) fn charge_back(&self, reference: &str) -> PaymentState {
        self.set(reference, PaymentStatus::ChargedBack)
    }

    /// Another amount is paid than was asked for.
    pub(crate) fn pay_wrongly(&self, reference: &str, amount: Money) -> PaymentState {
        self.books().sessions.get_mut(reference).expect("a session of this bank").amount = amount;
        self.pay(reference)
    }

    /// The keys of the refunds that it was asked for, in order.
    pub(crate) fn refund_keys(&self) -> Vec<String> {
        self.books().keys.clone()
    }

    /// Minor units that it has given back, all in all.
    pub(crate) fn given_back(&self) -> i64 {
        self.books().refunds.values().sum()
    }

    /// Does what is asked, as the script says.
    fn ask<T>(
        &self,
        ask: Ask,
        effect: impl FnOnce(&mut Books) -> Result<T, PayError>,
    ) -> Result<T, PayError> {
        let away = || PayError::Away { provider: self.name, why: TOLD.to_owned() };
        let mut books = self.books();
        *books.calls.entry(ask).or_default() += 1;
        if books.is_away {
            return Err(away());
        }
        match books.faults.get_mut(&ask).and_then(VecDeque::pop_front) {
            None => effect(&mut books),
            Some(Fault::Lost) => Err(away()),
            Some(Fault::Unheard) => {
                effect(&mut books)?;
                Err(away())
            }
            Some(Fault::Refused) => Err(refused(TOLD)),
        }
    }
}

/// The name of a session, by that or by the name of what was paid with it, as at Stripe.
fn session_of(reference: &str) -> &str {
    reference.strip_prefix("paid-by-").unwrap_or(reference)
}

fn known<'a>(books: &'a mut Books, reference: &str) -> Result<&'a mut PaymentState, PayError> {
    books.sessions.get_mut(session_of(reference)).ok_or_else(|| refused("no such session"))
}

fn refused(why: &str) -> PayError {
    PayError::Refused { provider: NAME, why: why.to_owned() }
}

impl Provider for Bank {
    fn name(&self) -> &'static str {
        self.name
    }

    fn create_session<'a>(&'a self, new: &'a NewSession) -> BoxFuture<'a, Result<Session, PayError>> {
        async move {
            let created = self.ask(Ask::Create, |books| {
                let reference = format!("{}-{}", self.name, new.payment);
                books.opened.entry(reference.clone()).or_insert_with(Utc::now);
                books.sessions.entry(reference.clone()).or_insert_with(|| PaymentState {
                    reference: reference.clone(),
                    payment: Some(new.payment),
                    status: PaymentStatus::Open,
                    amount: new.amount.clone(),
                    refunded_minor: 0,
                });
                Ok(Session { redirect_url: format!("http://bank.test/{reference}"), reference })
            });
            if let Ok(permit) = self.gate.acquire().await {
                permit.forget();
            }
            created
        }
        .boxed()
    }

    fn query<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<PaymentState>, PayError>> {
        async move { self.ask(Ask::Query, |books| Ok(books.sessions.get(session_of(reference)).cloned())) }
            .boxed()
    }

    fn expire_session<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<PaymentState, PayError>> {
        async move {
            if let Ok(permit) = self.closing.acquire().await {
                permit.forget();
            }
            self.ask(Ask::Expire, |books| {
                let keeps_pages = books.keeps_pages;
                let state = known(books, reference)?;
                if state.status == PaymentStatus::Open && !keeps_pages {
                    state.status = PaymentStatus::Expired;
                }
                Ok(state.clone())
            })
        }
        .boxed()
    }

    fn capture<'a>(
        &'a self,
        reference: &'a str,
        _: PaymentId,
        _: &'a Money,
    ) -> BoxFuture<'a, Result<PaymentState, PayError>> {
        async move {
            self.ask(Ask::Capture, |books| {
                let state = known(books, reference)?;
                if state.status == PaymentStatus::Authorized {
                    state.status = PaymentStatus::Captured;
                }
                Ok(state.clone())
            })
        }
        .boxed()
    }

    fn refund<'a>(&'a self, new: &'a NewRefund) -> BoxFuture<'a, Result<RefundState, PayError>> {
        async move {
            let key = new.key();
            self.books().keys.push(key.clone());
            let answer = self.ask(Ask::Refund, |books| {
                // As real ones do: a refund that went through is found, and a key is answered as it was before.
                if books.refused.contains(&key) {
                    return Err(refused("under this key it was refused before"));
                }
                let amount = new.amount.amount;
                if books.refunds.insert(new.refund, amount).is_none() {
                    known(books, &new.reference)?.refunded_minor += amount;
                }
                Ok(RefundState { reference: format!("refund-{}", new.refund), is_done: true })
            });
            if let Err(PayError::Refused { .. }) = &answer {
                self.books().refused.insert(key);
            }
            answer
        }
        .boxed()
    }

    fn verify_webhook<'a>(&'a self, webhook: Webhook<'a>) -> BoxFuture<'a, Result<Notice, PayError>> {
        async move {
            if webhook.headers.get(self.header()).is_none_or(|value| value != "good") {
                return Err(PayError::Forged(self.name));
            }
            read_notice(webhook.body)
                .ok_or_else(|| PayError::Strange { provider: self.name, why: "no notice".to_owned() })
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(Vec<PaymentState>, Option<String>), PayError>> {
        async move {
            if self.books().is_away {
                return Err(PayError::Away { provider: self.name, why: TOLD.to_owned() });
            }
            // One a page.
            let at: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
            let opened = self.books().opened.clone();
            let mut sessions = self.sessions();
            sessions.retain(|state| {
                opened.get(&state.reference).is_some_and(|opened| (from..to).contains(opened))
            });
            let next = (at + 1 < sessions.len()).then(|| (at + 1).to_string());
            Ok((sessions.into_iter().skip(at).take(1).collect(), next))
        }
        .boxed()
    }
}

const STATUSES: [(&str, PaymentStatus); 6] = [
    ("open", PaymentStatus::Open),
    ("authorized", PaymentStatus::Authorized),
    ("captured", PaymentStatus::Captured),
    ("declined", PaymentStatus::Declined),
    ("expired", PaymentStatus::Expired),
    ("charged_back", PaymentStatus::ChargedBack),
];

/// What its webhook says of a state.
pub(crate) fn notice_of(id: &str, state: &PaymentState) -> Value {
    let word = STATUSES.iter().find(|(_, status)| *status == state.status).map(|(word, _)| *word);
    json!({
        "id": id, "reference": state.reference, "payment": state.payment, "status": word,
        "amount": state.amount.amount, "currency": state.amount.currency,
        "refunded": state.refunded_minor,
    })
}

fn read_notice(body: &[u8]) -> Option<Notice> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let word = body["status"].as_str()?;
    let (_, status) = STATUSES.iter().find(|(known, _)| *known == word)?;
    let state = PaymentState {
        reference: body["reference"].as_str()?.to_owned(),
        payment: serde_json::from_value(body["payment"].clone()).ok()?,
        status: *status,
        amount: Money { amount: body["amount"].as_i64()?, currency: body["currency"].as_str()?.to_owned() },
        refunded_minor: body["refunded"].as_i64()?,
    };
    Some(Notice { id: body["id"].as_str()?.to_owned(), state: Some(state) })
}
