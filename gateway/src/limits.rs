//! How often somebody may ask, per node.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use shared::domain::UserId;

use crate::config::GatewayConfig;
use crate::problem::{Code, Problem};

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Ip(IpAddr),
    User(UserId),
}

/// The budgets of this process.
pub struct Limits {
    writes: DefaultKeyedRateLimiter<Key>,
    logins: DefaultKeyedRateLimiter<Key>,
    reads: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

/// What a read that costs much counts as.
const HEAVY: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// So many within a window, refilled evenly.
fn quota(max: u32, window: Duration) -> Quota {
    let max = NonZeroU32::new(max).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(window / max.get()).unwrap_or(Quota::per_second(max)).allow_burst(max)
}

impl Limits {
    /// Budgets as configured.
    pub fn new(config: &GatewayConfig) -> Self {
        let window = Duration::from_millis(config.rate_limit_time_window);
        Self {
            writes: RateLimiter::keyed(quota(config.rate_limit_max, window)),
            logins: RateLimiter::keyed(quota(config.rate_limit_max, window)),
            reads: RateLimiter::keyed(quota(config.rate_limit_reads_per_second, Duration::from_secs(1))),
            clock: DefaultClock::default(),
        }
    }

    /// A request that changes something, by an account; counted for the account, so that a whole campus behind
    /// one address can buy.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_write(&self, user: UserId) -> Result<(), Problem> {
        self.writes.check_key(&Key::User(user)).map_err(|until| self.refuse(&until))
    }

    /// A registration or log-in, counted for the address.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_login(&self, ip: IpAddr) -> Result<(), Problem> {
        self.logins.check_key(&Key::Ip(ip)).map_err(|until| self.refuse(&until))
    }

    /// A read, counted for the address.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_read(&self, ip: IpAddr) -> Result<(), Problem> {
        self.reads.check_key(&ip).map_err(|until| self.refuse(&until))
    }

    /// A read that costs much: it counts as twenty.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_heavy_read(&self, ip: IpAddr) -> Result<(), Problem> {
        let counted = self.reads.check_key_n(&ip, HEAVY);
        // A budget below twenty cannot ever be enough for one; such a read then counts as one.
        counted.unwrap_or_else(|_| self.reads.check_key(&ip)).map_err(|until| self.refuse(&until))
    }

    /// Forgets whoever has not asked for a while, so that the memory is bounded.
    pub fn forget_idle(&self) {
        self.writes.retain_recent();
        self.logins.retain_recent();
        self.reads.retain_recent();
    }

    fn refuse(&self, until: &governor::NotUntil<governor::clock::QuantaInstant>) -> Problem {
        let wait = until.wait_time_from(self.clock.now());
        let mut problem = Problem::new(Code::TooManyRequests, "You ask too often; wait a moment");
        problem.retry_after_s = Some(wait.as_secs() + 1);
        problem
    }
}
