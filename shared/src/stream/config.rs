//! Settings of the event stream. A field's comment is its `--help`.

use clap::Args;

/// The event stream.
#[derive(Debug, Clone, Args)]
pub struct StreamConfig {}
