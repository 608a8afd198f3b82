//! The rows of an event: itself, its artists, its tiers, and the places it gets from a layout.

use sqlx::PgConnection;

use super::{EventData, EventRow, NewTier, column, count};
use crate::domain::{EventId, Money, Tier, TierId};
use crate::store::StoreError;

pub(super) async fn write_event(
    connection: &mut PgConnection,
    id: EventId,
    event: &EventData,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update events set venue_id = $2, name = $3, description = $4, starts_at = $5, ends_at = $6,
             sales_open_at = $7, sales_close_at = $8, seat_limit = $9, hold_seconds = $10,
             one_booking_each = $11, refund_until_hours = $12
         where id = $1",
        id.0,
        event.venue,
        event.name,
        event.description,
        event.starts_at,
        event.ends_at,
        event.sales_open_at,
        event.sales_close_at,
        column(event.seat_limit),
        column(event.hold_seconds),
        event.one_booking_each,
        event.refund_until_hours.map(column)
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn write_artists(
    connection: &mut PgConnection,
    id: EventId,
    artists: &[i64],
) -> Result<(), StoreError> {
    sqlx::query!("delete from event_artists where event_id = $1", id.0).execute(&mut *connection).await?;
    sqlx::query!(
        "insert into event_artists (event_id, artist_id, position)
         select $1, artist_id, n from unnest($2::bigint[]) with ordinality as a (artist_id, n)",
        id.0,
        artists
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds tiers, or gives those of the same name another price.
pub(super) async fn write_tiers(
    connection: &mut PgConnection,
    id: EventId,
    tiers: &[NewTier],
) -> Result<(), StoreError> {
    let names: Vec<String> = tiers.iter().map(|tier| tier.name.clone()).collect();
    let prices: Vec<i64> = tiers.iter().map(|tier| tier.price.amount).collect();
    let currencies: Vec<String> = tiers.iter().map(|tier| tier.price.currency.clone()).collect();
    sqlx::query!(
        "insert into price_tiers (event_id, name, price_minor, currency)
         select $1, name, price, currency from unnest($2::text[], $3::bigint[], $4::text[]) as t (name, price, currency)
         on conflict (event_id, name) do update
         set price_minor = excluded.price_minor, currency = excluded.currency",
        id.0,
        &names,
        &prices,
        &currencies
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives an event the places of a layout; its tiers are there.
pub(super) async fn lay_out(
    connection: &mut PgConnection,
    id: EventId,
    layout: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sections (event_id, name, position)
         select $1, s.section ->> 'name', s.n
         from venue_layouts l, jsonb_array_elements(l.document -> 'sections') with ordinality as s (section, n)
         where l.id = $2",
        id.0,
        layout
    )
    .execute(&mut *connection)
    .await?;
    let seats = sqlx::query_file!("src/store/sql/lay_out_seats.sql", id.0, layout)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    sqlx::query!(
        "insert into areas (event_id, tier_id, name, position, capacity)
         select $1, t.id, a.area ->> 'name', a.n, (a.area ->> 'capacity')::integer
         from venue_layouts l
         cross join lateral jsonb_array_elements(l.document -> 'areas') with ordinality as a (area, n)
         join price_tiers t on t.event_id = $1 and t.name = a.area ->> 'tier'
         where l.id = $2",
        id.0,
        layout
    )
    .execute(&mut *connection)
    .await?;
    let wanted = sqlx::query!(
        r#"select l.seats, l.places, e.capacity from venue_layouts l, events e where l.id = $2 and e.id = $1"#,
        id.0,
        layout
    )
    .fetch_optional(connection)
    .await?;
    let is_whole = wanted
        .is_some_and(|wanted| u64::from(count(wanted.seats)) == seats && wanted.places == wanted.capacity);
    if is_whole {
        Ok(())
    } else {
        Err(StoreError::Row("a layout that changed while an event was made of it"))
    }
}

pub(super) async fn read_events(
    connection: &mut PgConnection,
    ids: &[i64],
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query!(
        r#"select id, venue_id, name, description, starts_at, ends_at, sales_open_at, sales_close_at, seat_limit,
               hold_seconds, one_booking_each, refund_until_hours, status, layout_version, capacity,
               clock_timestamp() as "read_at!",
               array(select artist_id from event_artists where event_id = e.id order by position) as "artists!"
           from events e where id = any($1) order by starts_at desc, id desc"#,
        ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let tiers = sqlx::query!(
        "select event_id, id, name, price_minor, currency from price_tiers where event_id = any($1)
         order by price_minor desc, id",
        ids
    )
    .fetch_all(connection)
    .await?;
    let tiers_of = |event: i64| {
        let own = tiers.iter().filter(|tier| tier.event_id == event);
        let tier = own.map(|tier| Tier {
            id: TierId(tier.id),
            name: tier.name.clone(),
            price: Money { amount: tier.price_minor, currency: tier.currency.clone() },
        });
        tier.collect()
    };
    let events = rows.into_iter().map(|row| EventRow {
        id: EventId(row.id),
        tiers: tiers_of(row.id),
        data: EventData {
            venue: row.venue_id,
            name: row.name,
            description: row.description,
            artists: row.artists,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            sales_open_at: row.sales_open_at,
            sales_close_at: row.sales_close_at,
            seat_limit: count(row.seat_limit),
            hold_seconds: count(row.hold_seconds),
            one_booking_each: row.one_booking_each,
            refund_until_hours: row.refund_until_hours.map(count),
        },
        status: row.status,
        layout_version: count(row.layout_version),
        capacity: count(row.capacity),
        read_at: row.read_at,
    });
    Ok(events.collect())
}
