//! No card is kept, whoever sends us one: a whole purchase, and then a look at every row and every key.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Fallible;
use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, make_event};

const CARD: &str = "4556737586899855";

/// Its digits as people write them.
fn written() -> [String; 3] {
    let groups = |between: &str| {
        let groups = [&CARD[..4], &CARD[4..8], &CARD[8..12], &CARD[12..]];
        groups.join(between)
    };
    [groups(""), groups(" "), groups("-")]
}

fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The tables that have it in some column of some row: a row as text has all of its columns, and bytes in hexadecimal.
async fn tables_with_card(lab: &Lab) -> Fallible<Vec<String>> {
    let pool = lab.store().pool();
    let patterns: Vec<String> =
        written().iter().flat_map(|text| [format!("%{text}%"), format!("%{}%", hexadecimal(text))]).collect();
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and n.nspname !~ '^(pg_|information_schema$)' order by 1",
    )
    .fetch_all(pool)
    .await?;
    let mut found = Vec::new();
    for table in tables {
        let sql = format!("select exists (select 1 from {table} as one where one::text like any($1))");
        let has_it: bool =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&patterns).fetch_one(pool).await?;
        if has_it {
            found.push(table);
        }
    }
    Ok(found)
}

/// The keys of Redis that have it in their name or their value; short numbers stand there as eight bytes.
async fn keys_with_card(lab: &Lab) -> Fallible<BTreeSet<String>> {
    let mut shapes: Vec<Vec<u8>> = written().into_iter().map(String::into_bytes).collect();
    shapes.push(CARD.parse::<i64>()?.to_le_bytes().to_vec());
    shapes.push(CARD.parse::<f64>()?.to_le_bytes().to_vec());
    let mut connection = lab.system.queue.connection();
    // So that a dump is what it is a dump of.
    let () = redis::cmd("CONFIG").arg(&["SET", "rdbcompression", "no"]).query_async(&mut connection).await?;
    let (mut cursor, mut found) = (0_u64, BTreeSet::new());
    loop {
        let (next, keys): (u64, Vec<Vec<u8>>) =
            redis::cmd("SCAN").arg(cursor).arg(&["COUNT", "1000"]).query_async(&mut connection).await?;
        for key in keys {
            let dump: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key[..]).query_async(&mut connection).await?;
            let kept = [key.clone(), dump.unwrap_or_default()].concat();
            if shapes.iter().any(|shape| kept.windows(shape.len()).any(|part| part == &shape[..])) {
                found.insert(String::from_utf8_lossy(&key).into_owned());
            }
        }
        if next == 0 {
            return Ok(found);
        }
        cursor = next;
    }
}

/// A purchase, in which the card is sent to us, typed on the provider's page, and told by webhooks of every kind.
async fn buy(lab: &Lab) -> TestResult {
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    let url = shopper.url.as_str();
    shopper.outcome(&shopper.book_seats(event, &seats).await?).await?;
    let [plain, grouped, _] = written();
    let card = json!({"number": plain, "shown": grouped, "code": "123"});
    let checkout = lab.http.post(format!("{url}/api/cart/checkout")).bearer_auth(&shopper.token);
    let checkout = checkout.header("Idempotency-Key", "with a card").json(&json!({"card": card}));
    let order: Value = checkout.send().await?.error_for_status()?.json().await?;
    let page = order["redirectUrl"].as_str().ok_or_else(|| order.to_string())?;
    let paid = lab.pay_and_tell_of_card(url, page, &card).await?;
    assert_eq!(lab.tell(url, &paid, true).await?, StatusCode::OK, "told again");
    let path = format!("/api/orders/{}", order["orderId"].as_str().unwrap_or_default());
    eventually("the order is fulfilled", async || {
        shopper.get(&path).await.is_ok_and(|(_, order)| order["status"] == "fulfilled")
    })
    .await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn no_column_is_named_for_a_card_and_one_that_is_typed_or_told_is_in_no_row_and_no_key() -> TestResult {
    let lab = Lab::start().await?;
    let columns: Vec<String> = sqlx::query_scalar(
        "select table_name || '.' || column_name from information_schema.columns
         where table_schema = 'public'
             and (column_name ~ '(^|_)(card|pan|cvv|cvc|iban)' or column_name ~ 'expiry_(month|year)')",
    )
    .fetch_all(lab.store().pool())
    .await?;
    assert_eq!(columns, [""; 0]);
    buy(&lab).await?;
    // What follows from the purchase is told to the stream, and from there written down.
    eventually("it is in the audit log", async || {
        let lines = "select count(*) from audit_log where action = 'payment.completed'";
        sqlx::query_scalar::<_, i64>(lines).fetch_one(lab.store().pool()).await.is_ok_and(|lines| lines == 1)
    })
    .await;
    assert_eq!(tables_with_card(&lab).await?, [""; 0]);
    assert_eq!(keys_with_card(&lab).await?, BTreeSet::new());

    // They find one that is there: in a text, in bytes, and as a number.
    let grouped = &written()[1];
    for (sql, text) in [
        ("insert into stream_topics (topic, run) values ('a note', $1)", grouped.as_str()),
        (
            "insert into idempotent_requests (id, body_hash, answer) values ('\\x00', '\\x00', convert_to($1, 'UTF8'))",
            CARD,
        ),
    ] {
        sqlx::query(sql).bind(text).execute(lab.store().pool()).await?;
    }
    assert_eq!(tables_with_card(&lab).await?, ["public.idempotent_requests", "public.stream_topics"]);
    let mut connection = lab.system.queue.connection();
    for (verb, key, value) in [("SET", "a note", grouped.as_str()), ("RPUSH", "a number", CARD)] {
        let _: redis::Value = redis::cmd(verb).arg(key).arg(value).query_async(&mut connection).await?;
    }
    let keys = ["a note", "a number"].map(str::to_owned);
    assert_eq!(keys_with_card(&lab).await?, BTreeSet::from(keys));
    Ok(())
}
