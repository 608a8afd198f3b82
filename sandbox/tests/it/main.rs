//! Tests of the sandbox as shops and payers meet it, over HTTP.

mod api;
mod faults;
mod lab;
mod page;
