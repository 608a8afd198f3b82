//! Attempts, from opened to asked about.

use sqlx::PgConnection;

use super::super::orders::{NewFacts, PaymentRecord, append_order_facts, lock_order};
use super::super::{Store, StoreError};
use crate::domain::{Money, OrderId, PaymentId, UserId};

/// Seconds after which a provider is asked for the first time.
const FIRST_POLL_S: f64 = 5.0;
/// An attempt that was given up is asked about so often at most: an hour and more, and then the daily comparison has it.
const POLLS: i32 = 60;

/// What became of another attempt to pay.
#[derive(Debug)]
pub enum Attempt {
    /// There is an open one: a new one, or the one that was there.
    Open(PaymentId),
    /// The order takes no payment: its status.
    Not(String),
    /// Its time is over.
    Late,
    /// There is no such order of theirs.
    NotFound,
}

/// What became of noting a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// The attempt is open.
    Open,
    /// The attempt was closed meanwhile; its session is good for nothing.
    Closed,
}

/// An attempt that the provider is to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePayment {
    /// Its id.
    pub id: PaymentId,
    /// For which order.
    pub order: OrderId,
    /// With which provider.
    pub provider: String,
    /// The provider's name for it.
    pub reference: Option<String>,
    /// How far it has come.
    pub status: String,
    /// How much.
    pub amount: Money,
}

/// Writes a new attempt for the whole of an order.
pub(in crate::store) async fn insert_payment(
    connection: &mut PgConnection,
    order: OrderId,
    provider: &str,
) -> Result<PaymentId, StoreError> {
    let id = PaymentId::new();
    sqlx::query!(
        "insert into payments (id, order_id, provider, amount_minor, currency, poll_at)
         select $1, o.id, $3, o.total_minor, o.currency, clock_timestamp() + make_interval(secs => $4)
         from orders o where o.id = $2",
        id.0,
        order.0,
        provider,
        FIRST_POLL_S
    )
    .execute(connection)
    .await?;
    Ok(id)
}

/// Closes the open attempts of an order but one. Those that the provider knows are asked about at once, so that their
/// sessions are closed there too; how many there were.
pub(in crate::store) async fn close_payments(
    connection: &mut PgConnection,
    order: OrderId,
    but: Option<PaymentId>,
) -> Result<u64, StoreError> {
    let closed = sqlx::query!(
        "update payments
         set status = 'expired', closed_at = clock_timestamp(),
             poll_at = case when provider_ref is null then null else clock_timestamp() end
         where order_id = $1 and status in ('creating', 'open') and ($2::uuid is null or id <> $2)",
        order.0,
        but.map(|but| but.0)
    )
    .execute(connection)
    .await?;
    Ok(closed.rows_affected())
}

