//! How often somebody may ask: per node for everything, and over all gateways for what invites guessing.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret as _, SecretString};
use shared::domain::UserId;
use shared::queue::Queue;
use shared::queue::budget::{Spent, anonymous};
use shared::telemetry::chain;

use crate::app::App;
use crate::caller::ClientIp;
use crate::config::GatewayConfig;
use crate::problem::{Code, Problem};

/// Redis must answer within this time, or the node's own budget is all that counts.
const PATIENCE: Duration = Duration::from_millis(250);
/// Under which providers post to us.
const WEBHOOKS: &str = "/api/webhook";

/// The budget of an account for its own codes: no name that a stranger writes comes out of it.
const OWN_CODE: &str = "own-code";

/// What is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guess {
    /// A password; who is meant is the login as given.
    Login,
    /// A code that was sent or shown; who is meant is the account.
    Code,
}

impl Guess {
    fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Code => "code",
        }
    }
}

/// The budgets of this process, and its share of those of all.
pub struct Limits {
    writes: DefaultKeyedRateLimiter<UserId>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    guessers: DefaultKeyedRateLimiter<(Guess, IpAddr)>,
    refreshes: DefaultKeyedRateLimiter<IpAddr>,
    logins: DefaultKeyedRateLimiter<String>,
    codes: DefaultKeyedRateLimiter<String>,
    reads: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    window: Duration,
    max_of_ip: u32,
    max_logins: u32,
    max_codes: u32,
    queue: Queue,
    secret: SecretString,
}

/// What a read that costs much counts as.
const HEAVY: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// So many within a window, refilled evenly.
fn quota(max: u32, window: Duration) -> Quota {
    let max = NonZeroU32::new(max).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(window / max.get()).unwrap_or(Quota::per_second(max)).allow_burst(max)
}

/// The address that is counted: of IPv6 the first 64 bits, as everybody has that many addresses of their own.
pub fn counted(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

impl Limits {
    /// Budgets as configured; the secret keeps logins from being read out of the names of shared budgets.
    pub fn new(config: &GatewayConfig, queue: Queue, secret: SecretString) -> Self {
        let window = Duration::from_millis(config.rate_limit_time_window);
        Self {
            writes: RateLimiter::keyed(quota(config.rate_limit_max, window)),
            addresses: RateLimiter::keyed(quota(config.rate_limit_ip_max, window)),
            guessers: RateLimiter::keyed(quota(config.rate_limit_login_ip_max, window)),
            refreshes: RateLimiter::keyed(quota(config.rate_limit_refresh_ip_max, window)),
            logins: RateLimiter::keyed(quota(config.rate_limit_login_max, window)),
            codes: RateLimiter::keyed(quota(config.rate_limit_code_max, window)),
            reads: RateLimiter::keyed(quota(config.rate_limit_reads_per_second, Duration::from_secs(1))),
            clock: DefaultClock::default(),
            window,
            max_of_ip: config.rate_limit_login_ip_max,
            max_logins: config.rate_limit_login_max,
            max_codes: config.rate_limit_code_max,
            queue,
            secret,
        }
    }

    /// A request that changes something, by an account; counted for the account, so that a whole campus behind
    /// one address can buy.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_write(&self, user: UserId) -> Result<(), Problem> {
        self.writes.check_key(&user).map_err(|until| self.refuse(&until))
    }

    /// A request that changes something, counted for the address, whoever makes it.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_address(&self, ip: IpAddr) -> Result<(), Problem> {
        self.addresses.check_key(&counted(ip)).map_err(|until| self.refuse(&until))
    }

    /// A registration, or a log-in that nobody could guess, counted for the address by this node alone.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_login(&self, ip: IpAddr) -> Result<(), Problem> {
        self.guessers.check_key(&(Guess::Login, counted(ip))).map_err(|until| self.refuse(&until))
    }

    /// A session that is gone on with, counted for the address by this node alone: apart from log-ins, so that an office whose
    /// people are all logged in keeps nobody of it out.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_refresh(&self, ip: IpAddr) -> Result<(), Problem> {
        self.refreshes.check_key(&counted(ip)).map_err(|until| self.refuse(&until))
    }

    /// Something that could be a guess: counted for the address and for who is meant, by this node and over all
    /// gateways together. While Redis is away the node's own count has to do.
    ///
    /// # Errors
    /// 429 when a budget is used up.
    pub async fn check_guess(&self, guess: Guess, ip: IpAddr, who: &str) -> Result<(), Problem> {
        let ip = counted(ip);
        let name = anonymous(self.secret.expose_secret().as_bytes(), guess.word(), who);
        let (node, max) = match guess {
            Guess::Login => (&self.logins, self.max_logins),
            Guess::Code => (&self.codes, self.max_codes),
        };
        self.guessers.check_key(&(guess, ip)).map_err(|until| self.refuse(&until))?;
        node.check_key(&name).map_err(|until| self.refuse(&until))?;
        let [of_ip, of_name] = [ip.to_string(), name].map(|who| format!("{}:{who}", guess.word()));
        tokio::try_join!(self.spend(of_ip, self.max_of_ip), self.spend(of_name, max))?;
        Ok(())
    }

    async fn spend(&self, budget: String, max: u32) -> Result<(), Problem> {
        match tokio::time::timeout(PATIENCE, self.queue.spend(&budget, max, self.window)).await {
            Ok(Ok(Spent::No(wait))) => Err(too_often(wait)),
            Ok(Ok(Spent::Yes)) | Err(_) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(error = chain(&error), "only this node counts for now");
                Ok(())
            }
        }
    }

    /// Asking for a code or trying one, or one's password again; counted for the account, over all gateways.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub async fn check_own_code(&self, user: UserId) -> Result<(), Problem> {
        let name = anonymous(self.secret.expose_secret().as_bytes(), OWN_CODE, &user.to_string());
        self.codes.check_key(&name).map_err(|until| self.refuse(&until))?;
        self.spend(format!("{OWN_CODE}:{name}"), self.max_codes).await
    }

    /// A read, counted for the address.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_read(&self, ip: IpAddr) -> Result<(), Problem> {
        self.reads.check_key(&counted(ip)).map_err(|until| self.refuse(&until))
    }

    /// A read that costs much: it counts as twenty.
    ///
    /// # Errors
    /// 429 when the budget is used up.
    pub fn check_heavy_read(&self, ip: IpAddr) -> Result<(), Problem> {
        let ip = counted(ip);
        let counted = self.reads.check_key_n(&ip, HEAVY);
        // A budget below twenty cannot ever be enough for one; such a read then counts as one.
        counted.unwrap_or_else(|_| self.reads.check_key(&ip)).map_err(|until| self.refuse(&until))
    }

    /// Forgets whoever has not asked for a while, so that the memory is bounded.
    pub fn forget_idle(&self) {
        self.writes.retain_recent();
        self.addresses.retain_recent();
        self.guessers.retain_recent();
        self.refreshes.retain_recent();
        self.logins.retain_recent();
        self.codes.retain_recent();
        self.reads.retain_recent();
    }

    fn refuse(&self, until: &governor::NotUntil<governor::clock::QuantaInstant>) -> Problem {
        too_often(until.wait_time_from(self.clock.now()))
    }
}

