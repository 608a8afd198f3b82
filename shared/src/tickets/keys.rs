//! The keys that sign tickets, and their public halves for whoever checks them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

/// Signs and verifies; clones share the keys.
#[derive(Clone)]
pub struct TicketKeys {
    signing: Arc<SigningKey>,
    kid: Arc<str>,
    verifier: TicketVerifier,
}

/// Verifies with public keys only, as a scanner does that is offline.
#[derive(Debug, Clone, Default)]
pub struct TicketVerifier {
    keys: Arc<[(String, VerifyingKey)]>,
}

/// Public keys, as RFC 7517 writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JwkSet {
    /// The one that signs first.
    pub keys: Vec<Jwk>,
}

/// A public Ed25519 key, as RFC 8037 writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The key, in base64url.
    pub x: String,
    /// Its name: the thumbprint of RFC 7638.
    pub kid: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: String,
}

impl TicketKeys {
    /// Keys with this one alone; `None` when it is no Ed25519 key.
    pub fn new(current: &SecretString) -> Option<Self> {
        let signing = read(current)?;
        let public = signing.verifying_key();
        let kid = thumbprint(&public);
        let verifier = TicketVerifier { keys: Arc::new([(kid.clone(), public)]) };
        Some(Self { signing: Arc::new(signing), kid: kid.into(), verifier })
    }

    /// The same keys, where codes of a former key are good as well; `None` when that is no Ed25519 key.
    #[must_use]
    pub fn with_previous(self, previous: &SecretString) -> Option<Self> {
        let public = read(previous)?.verifying_key();
        let former = (thumbprint(&public), public);
        let keys = self.verifier.keys.iter().cloned().chain([former]).collect();
        Some(Self { verifier: TicketVerifier { keys }, ..self })
    }

    /// The name of the key that signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public halves.
    pub fn verifier(&self) -> &TicketVerifier {
        &self.verifier
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; Signature::BYTE_SIZE] {
        self.signing.sign(bytes).to_bytes()
    }
}

impl TicketVerifier {
    /// Keys from a published set; those of another kind are passed over.
    pub fn from_jwks(set: &JwkSet) -> Self {
        let keys = set.keys.iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519");
        let read = |key: &Jwk| {
            let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(&key.x).ok()?.try_into().ok()?;
            Some((key.kid.clone(), VerifyingKey::from_bytes(&bytes).ok()?))
        };
        Self { keys: keys.filter_map(read).collect() }
    }

    /// The set to publish.
    pub fn jwks(&self) -> JwkSet {
        let keys = self.keys.iter().map(|(kid, key)| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: URL_SAFE_NO_PAD.encode(key.as_bytes()),
            kid: kid.clone(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
        });
        JwkSet { keys: keys.collect() }
    }

    pub(super) fn is_signed(&self, kid: &str, bytes: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        let mut keys = self.keys.iter().filter(|(name, _)| name == kid);
        keys.any(|(_, key)| key.verify_strict(bytes, &signature).is_ok())
    }
}

/// A new key, as PKCS#8 in PEM.
///
/// # Errors
/// It cannot be written down, which does not happen.
pub fn new_key_pem() -> Result<SecretString, std::io::Error> {
    let key = SigningKey::from_bytes(&rand::random());
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(std::io::Error::other)?;
    Ok(SecretString::from(pem.as_str()))
}

fn read(key: &SecretString) -> Option<SigningKey> {
    let text = key.expose_secret().trim();
    if text.starts_with("-----") {
        return SigningKey::from_pkcs8_pem(text).ok();
    }
    SigningKey::from_pkcs8_der(&STANDARD.decode(text).ok()?).ok()
}

/// RFC 7638: the SHA-256 of the key's required members, in the order of their names.
fn thumbprint(key: &VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        // RFC 8037, appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(x).expect("base64").try_into().expect("32 bytes");
        let key = VerifyingKey::from_bytes(&bytes).expect("a key");
        assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_is_read_from_pem_and_from_one_line() {
        let pem = new_key_pem().expect("a key");
        let line: String = pem.expose_secret().lines().filter(|line| !line.starts_with("-----")).collect();
        let of = |text: &str| TicketKeys::new(&SecretString::from(text)).map(|keys| keys.kid().to_owned());
        assert!(of(pem.expose_secret()).is_some());
        assert_eq!(of(pem.expose_secret()), of(&line));
        assert_eq!(of("no key"), None);
    }
}
