//! Letting the crowd in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use secrecy::SecretString;
use shared::auth::{AccessTokens, Role};
use shared::domain::UserId;
use tokio::task::JoinSet;

use super::api::Api;
use super::ledger::Ledger;
use super::order::Database;
use super::shopper::{Shopper, check_is_crowd};
use super::table::{Closing, print_closing};
use crate::limits;
use crate::report::say;
use crate::target::Target;

/// After the last has come in, so long until everybody goes home.
const GRACE: Duration = Duration::from_secs(30);
const TOKEN_SECONDS: u64 = 6 * 3_600;
/// A socket, and a connection or two beside it.
const SOCKETS_EACH: u64 = 3;

/// Options of the crowd.
#[derive(Debug, clap::Args)]
pub struct CrowdArgs {
    /// Where Usher is; on this machine
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    url: String,
    /// The data folder of `make run`, for the secret that signs tokens
    #[arg(long, default_value = ".data")]
    data: PathBuf,
    /// The secret that signs tokens, where Usher was given one; by default what lies in the data folder
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<SecretString>,
    /// How many shoppers come
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    shoppers: u64,
    /// Over how many seconds they come in
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Repeats the same wishes; drawn anew and told when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// The database, for the accounts of the crowd and the order of jobs; the private one in the data folder by default
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// How it went; the closing table tells more.
#[derive(Debug)]
pub struct Went {
    /// Whether every promise was kept, and nobody had to be sent home.
    pub is_kept: bool,
    /// How many calls were answered, by their names in the table.
    pub calls: BTreeMap<&'static str, u64>,
    /// Shoppers who left the line.
    pub left: u64,
    /// Bookings of which a socket told that they expired.
    pub expired: u64,
}

/// Lets everybody in, waits until they have gone, and prints how it went.
pub async fn run(args: CrowdArgs) -> Result<Went> {
    limits::require_sockets(args.shoppers * SOCKETS_EACH)?;
    let api = Arc::new(Api::new(Target::of(&args.url).await?)?);
    let database = Database::find(&args.data, args.database_url.as_deref()).await.context(
        "DATABASE_URL names the database of the system that runs; without it the private one is asked",
    )?;
    let tokens = AccessTokens::new(&[read_secret(&args)?], TOKEN_SECONDS);
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut rng = StdRng::seed_from_u64(seed);
    let count = usize::try_from(args.shoppers)?;
    // Others of the ten thousand each time: whoever came before has seats still, and there is a limit.
    let ids = database.crowd().await?;
    if ids.len() < count {
        bail!("the database has {} accounts for a crowd of {count}: {}", ids.len(), super::hall::DEMO);
    }
    let offset = rng.random_range(0..ids.len());
    let crowd: Result<Vec<String>> = (0..count)
        .map(|nth| Ok(tokens.sign(UserId(ids[(offset + nth) % ids.len()]), Role::Shopper)?))
        .collect();
    let crowd = crowd?;
    for token in [crowd.first(), crowd.last()].into_iter().flatten() {
        check_is_crowd(&api, token).await?;
    }
    let shows = Arc::new(super::hall::read(&api).await?);
    say(&format!("▸ {count} shoppers for {} events at {}", shows.len(), api.target().url()));

    let started = Instant::now();
    let ledger = Arc::new(Ledger::default());
    let arrival = Duration::from_secs(args.seconds);
    let deadline = started + arrival + GRACE;
    let mut shoppers = JoinSet::new();
    for (nth, token) in crowd.into_iter().enumerate() {
        let comes_at = started + arrival.mul_f64(rng.random_range(0.0..1.0));
        let shopper = Shopper {
            nth,
            token,
            rng: StdRng::seed_from_u64(rng.random()),
            api: Arc::clone(&api),
            shows: Arc::clone(&shows),
            ledger: Arc::clone(&ledger),
            deadline,
        };
        shoppers.spawn(async move {
            tokio::time::sleep_until(comes_at.into()).await;
            shopper.live().await
        });
    }
    let last_calls = deadline + GRACE;
    let is_empty = wait_until_gone(&mut shoppers, &ledger, args.shoppers, last_calls).await?;
    let rules = database.check().await.map_err(|error| format!("{error:#}"));
    let closing = Closing {
        api: &api,
        ledger: &ledger,
        shoppers: count,
        took: started.elapsed(),
        seed,
        longest_hold_s: shows.iter().map(|show| show.hold_seconds).max().unwrap_or(0),
        rules,
    };
    let is_kept = print_closing(&closing) && is_empty;
    let calls = api.latencies().iter().map(|(name, latency)| (*name, Histogram::len(latency))).collect();
    let counts = ledger.counts();
    Ok(Went { is_kept, calls, left: counts.left, expired: counts.expired })
}

fn read_secret(args: &CrowdArgs) -> Result<SecretString> {
    if let Some(secret) = &args.jwt_secret {
        return Ok(secret.clone());
    }
    let path = args.data.join("secrets/jwt");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "read {}, which `make run` makes where no secret is given; --data names its folder, --jwt-secret a given one",
            path.display()
        )
    })?;
    Ok(SecretString::from(text.trim()))
}

/// Shows how far it is; false when somebody had to be sent home.
async fn wait_until_gone(
    shoppers: &mut JoinSet<Result<()>>,
    ledger: &Ledger,
    count: u64,
    deadline: Instant,
) -> Result<bool> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} gone home  {msg}  {elapsed}")?;
    let bar = ProgressBar::new(count).with_style(style);
    let mut last_told = Instant::now();
    loop {
        match tokio::time::timeout_at(deadline.into(), shoppers.join_next()).await {
            Err(_) => {
                shoppers.abort_all();
                bar.abandon_with_message("the others were sent home");
                return Ok(false);
            }
            Ok(None) => {
                bar.finish_and_clear();
                return Ok(true);
            }
            Ok(Some(gone)) => gone.context("a shopper has panicked")??,
        }
        bar.inc(1);
        if last_told.elapsed() > Duration::from_millis(100) {
            last_told = Instant::now();
            let counts = ledger.counts();
            let refused: u64 = counts.refused.values().sum();
            bar.set_message(format!("{} reserved, {refused} refused", counts.reserved));
        }
        if bar.is_hidden() && bar.position().is_multiple_of(500) {
            say(&format!("  {} of {count} gone home", bar.position()));
        }
        if bar.position() > count {
            bail!("more have gone than came");
        }
    }
}