fn too_often(wait: Duration) -> Problem {
    let mut problem = Problem::new(Code::TooManyRequests, "You ask too often; wait a moment");
    problem.retry_after_s = Some(wait.as_secs() + 1);
    problem
}

/// Whether this is what providers post to us: it is signed, and comes from few addresses.
pub fn is_webhook(uri: &Uri) -> bool {
    uri.path().starts_with(WEBHOOKS)
}

/// Counts what changes something for its address, before anything is read of it.
pub async fn limit_address(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if !request.method().is_safe() && !is_webhook(request.uri()) {
        app.limits.check_address(ip)?;
    }
    Ok(next.run(request).await)
}

/// The address of a request that takes a place in a line; counted as [`limit_address`] does, without being put around it.
#[derive(Debug, Clone, Copy)]
pub struct CountedIp(pub IpAddr);

impl FromRequestParts<App> for CountedIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let ClientIp(ip) = ClientIp::from_request_parts(parts, app).await?;
        app.limits.check_address(ip)?;
        Ok(Self(ip))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_budget_is_full_at_first_refills_evenly_and_is_full_again_after_its_window() {
        let (clock, window) = (FakeRelativeClock::default(), Duration::from_mins(1));
        let budget = RateLimiter::dashmap_with_clock(quota(100, window), clock.clone());
        let spend = || budget.check_key(&"somebody").map_err(|until| until.wait_time_from(clock.now()));
        let spend_all = || (0..200).filter(|_| spend().is_ok()).count();
        assert_eq!(spend_all(), 100);
        assert_eq!(spend(), Err(Duration::from_millis(600)), "a hundredth of the window");
        clock.advance(Duration::from_millis(599));
        assert_eq!(spend(), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(spend_all(), 1);
        assert_eq!(budget.check_key(&"another"), Ok(()), "everybody has one of their own");
        clock.advance(window);
        assert_eq!(spend_all(), 100, "and never more");
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_count_as_one() {
        let [one, same, other, v4]: [IpAddr; 4] =
            ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1", "203.0.113.7"]
                .map(|ip| ip.parse().expect("ip"));
        assert_eq!(counted(one), counted(same));
        assert_ne!(counted(one), counted(other));
        assert_eq!(counted(v4), v4);
    }

    #[test]
    fn webhooks_of_every_provider_are_told_from_what_people_send() {
        let is_theirs = |path| is_webhook(&Uri::from_static(path));
        assert!(
            ["/api/webhook", "/api/webhooks/bank", "/api/webhook/payment/stripe"].into_iter().all(is_theirs)
        );
        assert!(!["/api/orders", "/api/bookings/reserve", "/tickets/1/queue"].into_iter().any(is_theirs));
    }

    #[test]
    fn a_login_of_digits_does_not_name_the_own_budget_of_an_account() {
        let name = |word| anonymous(b"secret", word, "42");
        for guess in [Guess::Login, Guess::Code] {
            assert_ne!(guess.word(), OWN_CODE);
            assert_ne!(name(guess.word()), name(OWN_CODE));
        }
    }
}
