//! What the gateway says to whatever it is sent.

mod access;
mod access_table;
mod accounts;
mod accounts_admin;
mod accounts_changes;
mod accounts_many;
mod accounts_second_factor;
mod accounts_sessions;
mod accounts_verification;
mod audit;
mod bad_input;
mod catalogue;
mod connections;
mod deployment;
mod document;
mod headers;
mod idempotency;
mod injection;
mod limits;
mod logs;
mod logs_ways;
mod oversight;
mod polls;
mod seeds;
mod tls;
