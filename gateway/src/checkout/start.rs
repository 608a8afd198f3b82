//! `POST /api/cart/checkout`, `PATCH /api/bookings/initiatePayment`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use shared::domain::BookingId;
use shared::shop::checkout::CheckoutView;
use shared::store::Basket;
use utoipa::ToSchema;

use super::refuse;
use crate::app::App;
use crate::caller::{Body, Caller, ClientIp};
use crate::problem::{Problem, ProblemBody};

/// Which booking.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentStart {
    #[serde(alias = "booking_id")]
    booking_id: BookingId,
}

/// Buys everything in the cart, as one order; answers with the page on which it is paid. Asking again while it is not
/// paid gives the same order and the same page.
#[utoipa::path(post, path = "/api/cart/checkout", tag = "checkout",
    responses((status = 201, body = CheckoutView), (status = 200, body = CheckoutView),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn check_out_cart(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
) -> Result<(StatusCode, Json<CheckoutView>), Problem> {
    app.limits.check_write(caller.user)?;
    let buyer = caller.buyer(ip);
    let bought = app.checkout.check_out(buyer, Basket::Cart).await;
    Ok(answer(bought.map_err(|error| refuse(error, "cart".to_owned(), buyer))?))
}

/// Buys one booking, likewise.
#[utoipa::path(patch, path = "/api/bookings/initiatePayment", tag = "checkout", request_body = PaymentStart,
    responses((status = 201, body = CheckoutView), (status = 200, body = CheckoutView),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn initiate_payment(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Body(body): Body<PaymentStart>,
) -> Result<(StatusCode, Json<CheckoutView>), Problem> {
    app.limits.check_write(caller.user)?;
    let buyer = caller.buyer(ip);
    let booking = body.booking_id;
    let bought = app.checkout.check_out(buyer, Basket::Booking(booking)).await;
    Ok(answer(bought.map_err(|error| refuse(error, format!("booking {booking}"), buyer))?))
}

fn answer((view, is_new): (CheckoutView, bool)) -> (StatusCode, Json<CheckoutView>) {
    (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(view))
}
