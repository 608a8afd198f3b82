//! What admins do.

mod catalogue;
mod changes;
mod layouts;
mod listings;
mod places;
