//! Tests of the whole system, on real PostgreSQL and Redis that each test starts itself.

mod admin;
mod faults;
mod journeys;
mod lab;
mod messages;
mod payment;
mod queue;
mod servers;
mod stream;
mod tickets;
mod web;
