//! One simulated shopper.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use shared::domain::Refusal;

use super::api::{Answer, Api, Call};
use super::follow::{End, Socket, Won};
use super::hall::{Availability, Show};
use super::ledger::Ledger;
use super::wish::{choose_show, chosen_by_usher, named, wants_named};

/// Somebody who came for seats.
pub(super) struct Shopper {
    /// Their number in the crowd.
    pub(super) nth: usize,
    pub(super) token: String,
    pub(super) rng: StdRng,
    pub(super) api: Arc<Api>,
    pub(super) shows: Arc<Vec<Show>>,
    pub(super) ledger: Arc<Ledger>,
    /// When everybody goes home.
    pub(super) deadline: Instant,
}

/// What taking a place in line came to.
enum Asked {
    /// A job.
    Job(String),
    /// An end at once.
    Ended(End),
}

/// Who a token belongs to must be one of the crowd; anybody else's cart is none of ours.
pub(super) async fn check_is_crowd(api: &Api, token: &str) -> Result<()> {
    let Some(answer) = api.call(&Call::get("who am I", "/api/auth/me"), Some(token)).await else {
        bail!("nobody answers at {}; is `make run` running?", api.target().url());
    };
    let me = answer.json();
    let email = me.get("email").and_then(Value::as_str).unwrap_or_default();
    if !answer.status.is_success() {
        bail!(
            "a token for the crowd was answered with {} ({}): is the secret in the data folder the one that \
             runs there, and is the demo data loaded?",
            answer.status,
            answer.code()
        );
    }
    if !email.starts_with("crowd-") {
        bail!(
            "the demo's crowd is not where it was expected: that token belongs to an account of another kind"
        );
    }
    Ok(())
}

impl Shopper {
    /// Everything they do. An error is about the whole run, not about them.
    pub(super) async fn live(mut self) -> Result<()> {
        check_is_crowd(&self.api, &self.token).await?;
        let shows = Arc::clone(&self.shows);
        let show = choose_show(&mut self.rng, &shows);
        self.call(&Call::get("event", format!("/api/events/{}", show.id))).await;
        let mut call = self.wish(show).await;
        let (end, told, socket) = match self.ask(&mut call).await {
            // Gone before they could queue: half of them take something else.
            Asked::Ended(End::Refused(code)) if self.rng.random_bool(0.5) => {
                self.refused(&code);
                let mut other = chosen_by_usher(&mut self.rng, show);
                match self.ask(&mut other).await {
                    Asked::Ended(end) => (end, Instant::now(), None),
                    Asked::Job(job) => self.wait(&job).await,
                }
            }
            Asked::Ended(end) => (end, Instant::now(), None),
            Asked::Job(job) => self.wait(&job).await,
        };
        self.end(end, told, socket).await;
        Ok(())
    }

    /// Makes a call under the shopper's name.
    pub(super) async fn call(&self, call: &Call) -> Option<Answer> {
        self.api.call(call, Some(&self.token)).await
    }

    async fn wish(&mut self, show: &Show) -> Call {
        if !wants_named(&mut self.rng, show) {
            return chosen_by_usher(&mut self.rng, show);
        }
        let call = Call::get("availability", format!("/api/events/{}/availability", show.id));
        let bytes = self.call(&call).await.map(|answer| answer.bytes).unwrap_or_default();
        let time_to_choose = Duration::from_millis(self.rng.random_range(50..500));
        tokio::time::sleep(time_to_choose).await;
        named(&mut self.rng, show, &Availability::new(bytes))
    }

    /// Takes a place in line; one in five does so twice, as a page that is loaded again would.
    async fn ask(&mut self, call: &mut Call) -> Asked {
        let is_impatient = self.rng.random_bool(0.2);
        if is_impatient {
            call.idempotency_key = Some(format!("{:032x}", self.rng.random::<u128>()));
        }
        let asked = self.ask_once(call).await;
        if let (true, Asked::Job(job)) = (is_impatient, &asked) {
            let again = self.ask_once(call).await;
            let is_other = match &again {
                // A reference is signed anew; the lane, the number and the nonce in it stay.
                Asked::Job(again) => !is_same_job(job, again),
                Asked::Ended(end) => matches!(end, End::Won(_)) && call.name != "select a seat",
            };
            self.ledger.count(|counts| {
                counts.refreshed += 1;
                counts.other_job += u64::from(is_other);
            });
        }
        asked
    }

    async fn ask_once(&self, call: &Call) -> Asked {
        let Some(answer) = self.call(call).await else { return Asked::Ended(End::Broken) };
        if let Some(refusal) = answer.refusal() {
            return Asked::Ended(End::Refused(refusal.code().to_owned()));
        }
        let body = answer.json();
        Asked::Ended(match answer.status.as_u16() {
            202 => match body.get("jobId").and_then(Value::as_str) {
                Some(job) => return Asked::Job(job.to_owned()),
                None => End::Broken,
            },
            200 => Won::read(&body).map_or(End::Broken, End::Won),
            _ => End::Broken,
        })
    }

    async fn wait(&mut self, job: &str) -> (End, Instant, Option<Socket>) {
        let queued = Instant::now();
        let (end, socket) = match self.rng.random_range(0..100) {
            0..5 => {
                let patience = Duration::from_millis(self.rng.random_range(0..200));
                tokio::time::sleep(patience).await;
                (self.leave(job).await, None)
            }
            5..55 => self.listen(job).await,
            _ => (self.poll(job).await, None),
        };
        let told = Instant::now();
        self.api.record("in line (202 to the outcome)", told - queued);
        (end, told, socket)
    }

    async fn end(&mut self, end: End, told: Instant, socket: Option<Socket>) {
        match end {
            End::Won(won) => {
                // A second early: what is told in whole seconds may be over sooner.
                let over = (told + won.remaining).checked_sub(Duration::from_secs(1)).unwrap_or(told);
                self.ledger.won(self.nth, &won.places, told, over);
                self.keep_or_give_back(&won, told, socket).await;
            }
            End::Refused(code) => self.refused(&code),
            End::Left => self.ledger.count(|counts| counts.left += 1),
            End::Waiting => self.ledger.count(|counts| counts.still_waiting += 1),
            End::Broken => self.ledger.count(|counts| counts.gave_up += 1),
        }
    }

    fn refused(&self, code: &str) {
        let code = Refusal::from_code(code)
            .map_or_else(|| format!("unknown: {code}"), |known| known.code().to_owned());
        self.ledger.count(|counts| *counts.refused.entry(code).or_default() += 1);
    }
}

/// Whether two references name the same job. What both begin with is version, lane and number; the signature at the
/// end differs when the time until which they are good does.
fn is_same_job(one: &str, other: &str) -> bool {
    /// Base64 of one byte of version, one or more of the lane and eight of the number.
    const HEAD: usize = 13;
    one.get(..HEAD) == other.get(..HEAD)
}
