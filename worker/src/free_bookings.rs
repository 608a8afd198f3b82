//! The queue of bookings that cost nothing: each is bought as soon as it was won, whether or not anybody waits for it.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use shared::queue::jobs::Job;
use shared::shop::checkout::{Buyer, Checkout, CheckoutError};
use shared::store::{Basket, BuyFreeBooking};
use shared::telemetry::chain;

use crate::progress::Progress;
use crate::run_jobs::{Backoff, Handler, JobError, Policy};

/// How they are bought: soon, as their holds run.
pub const POLICY: Policy = Policy {
    lanes: 1,
    at_once: 8,
    attempts: 20,
    backoff: Backoff::Exponential { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
    timeout: Duration::from_secs(20),
};

/// Buys free bookings.
pub struct FreeBookings {
    checkout: Checkout,
}

impl FreeBookings {
    /// With this checkout.
    pub fn new(checkout: Checkout) -> Self {
        Self { checkout }
    }
}

impl Handler for FreeBookings {
    fn run<'a>(&'a self, job: &'a Job, _: &'a Progress) -> BoxFuture<'a, Result<(), JobError>> {
        async move {
            let BuyFreeBooking { booking, user, ip } = serde_json::from_slice(&job.payload)
                .map_err(|error| JobError::Fatal(format!("no booking to buy: {error}")))?;
            let bought = self.checkout.check_out(Buyer { user, ip }, Basket::Booking(booking)).await;
            match bought {
                // Whoever has cancelled it, bought it or let it run out meanwhile wants nothing more of it.
                Ok(_)
                | Err(
                    CheckoutError::Empty
                    | CheckoutError::NotFound
                    | CheckoutError::BookingClosed(_)
                    | CheckoutError::RunOut
                    | CheckoutError::EventCancelled
                    | CheckoutError::OrderClosed(_),
                ) => Ok(()),
                Err(error @ (CheckoutError::Currencies | CheckoutError::Unavailable)) => {
                    Err(JobError::Fatal(error.to_string()))
                }
                Err(CheckoutError::Fault(fault)) => Err(JobError::Retry(chain(&fault))),
            }
        }
        .boxed()
    }
}
