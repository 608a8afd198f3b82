//! From the cart to a paid order and back: with a bank that does as it is told, and at the sandbox.

mod books;
mod buying;
mod cancelled;
mod cards;
mod crowd;
mod expiry;
mod faulty;
mod guarded;
mod providers;
mod refunds;
mod tricky;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;
