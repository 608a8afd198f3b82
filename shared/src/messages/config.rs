//! Settings of messages. A field's comment is its `--help`.

use clap::Args;

/// Messages to people.
#[derive(Debug, Clone, Args)]
pub struct MessagesConfig {}
