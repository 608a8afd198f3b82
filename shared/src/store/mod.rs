//! PostgreSQL: all SQL is here. What a statement locks is locked in one order everywhere: lane row, bookings,
//! claims by id.

mod accounts;
mod admin;
mod audit;
mod batch;
mod begin;
mod booking_figures;
mod bookings;
mod catalogue;
mod claims;
mod consuming;
mod controls;
mod demo;
mod figures;
mod idempotency;
mod in_time;
mod job_drain;
mod jobs;
mod messages;
mod orders;
mod outbox;
mod outcomes;
mod payments;
mod people;
mod reach;
mod refunds;
mod replica;
mod schema;
mod seen;
mod sweep;
mod tickets;

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool};

pub use accounts::{
    ApiKeyRecord, CodeLimit, CodeLimits, CodeRecord, CredentialRecord, DirectoryQuery, Ended, Erased,
    HistoryBooking, HistoryOrder, HistoryOrderItem, HistoryTicket, IssuedCode, KeyOwner, NewApiKey, NewCode,
    NewSession, PersonRecord, ProfileRecord, Refreshed, RoleChange, SecondFactorRecord,
};
pub use admin::{
    AddedPlaces, ArtistData, By, Cut, Deleted, EventData, EventRow, LayoutRow, NewLayout, NewSeat, NewTier,
    Part, Removal, RemovedPlace, Resizing, VenueData,
};
pub use audit::{AuditFilter, AuditRecord, NewAudit};
pub use batch::{BatchWrite, BuyFreeBooking, Commit, FREE_BOOKINGS, JobWrite, Prepared, Usage};
pub use booking_figures::BookingFigures;
pub use bookings::{BookingRecord, ClaimRecord, Closed, Opened};
pub use catalogue::{
    ArtistRecord, EventRecord, Found, ListedArtist, Listing, ListingFilter, LiveCount,
    Wanted as WantedListings,
};
pub use claims::{ClaimedPlace, Freed, FreedPlaces, LiveClaims};
pub use consuming::{
    Broadcast, BroadcastPart, Consuming, DeadRecord, NewDead, PastAudit, next_broadcast_part,
};
pub use figures::{BookingTimes, Counts, CountsAt, EventFigures, MinuteRecord, RevenueAt, RevenueRecord};
pub use idempotency::Begun;
pub use in_time::{ROUND, STATEMENT, in_time};
pub use jobs::{
    JobRecord, NewNamedJob, PromotedJob, QueueRecord, QueuedJob, RemovedJob, UnfinishedJob, insert_job,
    insert_jobs_once,
};
pub use messages::{
    Addressee, CodeTarget, LocalTime, MailboxAttachment, MailboxEntry, MailboxRecord, SentMessage, ToldCart,
    ToldChange, ToldDifference, ToldItem, ToldOrder, ToldPlace, ToldRefund, ToldShow,
};
pub use orders::{Basket, Closing, NewOrder, OrderItemRecord, OrderRecord, PaymentRecord, Placed};
pub use outbox::{OutboxDepth, OutboxRow, Rewound, Unsent};
pub use payments::{
    Attempt, Comparison, DifferenceRecord, DuePayment, Effect, KnownPayment, NewDifference, Noted, Report,
    Settled,
};
pub use people::{NewUser, UserRecord};
pub use refunds::{REFUNDS, RefundJob, RefundRecord, RefundRequest, Refunding, Unsendable};
pub use schema::SchemaError;
pub use seen::{ActivityRecord, ErrorRecord};
pub use sweep::{DuePlace, Emptied, Lead, Swept};
pub use tickets::{Entry, Issued, NewScan, TicketRecord, cancel_tickets};

use crate::config::{ConfigError, StoreConfig};

