//! A Redis whose clock runs fast, so that it lives through days in minutes.

use std::path::{Path, PathBuf};

use standalone::servers::{PrivateRedis, RedisOptions};

/// The library as Debian's package brings it, in a folder of the machine's architecture or straight in one of these.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
const FOLDERS: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// Starts one in this folder, with its clock and its expiries so many times as fast. Stop it in the end: the library
/// leaves something behind of a process that is killed.
pub(crate) async fn start_fast_redis(
    dir: &Path,
    times: u64,
) -> Result<PrivateRedis, Box<dyn std::error::Error>> {
    let missing = "libfaketime is missing: run `make soak`, or as root `apt-get install libfaketime`";
    let library = find_library().ok_or(missing)?;
    // The C library's own memory functions as well: jemalloc asks for the time before libfaketime can tell it.
    let preload = format!("{} libc.so.6", library.display());
    let clock = format!("+0 x{times}");
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let options = RedisOptions {
        environment: pairs(&[("LD_PRELOAD", preload.as_str()), ("FAKETIME", clock.as_str())]),
        // Its clock of intervals runs fast too. So its housekeeping comes once in a second of its own; a script of some
        // milliseconds is nothing that it should interrupt or remember as slow.
        settings: pairs(&[
            ("appendonly", "no"),
            ("hz", "1"),
            ("dynamic-hz", "no"),
            ("lua-time-limit", "0"),
            ("slowlog-log-slower-than", "-1"),
        ]),
        ..RedisOptions::default()
    };
    Ok(PrivateRedis::start(dir, options).await?)
}

fn find_library() -> Option<PathBuf> {
    let roots = FOLDERS.iter().map(PathBuf::from);
    let nested = FOLDERS.iter().filter_map(|root| std::fs::read_dir(root).ok()).flatten();
    let nested = nested.filter_map(|entry| Some(entry.ok()?.path()));
    roots.chain(nested).map(|folder| folder.join(LIBRARY)).find(|library| library.is_file())
}
