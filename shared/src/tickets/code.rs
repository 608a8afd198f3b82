//! What a ticket's QR code says: `UT1.`, a JSON object in base64url, a dot, its Ed25519 signature in base64url. The
//! signature is over everything before the second dot. `docs/API.md` describes it for those who check it themselves.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::keys::{TicketKeys, TicketVerifier};
use crate::domain::{EventId, TicketId};

/// The version; what is signed begins with it.
const PREFIX: &str = "UT1.";
/// Longer ones are not looked at.
const MAX_CODE: usize = 1_024;
/// Letters of the place that a code has room for.
const MAX_PLACE: usize = 32;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketCode {
    /// The ticket.
    pub id: TicketId,
    /// Its number.
    #[serde(rename = "no")]
    pub number: String,
    /// The event that it admits to.
    #[serde(rename = "ev")]
    pub event: EventId,
    /// The place in words, shortened.
    #[serde(rename = "pl")]
    pub place: String,
    /// When the ticket was issued, in seconds since 1970.
    #[serde(rename = "at")]
    pub issued_s: i64,
    /// The key that signed.
    pub kid: String,
}

/// A code that was not signed by any of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this code is not one of ours")]
pub struct CodeError;

/// A ticket to sign a code for.
#[derive(Debug, Clone, Copy)]
pub struct ToSign<'a> {
    /// The ticket.
    pub id: TicketId,
    /// Its number.
    pub number: &'a str,
    /// The event that it admits to.
    pub event: EventId,
    /// The place in words.
    pub place: &'a str,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
}

impl TicketKeys {
    /// The code of a ticket; always the same one for the same ticket and key.
    pub fn code(&self, ticket: ToSign<'_>) -> String {
        let says = TicketCode {
            id: ticket.id,
            number: ticket.number.to_owned(),
            event: ticket.event,
            place: ticket.place.chars().take(MAX_PLACE).collect(),
            issued_s: ticket.issued_at.timestamp(),
            kid: self.kid().to_owned(),
        };
        let payload = serde_json::to_vec(&says).unwrap_or_default();
        let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

impl TicketVerifier {
    /// What a code says.
    ///
    /// # Errors
    /// It was changed, or signed by nobody we know.
    pub fn verify(&self, code: &str) -> Result<TicketCode, CodeError> {
        if code.len() > MAX_CODE {
            return Err(CodeError);
        }
        let (signed, signature) = code.trim().rsplit_once('.').ok_or(CodeError)?;
        let payload = signed.strip_prefix(PREFIX).ok_or(CodeError)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| CodeError)?;
        let says: TicketCode = serde_json::from_slice(&payload).map_err(|_| CodeError)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| CodeError)?;
        let is_ours = self.is_signed(&says.kid, signed.as_bytes(), &signature);
        if is_ours { Ok(says) } else { Err(CodeError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tickets::keys::new_key_pem;

    fn keys() -> TicketKeys {
        TicketKeys::new(&new_key_pem().expect("a key")).expect("an Ed25519 key")
    }

    fn ticket() -> ToSign<'static> {
        ToSign {
            id: TicketId::new(),
            number: "0123456789AB",
            event: EventId(7),
            place: "Партер, ряд 12, місце 34, найдовша назва сектора",
            issued_at: Utc::now(),
        }
    }

    #[test]
    fn a_code_says_what_was_signed_and_fits_into_a_picture() {
        let (keys, ticket) = (keys(), ticket());
        let code = keys.code(ticket);
        assert_eq!(keys.code(ticket), code, "always the same");
        let says = keys.verifier().verify(&code).expect("signed here");
        assert_eq!((says.id, says.event, says.number.as_str()), (ticket.id, ticket.event, ticket.number));
        assert_eq!(says.place, "Партер, ряд 12, місце 34, найдов");
        assert_eq!(says.issued_s, ticket.issued_at.timestamp());
        assert!(code.len() < 420, "{}", code.len());
    }

    #[test]
    fn whoever_changes_a_letter_is_found_out() {
        let keys = keys();
        let code = keys.code(ticket());
        for at in (0..code.len()).step_by(7) {
            let mut forged = code.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert_eq!(keys.verifier().verify(&forged), Err(CodeError), "letter {at}");
        }
        let (signed, signature) = code.rsplit_once('.').expect("two dots");
        let other = keys.code(ToSign { number: "another", ..ticket() });
        let moved = format!("{}.{signature}", other.rsplit_once('.').expect("two dots").0);
        let later = code.replacen("UT1.", "UT2.", 1);
        for forged in [signed, "", ".", "UT1..", "UT1.e30.", &moved, &later, &"A".repeat(5_000)] {
            assert_eq!(keys.verifier().verify(forged), Err(CodeError), "{forged:.40}");
        }
    }

    #[test]
    fn codes_outlive_one_rotation_and_no_foreign_key_is_accepted() {
        let (first, second, third) =
            (new_key_pem().expect("a key"), new_key_pem().expect("a key"), new_key_pem().expect("a key"));
        let only = |key| TicketKeys::new(key).expect("a key");
        let code = only(&first).code(ticket());
        let rotated = only(&second).with_previous(&first).expect("a key");
        assert!(rotated.verifier().verify(&code).is_ok());
        assert!(rotated.verifier().verify(&rotated.code(ticket())).is_ok());
        assert_eq!(rotated.verifier().jwks().keys.len(), 2);
        assert_eq!(rotated.verifier().jwks().keys[0].kid, rotated.kid());
        let twice = only(&third).with_previous(&second).expect("a key");
        assert_eq!(twice.verifier().verify(&code), Err(CodeError));
        let published = serde_json::to_string(&rotated.verifier().jwks()).expect("JSON");
        let offline = TicketVerifier::from_jwks(&serde_json::from_str(&published).expect("JSON"));
        assert!(offline.verify(&code).is_ok());
        assert_eq!(TicketVerifier::default().verify(&code), Err(CodeError));
    }
}
