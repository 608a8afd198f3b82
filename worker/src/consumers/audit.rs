//! Writes bookings, purchases and check-ins into the audit log. What people with a role do otherwise, and what is refused,
//! is written by whoever does it; that a reservation runs out is nobody's action.

use std::net::IpAddr;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use shared::domain::UserId;
use shared::store::{Consuming, PastAudit};
use shared::stream::{Envelope, Group};
use uuid::Uuid;

use super::{ConsumeError, Consumer};

/// The group `audit`.
pub struct Audit;

/// What facts say, as far as it is written down.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditedFact {
    user_id: Option<UserId>,
    /// Who let somebody in.
    scanned_by: Option<UserId>,
    ip: Option<String>,
    order_id: Option<Uuid>,
    booking_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    refund_id: Option<Uuid>,
    ticket_id: Option<Uuid>,
    gate: Option<String>,
}

fn line(fact: &Envelope) -> Result<PastAudit, ConsumeError> {
    let said: AuditedFact = fact.read()?;
    let mut object = format!("event {}", fact.event_id);
    let parts = [
        ("booking", said.booking_id),
        ("order", said.order_id),
        ("payment", said.payment_id),
        ("refund", said.refund_id),
        ("ticket", said.ticket_id),
    ];
    for (name, id) in parts {
        if let Some(id) = id {
            object = format!("{name} {id}, {object}");
        }
    }
    if let Some(gate) = said.gate {
        object = format!("{object}, gate {gate}");
    }
    Ok(PastAudit {
        at: fact.at(),
        ip: said.ip.and_then(|ip| ip.parse::<IpAddr>().ok()),
        user: said.user_id.or(said.scanned_by),
        action: fact.topic.clone(),
        object,
        order: said.order_id,
        result: if fact.topic == "payment.failed" { "failed" } else { "done" },
    })
}

impl Consumer for Audit {
    fn group(&self) -> Group {
        Group::Audit
    }

    fn handle<'a>(
        &'a self,
        consuming: &'a mut Consuming,
        facts: &'a [&'a Envelope],
    ) -> BoxFuture<'a, Result<(), ConsumeError>> {
        async move {
            let lines: Result<Vec<PastAudit>, ConsumeError> = facts.iter().map(|fact| line(fact)).collect();
            Ok(consuming.audit(&lines?).await?)
        }
        .boxed()
    }
}
