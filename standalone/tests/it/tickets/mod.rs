//! From a paid order to somebody who goes in.

mod check_in;
mod documents;
mod issue;
mod keys;

use serde_json::Value;
use shared::domain::EventId;
use shared::shop::Tickets;
use standalone::settings::Settings;

use crate::lab::{EventPlan, Lab, Shopper, TICKET_KEY, make_event, make_order};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// An event with tickets that somebody has.
struct Evening {
    lab: Lab,
    event: EventId,
    owner: Shopper,
    /// As the owner sees them, in the order of their seats.
    tickets: Vec<Value>,
}

impl Evening {
    async fn start(tickets: usize) -> Fallible<Self> {
        let lab = Lab::start().await?;
        let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 20)).await?;
        let owner = lab.shopper().await?;
        let (order, _) = make_order(lab.store(), owner.id, (event, &seats[..tickets]), "paid").await?;
        lab.store().issue_tickets(order).await?;
        let mut evening = Self { lab, event, owner, tickets: Vec::new() };
        let (_, list) = evening.owner.get("/api/tickets?pageSize=100").await?;
        for item in list["items"].as_array().ok_or("a list")? {
            let id = item["id"].as_str().ok_or("an id")?;
            evening.tickets.push(evening.owner.get(&format!("/api/tickets/{id}")).await?.1);
        }
        evening.tickets.sort_by_key(|ticket| {
            ticket["place"].as_str().map(str::len).zip(ticket["place"].as_str().map(str::to_owned))
        });
        assert_eq!(evening.tickets.len(), tickets);
        Ok(evening)
    }

    fn path(&self, nth: usize) -> String {
        format!("/api/tickets/{}", self.tickets[nth]["id"].as_str().unwrap_or_default())
    }

    fn text(&self, nth: usize, field: &str) -> String {
        self.tickets[nth][field].as_str().unwrap_or_default().to_owned()
    }

    async fn sql(&self, sql: &'static str) -> Fallible<()> {
        sqlx::query(sql).execute(self.lab.store().pool()).await?;
        Ok(())
    }
}

/// The use cases on this store, with the key of the tests.
fn tickets(lab: &Lab) -> Fallible<Tickets> {
    let key = format!("--ticket-key={TICKET_KEY}");
    let settings = Settings::from_words([key.as_str()])?;
    Ok(Tickets::new(lab.store().clone(), &settings.services.tickets)?)
}
