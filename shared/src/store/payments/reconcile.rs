//! What the provider's list is compared with.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::{Store, StoreError};
use crate::domain::{Money, PaymentId};
use crate::messages::{self, Message, Outgoing, Recipient};

/// A payment as it is compared.
#[derive(Debug, Clone)]
pub struct KnownPayment {
    /// Its id.
    pub id: PaymentId,
    /// How far it has come.
    pub status: String,
    /// How much.
    pub amount: Money,
    /// Minor units that have gone back.
    pub refunded_minor: i64,
    /// Minor units that are on their way back, or wait for a person.
    pub refunding_minor: i64,
    /// The same with those that a chargeback has closed: nobody knows whether they had been sent before.
    pub unsure_minor: i64,
}

/// A comparison that has begun.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Its id.
    pub id: i64,
    /// Payments that were made since then are compared.
    pub since: DateTime<Utc>,
    /// When it began.
    pub now: DateTime<Utc>,
}

/// Something that two lists do not agree on.
#[derive(Debug, Clone)]
pub struct NewDifference<'a> {
    /// With which provider.
    pub provider: &'a str,
    /// The provider's name for the payment.
    pub reference: &'a str,
    /// Ours.
    pub payment: Option<PaymentId>,
    /// A word of the constraint `payment_differences_kind_known`.
    pub kind: &'static str,
    /// What we say.
    pub ours: String,
    /// What they say.
    pub theirs: String,
    /// Our side was brought to theirs.
    pub repaired: bool,
}

/// Something that two lists did not agree on.
#[derive(Debug, Clone)]
pub struct DifferenceRecord {
    /// Its id.
    pub id: i64,
    /// With which provider.
    pub provider: String,
    /// The provider's name for the payment.
    pub provider_ref: String,
    /// Ours.
    pub payment_id: Option<uuid::Uuid>,
    /// A word of the constraint `payment_differences_kind_known`.
    pub kind: String,
    /// What we said.
    pub ours: String,
    /// What they said.
    pub theirs: String,
    /// Our side was brought to theirs.
    pub repaired: bool,
    /// When it was seen last.
    pub found_at: DateTime<Utc>,
}

