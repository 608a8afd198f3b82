//! What admins do.

mod catalogue;
mod layouts;
mod listings;
mod places;