/// What the store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL is away, or refused.
    #[error("PostgreSQL did not carry out a statement")]
    Sql(#[from] sqlx::Error),
    /// No answer came in time: its machine may have vanished.
    #[error("PostgreSQL did not answer within {0:?}")]
    Late(Duration),
    /// There is no connection to begin with.
    #[error("no connection to PostgreSQL as {place}")]
    Unreachable {
        /// User, address and database.
        place: String,
        /// Why, as PostgreSQL or the network says it.
        #[source]
        source: sqlx::Error,
    },
    /// The server is of this version.
    #[error("PostgreSQL {oldest} or newer is needed, and this one is {found}")]
    TooOld {
        /// Its version.
        found: String,
        /// The oldest that will do.
        oldest: u32,
    },
    /// The schema is none for this program.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The schema could not be brought up to date.
    #[error("the migrations did not run")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A row holds what this code never writes.
    #[error("a row holds what was never written: {0}")]
    Row(&'static str),
}

impl StoreError {
    /// The name of the constraint that refused, if one did.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => error.constraint(),
            Self::Sql(_)
            | Self::Late(_)
            | Self::Unreachable { .. }
            | Self::TooOld { .. }
            | Self::Schema(_)
            | Self::Migrate(_)
            | Self::Config(_)
            | Self::Row(_) => None,
        }
    }

    /// A row with that key is there already.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// Trying again may help, and nothing is wrong with what was asked: the store is away, slow, or met a
    /// deadlock. Such a failure is nobody's attempt.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "sqlx' errors may become more; those are no reason to wait"
    )]
    pub fn is_passing(&self) -> bool {
        let Self::Sql(error) = self else { return matches!(self, Self::Late(_)) };
        match error {
            sqlx::Error::Database(error) => {
                // https://www.postgresql.org/docs/current/errcodes-appendix.html: connections (08), rollbacks
                // such as deadlocks (40), resources (53), intervention and time-outs (57), locks (55P03),
                // system (58), and a transaction that was cut or a standby that refuses to write (25). Permissions and a schema that is behind this
                // program (28, 42) are no fault of a job either: they are mended while it waits.
                let code = error.code().unwrap_or_default();
                ["08", "25", "28", "40", "42", "53", "57", "58"].iter().any(|class| code.starts_with(class))
                    || code == "55P03"
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        }
    }

    /// Whether a text has a character that PostgreSQL cannot keep, such as NUL: the fault of whoever sent it.
    pub fn is_bad_text(&self) -> bool {
        // character_not_in_repertoire, untranslatable_character
        matches!(self, Self::Sql(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("22021" | "22P05")))
    }
}

/// A handle on the store; clones share the connections.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    replica: Option<replica::Replica>,
}

impl Store {
    /// Connects; connections are opened as they are needed.
    ///
    /// # Errors
    /// The address is missing or wrong, or there is no connection: the error says why, without the password.
    pub async fn connect(config: &StoreConfig) -> Result<Self, StoreError> {
        let options = Self::options(config, &config.url()?)?;
        let replica = match config.read_url()? {
            Some(url) => {
                Some(replica::Replica::new(Self::options(config, &url)?, config.database_max_connections))
            }
            None => None,
        };
        reach::reach(&options).await?;
        let pool = in_time::giving_up(PgPoolOptions::new())
            .max_connections(config.database_max_connections)
            .acquire_timeout(Duration::from_secs(3))
            .connect_lazy_with(options);
        Ok(Self { pool, replica })
    }

    fn options(config: &StoreConfig, url: &SecretString) -> Result<PgConnectOptions, StoreError> {
        let timeouts = [
            ("statement_timeout", config.database_statement_timeout_ms),
            ("lock_timeout", config.database_lock_timeout_ms),
            ("idle_in_transaction_session_timeout", config.database_statement_timeout_ms * 2),
        ];
        Ok(PgConnectOptions::from_str(url.expose_secret())?
            .application_name("usher")
            .disable_statement_logging()
            .options(timeouts.map(|(name, ms)| (name, format!("{ms}ms"))))
            // A machine that vanished lets go of its locks, the sweeper's lead among them, within seconds.
            .options([
                ("tcp_keepalives_idle", "5"),
                ("tcp_keepalives_interval", "2"),
                ("tcp_keepalives_count", "3"),
                ("tcp_user_timeout", "10000"),
            ])
            // Tables of an on-sale grow from nothing to 100,000 rows within seconds: a plan that was made, and kept, when
            // they were empty would read them from end to end. What has no index is still read so, at a cost that
            // would have it compiled first. A bitmap of all that is due would be made for the first page of it.
            .options([("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("jit", "off")]))
    }

    /// Whether PostgreSQL answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query!(r#"select 1 as "one!""#).fetch_one(&self.pool).await?;
        Ok(())
    }

    /// The connections, for the invariants that tests read.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// Milliseconds since 1970 as a time.
pub(crate) fn time_of(ms: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