impl Store {
    /// Begins a comparison, when none was finished for a day and none was begun for half an hour. It goes back so many days
    /// behind the beginning of the last one that was finished; a month and so many days when none was.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_reconciliation(&self, days: i32) -> Result<Option<Comparison>, StoreError> {
        let row = sqlx::query!(
            r#"insert into reconciliations (started_at)
             select clock_timestamp()
             where not exists (
                 select 1 from reconciliations
                 where finished_at > clock_timestamp() - interval '1 day'
                     or started_at > clock_timestamp() - interval '30 minutes')
             returning id, started_at,
                 coalesce((select max(r.started_at) from reconciliations r where r.finished_at is not null),
                     started_at - interval '30 days') - make_interval(days => $1) as "since!""#,
            days
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Comparison { id: row.id, since: row.since, now: row.started_at }))
    }

    /// Ends a comparison.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn finish_reconciliation(
        &self,
        id: i64,
        compared: u64,
        differences: u64,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update reconciliations set finished_at = clock_timestamp(), compared = $2, differences = $3 where id = $1",
            id,
            compared.cast_signed(),
            differences.cast_signed()
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The payment that a provider names, as it stands here.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn known_payment(
        &self,
        provider: &str,
        reference: &str,
        payment: Option<PaymentId>,
    ) -> Result<Option<KnownPayment>, StoreError> {
        let row = sqlx::query!(
            r#"select p.id, p.status, p.amount_minor, p.currency,
                   coalesce(sum(r.amount_minor) filter (where r.status = 'completed'), 0)::bigint as "refunded!",
                   coalesce(sum(r.amount_minor) filter (where r.status <> 'completed'), 0)::bigint as "unsure!",
                   coalesce(sum(r.amount_minor) filter (
                       where r.status <> 'completed' and r.error is distinct from 'charged_back'), 0)::bigint
                       as "refunding!"
               from payments p left join refunds r on r.payment_id = p.id
               where p.id = coalesce(
                   (select id from payments where provider = $1 and provider_ref = $2),
                   (select id from payments where provider = $1 and id = $3))
               group by p.id"#,
            provider,
            reference,
            payment.map(|payment| payment.0)
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| KnownPayment {
            id: PaymentId(row.id),
            status: row.status,
            amount: Money { amount: row.amount_minor, currency: row.currency },
            refunded_minor: row.refunded,
            refunding_minor: row.refunding,
            unsure_minor: row.unsure,
        }))
    }

    /// Payments of a provider that were made in a span of time and whose money it has or had, as far as we know; a page
    /// after an id.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn payments_between(
        &self,
        provider: &str,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        after: Option<PaymentId>,
        at_most: i64,
    ) -> Result<Vec<(PaymentId, String, String)>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, provider_ref as "provider_ref!", status from payments
               where provider = $1 and provider_ref is not null and created_at >= $2 and created_at < $3
                   and (status in ('authorized', 'captured') or (status = 'reversed' and captured_at is not null))
                   and ($4::uuid is null or id > $4)
               order by id limit $5"#,
            provider,
            from,
            to,
            after.map(|after| after.0),
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (PaymentId(row.id), row.provider_ref, row.status)).collect())
    }

    /// Providers that none of these is and that have business with us: attempts that are not closed, or refunds that were
    /// not sent.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn unconnected_providers(&self, connected: &[&str]) -> Result<Vec<String>, StoreError> {
        let connected: Vec<String> = connected.iter().map(|name| (*name).to_owned()).collect();
        let names = sqlx::query_scalar!(
            r#"select p.provider as "provider!" from payments p where p.poll_at is not null and p.provider <> all($1)
               union
               select p.provider from refunds r join payments p on p.id = r.payment_id
               where r.status in ('pending', 'failed') and r.error is distinct from 'charged_back'
                   and p.provider <> all($1)
               order by 1"#,
            &connected
        );
        Ok(names.fetch_all(&self.pool).await?)
    }

    /// Writes down a difference; one that is found again is brought up to date.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn note_difference(&self, difference: &NewDifference<'_>) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        insert_difference(&mut connection, difference).await?;
        Ok(())
    }

    /// The differences, the latest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn differences(&self, at_most: i64) -> Result<Vec<DifferenceRecord>, StoreError> {
        let rows = sqlx::query_as!(
            DifferenceRecord,
            "select id, provider, provider_ref, payment_id, kind, ours, theirs, repaired, found_at
             from payment_differences order by found_at desc, id desc limit $1",
            at_most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}

/// Writes down that two lists do not agree on something. Its id, when nobody has been told the same before.
async fn insert_difference(
    connection: &mut PgConnection,
    difference: &NewDifference<'_>,
) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query!(
        r#"with before as (
               select theirs, repaired from payment_differences
               where provider = $1 and provider_ref = $2 and kind = $4
           )
           insert into payment_differences as d
               (provider, provider_ref, payment_id, kind, ours, theirs, repaired)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (provider, provider_ref, kind) do update
           set ours = excluded.ours, theirs = excluded.theirs, repaired = excluded.repaired,
               found_at = clock_timestamp()
           returning d.id, not exists (
               select 1 from before b where b.theirs = d.theirs and b.repaired = d.repaired) as "is_news!""#,
        difference.provider,
        difference.reference,
        difference.payment.map(|payment| payment.0),
        difference.kind,
        difference.ours,
        difference.theirs,
        difference.repaired
    )
    .fetch_one(connection)
    .await?;
    Ok(row.is_news.then_some(row.id))
}

/// Writes a difference down, and tells the admins once when it is theirs to decide.
pub(super) async fn tell_difference(
    connection: &mut PgConnection,
    difference: &NewDifference<'_>,
) -> Result<(), StoreError> {
    let news = insert_difference(connection, difference).await?;
    if let Some(difference) = news.filter(|_| !difference.repaired) {
        let outgoing = Outgoing { to: Recipient::Admins, message: Message::PaymentDiffers { difference } };
        messages::send(connection, &outgoing).await?;
    }
    Ok(())
}

/// There is nothing left to decide of such a difference: the provider says otherwise by now.
pub(super) async fn close_difference(
    connection: &mut PgConnection,
    payment: PaymentId,
    kind: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update payment_differences set repaired = true where payment_id = $1 and kind = $2 and not repaired",
        payment.0,
        kind
    )
    .execute(connection)
    .await?;
    Ok(())
}
