//! From the cart to a paid order, as shoppers see it.

mod orders;
mod start;
mod status;

pub use orders::RefundBody;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start::check_out_cart))
        .routes(routes!(start::initiate_payment))
        .routes(routes!(status::show_payment_status))
        .routes(routes!(orders::list_orders))
        .routes(routes!(orders::show_order))
        .routes(routes!(orders::pay_order))
        .routes(routes!(orders::cancel_order))
        .routes(routes!(orders::refund_order))
}
