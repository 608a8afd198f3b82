//! Settings of tickets. A field's comment is its `--help`.

use clap::Args;

/// Tickets.
#[derive(Debug, Clone, Args)]
pub struct TicketsConfig {}
