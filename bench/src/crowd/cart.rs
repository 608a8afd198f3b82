//! What shoppers do with what they won.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::Call;
use super::follow::{Socket, Won};
use super::ledger::Place;
use super::shopper::Shopper;

impl Shopper {
    /// Looks into the cart, then gives something back, or cancels, or lets it be.
    pub(super) async fn keep_or_give_back(&mut self, won: &Won, told: Instant, socket: Option<Socket>) {
        self.check_cart(won, told).await;
        match self.rng.random_range(0..100) {
            0..20 => self.release(won).await,
            20..35 => self.cancel(won).await,
            _ => self.walk_away(won, told, socket).await,
        }
    }

    /// The cart must hold what was told, as long as that is held.
    async fn check_cart(&mut self, won: &Won, told: Instant) {
        let Some(answer) = self.call(&Call::get("look into the cart", "/api/cart")).await else { return };
        let is_held = told.elapsed() + Duration::from_secs(1) < won.remaining;
        if !answer.status.is_success() || !is_held {
            return;
        }
        let cart = answer.json();
        let items = cart.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let seats = items.iter().filter_map(|item| item.get("seats")?.as_array()).flatten();
        let places: Vec<Place> = seats.filter_map(Place::read).collect();
        if won.places.iter().any(|place| !places.contains(place)) {
            self.ledger.count(|counts| counts.other_cart += 1);
        }
    }

    async fn release(&mut self, won: &Won) {
        let Some(place) = won.places.first() else { return };
        let call = match place {
            Place::Seat(seat) if self.rng.random_bool(0.5) => {
                Call::new("release a seat", Method::PATCH, "/api/seats/release").with(json!({"seatId": seat}))
            }
            Place::Seat(seat) => {
                Call::new("remove from the cart", Method::DELETE, format!("/api/cart/seats/{seat}"))
            }
            Place::Slot(area, slot) => Call::new(
                "remove from the cart",
                Method::DELETE,
                format!("/api/cart/areas/{area}/slots/{slot}"),
            ),
        };
        self.ledger.gives_back(self.nth, &[*place], Instant::now());
        if self.call(&call).await.is_some_and(|answer| answer.status.is_success()) {
            self.ledger.count(|counts| counts.released += 1);
        }
    }

    async fn cancel(&mut self, won: &Won) {
        let call = Call::new("cancel a booking", Method::PATCH, "/api/bookings/cancel")
            .with(json!({"bookingId": won.booking}));
        self.ledger.gives_back(self.nth, &won.places, Instant::now());
        if self.call(&call).await.is_some_and(|answer| answer.status.is_success()) {
            self.ledger.count(|counts| counts.cancelled += 1);
        }
    }

    /// Waits until the hold is over where that is soon and a socket tells; else only goes.
    async fn walk_away(&mut self, won: &Won, told: Instant, socket: Option<Socket>) {
        let over = told + won.remaining;
        // The sweeper may take a second more.
        let is_soon = over + Duration::from_secs(2) < self.deadline;
        if let Some(mut socket) = socket.filter(|_| is_soon)
            && self.wait_for_expiry(&mut socket, &won.booking).await
        {
            self.ledger.count(|counts| counts.expired += 1);
        } else {
            self.ledger.count(|counts| counts.walked_away += 1);
        }
    }
}