impl Store {
    /// Opens another attempt to pay an order, unless one is open.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn open_attempt(
        &self,
        user: UserId,
        order: OrderId,
        provider: &str,
    ) -> Result<Attempt, StoreError> {
        let mut tx = self.begin().await?;
        let Some(locked) = lock_order(&mut tx, order).await?.filter(|order| order.user == user) else {
            return Ok(Attempt::NotFound);
        };
        if locked.status != "awaiting_payment" {
            return Ok(Attempt::Not(locked.status));
        }
        let open = sqlx::query_scalar!(
            "select id from payments where order_id = $1 and status in ('creating', 'open', 'authorized')",
            order.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(open) = open {
            return Ok(Attempt::Open(PaymentId(open)));
        }
        if locked.is_due {
            return Ok(Attempt::Late);
        }
        let payment = insert_payment(&mut tx, order, provider).await?;
        let facts = NewFacts { payment: Some(payment), ..NewFacts::of("payment.initiated") };
        append_order_facts(&mut tx, order, user, &facts).await?;
        tx.commit().await?;
        Ok(Attempt::Open(payment))
    }

    /// One attempt.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRecord>, StoreError> {
        let row = sqlx::query!(
            "select order_id, provider, provider_ref, status, amount_minor, currency, redirect_url, failure
             from payments where id = $1",
            id.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| PaymentRecord {
            id,
            order: OrderId(row.order_id),
            provider: row.provider,
            reference: row.provider_ref,
            status: row.status,
            amount: Money { amount: row.amount_minor, currency: row.currency },
            redirect_url: row.redirect_url,
            failure: row.failure,
        }))
    }

    /// Notes the session that the provider has opened for an attempt; its page is shown from then on. A notice that came
    /// before may have named the payment otherwise: lists name the session.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn note_session(
        &self,
        payment: PaymentId,
        reference: &str,
        redirect_url: &str,
    ) -> Result<Noted, StoreError> {
        let status = sqlx::query_scalar!(
            "update payments
             set status = case when status = 'creating' then 'open' else status end,
                 provider_ref = $2, redirect_url = coalesce(redirect_url, $3)
             where id = $1 returning status",
            payment.0,
            reference,
            redirect_url
        )
        .fetch_optional(&self.pool)
        .await?;
        let is_open = status.is_some_and(|status| ["open", "authorized", "captured"].contains(&&*status));
        Ok(if is_open { Noted::Open } else { Noted::Closed })
    }

    /// Notes that the provider will not open a session for an attempt: another one may be made.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn fail_attempt(&self, payment: PaymentId, why: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "update payments set status = 'failed', failure = left($2, 500), closed_at = clock_timestamp(), poll_at = null
             where id = $1 and status = 'creating'",
            payment.0,
            why
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Attempts that the provider is to be asked about now, those first whose money is set aside and waits to be taken. Each
    /// is put off at the same time, twice as long each time, so that two who look do not ask both.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn due_payments(&self, at_most: i64) -> Result<Vec<DuePayment>, StoreError> {
        let rows = sqlx::query!(
            "update payments p
             set polls = p.polls + 1, polled_at = clock_timestamp(),
                 poll_at = case when p.polls >= $2 and p.status not in ('creating', 'open', 'authorized') then null
                     else clock_timestamp() + make_interval(secs => least(5.0 * 2 ^ least(p.polls, 10), 120.0)) end
             from (
                 select id from payments where poll_at <= statement_timestamp()
                 order by status = 'authorized' desc, poll_at limit $1 for update skip locked
             ) due
             where p.id = due.id
             returning p.id, p.order_id, p.provider, p.provider_ref, p.status, p.amount_minor, p.currency",
            at_most,
            POLLS
        )
        .fetch_all(&self.pool)
        .await?;
        let due = rows.into_iter().map(|row| DuePayment {
            id: PaymentId(row.id),
            order: OrderId(row.order_id),
            provider: row.provider,
            reference: row.provider_ref,
            status: row.status,
            amount: Money { amount: row.amount_minor, currency: row.currency },
        });
        Ok(due.collect())
    }

    /// Whether the provider may be asked about an attempt by somebody who waits for it: not more than every two seconds.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn may_ask(&self, payment: PaymentId) -> Result<bool, StoreError> {
        let may = sqlx::query_scalar!(
            "update payments set polled_at = clock_timestamp()
             where id = $1 and (polled_at is null or polled_at < clock_timestamp() - interval '2 seconds')
             returning id",
            payment.0
        );
        Ok(may.fetch_optional(&self.pool).await?.is_some())
    }

    /// Nothing more is to be asked about an attempt that was given up.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn stop_asking(&self, payment: PaymentId) -> Result<(), StoreError> {
        sqlx::query!(
            "update payments set poll_at = null
             where id = $1 and status not in ('creating', 'open', 'authorized')",
            payment.0
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl Store {
    /// Forgets webhooks that came more than so many days ago, so many at most; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_webhooks(&self, days: i32, at_most: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query!(
            "delete from payment_webhooks where (provider, id) in (
                 select provider, id from payment_webhooks
                 where received_at < statement_timestamp() - make_interval(days => $1)
                 order by received_at limit $2)",
            days,
            at_most
        );
        Ok(gone.execute(&self.pool).await?.rows_affected())
    }
}
