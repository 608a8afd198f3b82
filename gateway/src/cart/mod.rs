//! The cart: what is in it, and how long it holds.

use axum::Json;
use axum::extract::State;
use shared::domain::{AreaId, SeatId};
use shared::shop::CartView;
use shared::store::ClaimedPlace;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::{Caller, ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show_cart)).routes(routes!(remove_seat)).routes(routes!(remove_slot))
}

/// The caller's cart, with what is left of every hold.
#[utoipa::path(get, path = "/api/cart", tag = "cart",
    responses((status = 200, body = CartView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_cart(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
) -> Result<Json<CartView>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Json(app.carts.cart(caller.user).await?))
}

/// Takes a seat out of the cart; the timers of the others stay as they are.
#[utoipa::path(delete, path = "/api/cart/seats/{id}", tag = "cart", params(("id" = i64, Path, description = "The seat")),
    responses((status = 200, body = CartView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn remove_seat(
    State(app): State<App>,
    caller: Caller,
    Path(seat): Path<SeatId>,
) -> Result<Json<CartView>, Problem> {
    remove(&app, caller, ClaimedPlace::Seat(seat)).await
}

/// Takes a place in an area out of the cart.
#[utoipa::path(delete, path = "/api/cart/areas/{id}/slots/{slot}", tag = "cart",
    params(("id" = i64, Path, description = "The area"), ("slot" = u32, Path)),
    responses((status = 200, body = CartView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn remove_slot(
    State(app): State<App>,
    caller: Caller,
    Path((area, slot)): Path<(AreaId, u32)>,
) -> Result<Json<CartView>, Problem> {
    remove(&app, caller, ClaimedPlace::Slot(area, slot)).await
}

async fn remove(app: &App, caller: Caller, place: ClaimedPlace) -> Result<Json<CartView>, Problem> {
    app.limits.check_write(caller.user)?;
    app.carts.release(caller.user, place, None).await?;
    Ok(Json(app.carts.cart(caller.user).await?))
}
