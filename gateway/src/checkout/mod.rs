//! From the cart to a paid order, as shoppers see it.

mod orders;
mod start;
mod status;

pub use orders::RefundBody;
use shared::seen;
use shared::shop::checkout::{Buyer, CheckoutError};
use shared::store::NewAudit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::Problem;

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

/// An error of buying on its way out. What was refused is noted for the audit log; that a store is away refuses nobody.
pub fn refuse(error: CheckoutError, object: String, Buyer { user, ip }: Buyer) -> Problem {
    let is_fault = matches!(error, CheckoutError::Fault(_));
    let problem = Problem::from(error);
    if !is_fault {
        let result = problem.code.word();
        seen::audit(NewAudit { ip, user: Some(user), action: "order.refuse", object, result });
    }
    problem
}
