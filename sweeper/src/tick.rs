//! One tick: the leader releases what has run out, and begins what is done beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::{BoxDynError, Data};
use apalis_cron::Tick;
use shared::seen::{self, Part};
use shared::shop::checkout::Payments;
use shared::shop::{Fault, Sweeps};
use shared::store::{Lead, ROUND, in_time};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::mend::Mending;
use crate::turns::Turns;

/// Within a tick expired reservations are looked for this often, so that none is a second late.
const LOOK: Duration = Duration::from_millis(250);
/// Looks in one tick; the last one begins before the next tick does.
const LOOKS: u32 = 4;
/// Refusals copied into the audit log at once; the next look goes on.
const REFUSALS: i64 = 2_000;
/// How often it is looked whether the daily comparison is due.
const COMPARE: Duration = Duration::from_mins(1);

/// What is done beside the ticks is given up after this, and begun anew where it was. Providers have time-outs of their
/// own, PostgreSQL may have vanished.
const BESIDE: Duration = Duration::from_mins(10);
/// The same for the daily comparison, which begins at the first page of a list each time.
const COMPARING: Duration = Duration::from_hours(2);

/// What ticks share.
#[derive(Clone)]
pub struct Ticker {
    sweeps: Sweeps,
    audit_keep_days: i32,
    payments: Payments,
    state: Arc<Turns<State>>,
    shutdown: CancellationToken,
}

#[derive(Default)]
struct State {
    lead: Option<Lead>,
    mend: Arc<Mutex<Mending>>,
    /// Redis may take its time, and what has run out comes free without it.
    queueing: Option<JoinHandle<()>>,
    mending: Option<JoinHandle<()>>,
    /// Providers take their time: what they are asked does not hold up anything else.
    expiring: Option<JoinHandle<()>>,
    polling: Option<JoinHandle<()>>,
    comparing: Option<JoinHandle<()>>,
    compared: Option<Instant>,
    /// Thousands of places may go, and releases do not wait for them.
    cutting: Option<JoinHandle<()>>,
}

fn is_over(task: Option<&JoinHandle<()>>) -> bool {
    task.is_none_or(JoinHandle::is_finished)
}

impl Ticker {
    /// Ticks with these sweeps and payments; the audit log is kept for so many days.
    pub fn new(
        sweeps: Sweeps,
        (payments, audit_keep_days): (Payments, i32),
        shutdown: CancellationToken,
    ) -> Self {
        Self { sweeps, audit_keep_days, payments, state: Arc::default(), shutdown }
    }

    /// Gives the lead to whoever asks next.
    pub async fn resign(&self) {
        if let Some(lead) = self.state.last().await.lead.take() {
            lead.resign().await;
        }
    }

    async fn run(&self, state: &mut State) -> Result<(), Fault> {
        let is_leading = match &mut state.lead {
            Some(lead) => lead.is_held().await,
            None => false,
        };
        if !is_leading {
            state.lead = self.sweeps.try_lead().await?;
            if state.lead.is_none() {
                return Ok(());
            }
            tracing::info!("this sweeper leads now");
        }
        // Releases are waited for; what Redis or a provider may hold up is not.
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for look in 0..LOOKS {
            looks.tick().await;
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            self.look_after_payments(state);
            if let Err(error) = self.sweeps.release_expired(&self.shutdown).await {
                warn("what has run out could not be released; the next look goes on", &error);
            }
            self.queue_jobs(state);
            if let Err(error) = self.sweeps.audit_refusals(REFUSALS).await {
                warn("refusals could not be copied into the audit log", &error);
            }
            if look == 0 {
                self.cut_areas(state);
                self.mend(state);
            }
        }
        Ok(())
    }

    /// Ends orders, asks about payments and compares them, in tasks of their own; none begins before the one before has
    /// ended, and none waits for another: money that is set aside is taken while thousands of orders end.
    fn look_after_payments(&self, state: &mut State) {
        let payments = self.payments.clone();
        let work = async move { payments.expire_orders().await };
        self.beside(&mut state.expiring, BESIDE, work, "orders could not be ended");
        let payments = self.payments.clone();
        let work = async move { payments.poll().await };
        self.beside(&mut state.polling, BESIDE, work, "payments could not be asked about");
        if is_over(state.comparing.as_ref()) && state.compared.is_none_or(|last| last.elapsed() > COMPARE) {
            state.compared = Some(Instant::now());
            let payments = self.payments.clone();
            let work = async move { payments.reconcile_daily().await };
            let what = "payments could not be compared with the provider's list";
            self.beside(&mut state.comparing, COMPARING, work, what);
        }
    }

    /// Queues what only stands in PostgreSQL, in a task of its own, as Redis may hang.
    fn queue_jobs(&self, state: &mut State) {
        let sweeps = self.sweeps.clone();
        let work = async move { sweeps.queue_jobs().await };
        self.beside(&mut state.queueing, ROUND, work, "jobs could not be queued; they stand in PostgreSQL");
    }

    /// Mends Redis and tidies, in a task of its own.
    fn mend(&self, state: &mut State) {
        let (sweeps, keep_days) = (self.sweeps.clone(), self.audit_keep_days);
        let mend = Arc::clone(&state.mend);
        let work = async move {
            mend.lock().await.round(&sweeps, keep_days).await;
            Ok(())
        };
        self.beside(
            &mut state.mending,
            ROUND,
            work,
            "a round of mending was cut short; the next one goes on",
        );
    }

    /// Takes places away from areas that were made smaller, in a task of its own.
    fn cut_areas(&self, state: &mut State) {
        let sweeps = self.sweeps.clone();
        let work = async move { sweeps.cut_areas().await };
        let what = "places of areas that were made smaller are taken away later";
        self.beside(&mut state.cutting, BESIDE, work, what);
    }

    /// Begins work that no tick waits for, unless the last one of its kind goes on; it ends when it is done, takes too
    /// long, or the process stops.
    fn beside<T>(
        &self,
        task: &mut Option<JoinHandle<()>>,
        limit: Duration,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
        what: &'static str,
    ) where
        T: Send + 'static,
    {
        if !is_over(task.as_ref()) {
            return;
        }
        let shutdown = self.shutdown.clone();
        *task = Some(tokio::spawn(async move {
            if let Some(Err(error)) = shutdown.run_until_cancelled(in_time(limit, work)).await {
                warn(what, &error);
            }
        }));
    }
}

/// One tick. A tick that comes while another one works begins when that one has ended, unless one waits for it already.
///
/// # Errors
/// Never: faults are logged, and the next tick tries again.
pub async fn tick(_: Tick, ticker: Data<Ticker>) -> Result<(), BoxDynError> {
    let Some(mut state) = ticker.state.take().await else { return Ok(()) };
    if ticker.shutdown.is_cancelled() {
        return Ok(());
    }
    if let Err(error) = in_time(ROUND, ticker.run(&mut state)).await {
        warn("sweep was cut short; the next tick goes on", &error);
    }
    Ok(())
}

/// Tells what went wrong, in the log and where operators see it.
pub(crate) fn warn(what: &str, error: &Fault) {
    let code = match error {
        Fault::Store(_) => "store_unavailable",
        Fault::Queue(_) => "queue_unavailable",
    };
    seen::error(Part::Sweeper, code, None);
    tracing::warn!(error = shared::telemetry::chain(error), "{what}");
}
