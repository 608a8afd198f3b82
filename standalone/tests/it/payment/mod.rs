//! From the cart to a paid order and back, with a bank that does as it is told.

mod buying;
mod expiry;
mod refunds;
mod tricky;
