//! One tick: the leader releases what has run out, mends what stalled, and tidies now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::{BoxDynError, Data};
use apalis_cron::Tick;
use shared::queue::Partition;
use shared::seen::{self, Part};
use shared::shop::checkout::Payments;
use shared::shop::{Fault, Sweeps};
use shared::store::{Lead, ROUND, in_time};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::turns::Turns;

/// Within a tick expired reservations are looked for this often, so that none is a second late.
const LOOK: Duration = Duration::from_millis(250);
/// Looks in one tick; the last one begins before the next tick does.
const LOOKS: u32 = 4;
/// How often those who stand by are asked again, whether or not anything came free.
const RECALL: Duration = Duration::from_secs(5);
/// Refusals copied into the audit log at once; the next look goes on.
const REFUSALS: i64 = 2_000;
/// How often old rows are forgotten.
const FORGET: Duration = Duration::from_mins(1);

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
    epochs: HashMap<Partition, String>,
    recalled: Option<Instant>,
    forgot: Option<Instant>,
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
        // PostgreSQL's side first: it must go on while Redis is away.
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for look in 0..LOOKS {
            looks.tick().await;
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            self.look_after_payments(state);
            if let Err(error) = self.sweeps.release_expired().await {
                warn("what has run out could not be released; the next look goes on", &error);
            }
            if let Err(error) = self.sweeps.queue_jobs().await {
                warn("jobs could not be queued; they stand in PostgreSQL", &error);
            }
            if let Err(error) = self.sweeps.audit_refusals(REFUSALS).await {
                warn("refusals could not be copied into the audit log", &error);
            }
            if look == 0 {
                self.cut_areas(state);
                self.mend(state).await;
            }
        }
        Ok(())
    }

    /// Ends orders, asks about payments and compares them, in tasks of their own; none begins before the one before has
    /// ended, and none waits for another: money that is set aside is taken while thousands of orders end.
    fn look_after_payments(&self, state: &mut State) {
        if is_over(state.expiring.as_ref()) {
            let payments = self.payments.clone();
            let work = async move { payments.expire_orders().await };
            state.expiring = Some(self.beside(BESIDE, work, "orders could not be ended"));
        }
        if is_over(state.polling.as_ref()) {
            let payments = self.payments.clone();
            let work = async move { payments.poll().await };
            state.polling = Some(self.beside(BESIDE, work, "payments could not be asked about"));
        }
        if is_over(state.comparing.as_ref()) && state.compared.is_none_or(|last| last.elapsed() > COMPARE) {
            state.compared = Some(Instant::now());
            let payments = self.payments.clone();
            let work = async move { payments.reconcile_daily().await };
            let what = "payments could not be compared with the provider's list";
            state.comparing = Some(self.beside(COMPARING, work, what));
        }
    }

    /// Takes places away from areas that were made smaller, in a task of its own.
    fn cut_areas(&self, state: &mut State) {
        if is_over(state.cutting.as_ref()) {
            let sweeps = self.sweeps.clone();
            let work = async move { sweeps.cut_areas().await };
            let what = "places of areas that were made smaller are taken away later";
            state.cutting = Some(self.beside(BESIDE, work, what));
        }
    }

    /// Begins work that no tick waits for; it ends when it is done, takes too long, or the process stops.
    fn beside<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
        what: &'static str,
    ) -> JoinHandle<()>
    where
        T: Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            if let Some(Err(error)) = shutdown.run_until_cancelled(in_time(limit, work)).await {
                warn(what, &error);
            }
        })
    }

    /// Redis' side, and what has time.
    async fn mend(&self, state: &mut State) {
        if let Err(error) = self.sweeps.copy_controls().await {
            warn("pauses could not be copied", &error);
        }
        if let Err(error) = self.rebuild(state).await {
            warn("reservation keys could not be rebuilt", &error);
        }
        if state.recalled.is_none_or(|last| last.elapsed() > RECALL) {
            // Before it: a round that is cut short must not begin with the same again and again.
            state.recalled = Some(Instant::now());
            if let Err(error) = self.sweeps.recall_standby().await {
                warn("those who stand by could not be asked again", &error);
            }
        }
        if state.forgot.is_none_or(|last| last.elapsed() > FORGET) {
            state.forgot = Some(Instant::now());
            match self.sweeps.forget_old(self.audit_keep_days).await {
                Ok(rows) if rows > 0 => tracing::info!(rows, "{rows} old rows forgotten"),
                Ok(_) => {}
                Err(error) => warn("old rows could not be forgotten", &error),
            }
        }
    }

    /// Redis may have lost reservation keys where an epoch is new.
    async fn rebuild(&self, state: &mut State) -> Result<(), Fault> {
        for (partition, epoch) in self.sweeps.epochs().await? {
            if state.epochs.get(&partition) == Some(&epoch) {
                continue;
            }
            let written = self.sweeps.rebuild_reservations(partition).await?;
            state.epochs.insert(partition, epoch);
            if written > 0 {
                tracing::info!(
                    partition = partition.index(),
                    keys = written,
                    "{written} reservations are shown in Redis again"
                );
            }
        }
        Ok(())
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

fn warn(what: &str, error: &Fault) {
    let code = match error {
        Fault::Store(_) => "store_unavailable",
        Fault::Queue(_) => "queue_unavailable",
    };
    seen::error(Part::Sweeper, code, None);
    tracing::warn!(error = shared::telemetry::chain(error), "{what}");
}
