//! Signatures of webhooks: `t=<seconds>,v1=<hex of HMAC-SHA-256 over "t.body">`, as Stripe and the sandbox write them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// Seconds that a signature may be old, or come too early by clocks that differ.
const TOLERANCE_S: u64 = 300;
/// Characters that a header of signatures may have.
const MAX_HEADER: usize = 2_000;
/// Signatures that are looked at: providers send one per live secret.
const MAX_SIGNATURES: usize = 8;

/// Checks signatures; any of its secrets will do, so that they can rotate.
pub struct Signatures {
    header: &'static str,
    keys: Vec<Hmac<Sha256>>,
}

impl Signatures {
    /// Checks this header against these secrets.
    pub fn new(header: &'static str, secrets: &[SecretString]) -> Self {
        // HMAC takes keys of every length (RFC 2104 §3), so none is left out.
        let keys =
            secrets.iter().filter_map(|secret| Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok());
        Self { header, keys: keys.collect() }
    }

    /// Whether one of the signatures is one of the secrets' over this body, and lately made (`now_s`: seconds since
    /// 1970). Compared in constant time.
    pub fn is_good(&self, headers: &HeaderMap, body: &[u8], now_s: i64) -> bool {
        let header = headers.get(self.header).and_then(|value| value.to_str().ok());
        let Some(header) = header.filter(|header| header.len() <= MAX_HEADER) else { return false };
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let Some((_, time)) = parts().find(|(name, _)| *name == "t") else { return false };
        let is_recent = time.parse::<i64>().is_ok_and(|time| time.abs_diff(now_s) <= TOLERANCE_S);
        let signatures = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| unhex(hex));
        let is_signed = signatures.take(MAX_SIGNATURES).any(|signature| {
            self.keys.iter().any(|key| {
                let mac = key.clone().chain_update(time).chain_update(b".").chain_update(body);
                mac.verify_slice(&signature).is_ok()
            })
        });
        is_recent && is_signed
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Signs as a provider does.
#[cfg(test)]
pub fn sign(secret: &str, time_s: i64, body: &[u8]) -> String {
    let key: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).expect("every length will do");
    let mac =
        key.chain_update(time_s.to_string()).chain_update(b".").chain_update(body).finalize().into_bytes();
    mac.iter().fold(format!("t={time_s},v1="), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn is_good(secrets: &[&str], header: &str, body: &[u8]) -> bool {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        let mut headers = HeaderMap::new();
        headers.insert("stripe-signature", header.parse().expect("a header"));
        Signatures::new("stripe-signature", &secrets).is_good(&headers, body, NOW)
    }

    #[test]
    fn signature_known_from_elsewhere_is_good() {
        // HMAC-SHA-256 of "1790000000.{}" with the key "whsec_test", computed with openssl.
        let header = "t=1790000000,v1=1c2847ad1f8158a1da978f36627ac1f07f7fd027321ac9ad40bccc06743f8396";
        assert!(is_good(&["whsec_test"], header, b"{}"));
    }

    #[test]
    fn any_of_two_secrets_and_of_several_signatures_will_do() {
        let old = sign("old", NOW, b"body");
        assert!(is_good(&["new", "old"], &old, b"body"));
        assert!(!is_good(&["new"], &old, b"body"));
        let several =
            format!("{},v0=00,{}", sign("other", NOW, b"body"), old.trim_start_matches(&format!("t={NOW},")));
        assert!(is_good(&["new", "old"], &several, b"body"));
    }

    #[test]
    fn changed_bodies_times_and_signatures_are_forged() {
        let good = sign("secret", NOW, b"body");
        assert!(is_good(&["secret"], &good, b"body"));
        assert!(!is_good(&["secret"], &good, b"bodY"));
        assert!(!is_good(&["secret"], &good.replace("t=1790000000", "t=1790000001"), b"body"));
        for nonsense in ["", "t=1", "v1=00", "t=x,v1=zz", "t=1790000000,v1=", "t=1790000000,v1=é0"] {
            let mut headers = HeaderMap::new();
            if let Ok(value) = reqwest::header::HeaderValue::from_bytes(nonsense.as_bytes()) {
                headers.insert("stripe-signature", value);
            }
            let signatures = Signatures::new("stripe-signature", &[SecretString::from("secret")]);
            assert!(!signatures.is_good(&headers, b"body", NOW), "{nonsense}");
        }
    }

    #[test]
    fn signatures_older_than_five_minutes_or_from_the_future_are_refused() {
        for (time, is_fine) in [(NOW - 300, true), (NOW - 301, false), (NOW + 300, true), (NOW + 301, false)]
        {
            assert_eq!(is_good(&["secret"], &sign("secret", time, b"body"), b"body"), is_fine, "{time}");
        }
    }
}
