//! What comes first in a process: while a crowd's seats are decided or released, what only tells of it waits its turn.
//!
//! Facts, mails and figures follow from what was committed and lose nothing by a few seconds, while whoever stands in the
//! line feels each millisecond that they take from the same processors and the same PostgreSQL. They are held back for
//! `LONGEST` at most and then go on one after the other, in turn, so that they fall behind in a long rush and never stand
//! still.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// A batch of this many jobs or bookings is a rush; smaller ones leave room for everything else.
const MANY: usize = 100;
/// A rush is over when there was no such batch for so long.
const QUIET: Duration = Duration::from_millis(700);
/// Nobody is held back for longer without a turn.
pub const LONGEST: Duration = Duration::from_secs(10);
/// Between two turns, of all together.
const GAP: Duration = Duration::from_millis(200);
/// How often it is looked whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// When this process last saw a batch of many, in ms since [`BEGAN`].
static LAST_MS: AtomicU64 = AtomicU64::new(0);
/// Whose turn it is next; whoever waits for it has it in the order of coming.
static TURN: Mutex<()> = Mutex::const_new(());
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now_ms() -> u64 {
    // Never 0, which says that there was no rush yet.
    u64::try_from(BEGAN.elapsed().as_millis()).map_or(u64::MAX, |ms| ms + 1)
}

/// So many were taken at once, in the line or by the sweeper.
pub fn note(taken: usize) {
    if taken >= MANY {
        LAST_MS.store(now_ms(), Ordering::Relaxed);
    }
}

/// Whether many are decided or released right now.
pub fn is_on() -> bool {
    let last = LAST_MS.load(Ordering::Relaxed);
    last > 0 && Duration::from_millis(now_ms().saturating_sub(last)) < QUIET
}

/// Somebody who lets a rush pass; one for each loop of background work.
#[derive(Debug, Default)]
pub struct Patience {
    /// Held back for as long as anybody is, in the rush that there is.
    is_over: bool,
}

impl Patience {
    /// Waits while there is a rush, as long as that is one's turn to wait. Safe to drop at any time.
    pub async fn let_pass(&mut self) {
        let began = Instant::now();
        while is_on() && !self.is_over {
            self.is_over = began.elapsed() >= LONGEST;
            tokio::time::sleep(LOOK).await;
        }
        if is_on() {
            let turn = TURN.lock().await;
            tokio::time::sleep(GAP).await;
            drop(turn);
        } else {
            self.is_over = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn others_wait_for_the_end_of_a_rush_but_not_for_ever() {
        let mut patience = Patience::default();
        note(MANY - 1);
        assert!(!is_on(), "a few are no rush");
        note(MANY);
        let began = Instant::now();
        patience.let_pass().await;
        assert!(began.elapsed() + 2 * LOOK >= QUIET, "held back until it was over");
        let rush = tokio::spawn(async {
            loop {
                note(MANY);
                tokio::time::sleep(LOOK).await;
            }
        });
        tokio::time::sleep(2 * LOOK).await;
        let began = Instant::now();
        patience.let_pass().await;
        assert!(is_on() && began.elapsed() >= LONGEST, "the rush goes on, and the others too");
        let (mut other, began) = (Patience { is_over: true }, Instant::now());
        tokio::join!(patience.let_pass(), other.let_pass());
        assert!((2 * GAP..LONGEST).contains(&began.elapsed()), "one after the other");
        rush.abort();
    }
}
