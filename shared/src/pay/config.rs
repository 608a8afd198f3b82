//! Settings of payment. A field's comment is its `--help`.

use clap::Args;

/// Payment.
#[derive(Debug, Clone, Args)]
pub struct PayConfig {}
