//! How many sockets this process may open.

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit on open files to the highest that is allowed; children inherit it.
pub fn raise_open_files() -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("read the limit on open files")?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise the limit on open files")?;
    }
    Ok(())
}

/// Fails with what to type when so many sockets are not allowed.
pub fn require_sockets(sockets: u64) -> Result<()> {
    // Some for files, stores and the terminal.
    let wanted = sockets + 200;
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).context("read the limit on open files")?;
    if soft < wanted {
        bail!(
            "{sockets} sockets are needed and this shell allows {soft} open files: \
             run `ulimit -n {wanted}` first (as root `ulimit -Hn {wanted}` raises what is allowed)"
        );
    }
    Ok(())
}
