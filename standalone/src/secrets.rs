//! Keys that are made once and kept beside the data.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// A secret cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep a secret in {path}")]
pub struct SecretsError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// The file of the secret that signs tokens, made at the first call; only its owner may read it.
///
/// # Errors
/// The folder cannot be written.
pub fn jwt_file(data_dir: &Path) -> Result<PathBuf, SecretsError> {
    secret_file(data_dir, "jwt")
}

/// The file of the secret with this name, made at the first call; only its owner may read it.
///
/// # Errors
/// The folder cannot be written.
pub fn secret_file(data_dir: &Path, name: &str) -> Result<PathBuf, SecretsError> {
    keep(data_dir, name, || Ok(shared::auth::random_hex().into()))
}

/// The file of the key that signs tickets, likewise.
///
/// # Errors
/// The folder cannot be written.
pub fn ticket_key_file(data_dir: &Path) -> Result<PathBuf, SecretsError> {
    keep(data_dir, "ticket-key.pem", shared::tickets::new_key_pem)
}

fn keep(
    data_dir: &Path,
    name: &str,
    make: impl FnOnce() -> std::io::Result<SecretString>,
) -> Result<PathBuf, SecretsError> {
    let folder = data_dir.join("secrets");
    let file = folder.join(name);
    let failed = |source| SecretsError { path: file.clone(), source };
    if file.is_file() {
        return Ok(file);
    }
    // The servers' folders lie beside these, and PostgreSQL's user must get there.
    if !data_dir.is_dir() {
        fs::create_dir_all(data_dir)
            .and_then(|()| fs::set_permissions(data_dir, fs::Permissions::from_mode(0o755)))
            .map_err(failed)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let text = make().map_err(failed)?;
    // Written aside and moved, so that a half-written secret is never read.
    let aside = folder.join(format!("{name}.new"));
    let _ = fs::remove_file(&aside);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut new| new.write_all(text.expose_secret().as_bytes()))
        .and_then(|()| fs::rename(&aside, &file))
        .map_err(failed)?;
    Ok(file)
}
