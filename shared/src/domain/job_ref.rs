//! The signed reference of a job: its id on the outside.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::codec::{DecodeError, Reader, put, put_id};
use super::{BookingRequest, EventId, UserId};

const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
/// Longer than any reference that Usher makes.
const MAX_TEXT: usize = 512;

/// What a lane keeps of a job, and what a reference repeats, so that a job can be re-entered by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who asked.
    pub owner: UserId,
    /// Drawn at random for this job, so that an outcome is never taken for another job's.
    pub nonce: u64,
    /// An idempotency key was given; such a job is not looked up by its request.
    pub is_keyed: bool,
    /// Where the request came from, for the audit log; not part of references.
    pub ip: Option<IpAddr>,
    /// What is asked for.
    pub request: BookingRequest,
}

impl Envelope {
    /// The bytes that stand in Redis.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        self.encode_into(&mut out, self.ip);
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let envelope = Self::read(&mut reader)?;
        if reader.0.is_empty() { Ok(envelope) } else { Err(DecodeError) }
    }

    /// What a lane knows a job by: the fingerprint of its request, then its nonce.
    pub fn tag(&self) -> [u8; 16] {
        self.tagged(self.request.fingerprint(self.owner))
    }

    /// The same among its owner's live jobs, where one with an idempotency key is not found by its request.
    pub fn live_tag(&self) -> [u8; 16] {
        if self.is_keyed { self.tagged([0; 8]) } else { self.tag() }
    }

    fn tagged(&self, fingerprint: [u8; 8]) -> [u8; 16] {
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&fingerprint);
        tag[8..].copy_from_slice(&self.nonce.to_le_bytes());
        tag
    }

    fn encode_into(&self, out: &mut Vec<u8>, ip: Option<IpAddr>) {
        let kind = match ip {
            None => 0,
            Some(IpAddr::V4(_)) => 1,
            Some(IpAddr::V6(_)) => 2,
        };
        out.push(kind | if self.is_keyed { 0x80 } else { 0 });
        match ip {
            None => {}
            Some(IpAddr::V4(ip)) => out.extend(ip.octets()),
            Some(IpAddr::V6(ip)) => out.extend(ip.octets()),
        }
        put_id(out, self.owner.0);
        out.extend(self.nonce.to_le_bytes());
        self.request.encode(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.byte()?;
        let ip = match kind & 0x7f {
            0 => None,
            1 => Some(IpAddr::from(octets::<4>(reader)?)),
            2 => Some(IpAddr::from(octets::<16>(reader)?)),
            _ => return Err(DecodeError),
        };
        let owner = UserId(reader.id()?);
        let nonce = u64::from_le_bytes(octets::<8>(reader)?);
        let request = BookingRequest::decode(reader)?;
        Ok(Self { owner, nonce, is_keyed: kind & 0x80 != 0, ip, request })
    }
}

fn octets<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], DecodeError> {
    let mut bytes = [0; N];
    for byte in &mut bytes {
        *byte = reader.byte()?;
    }
    Ok(bytes)
}

/// A job as its owner's browser names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRef {
    /// The lane.
    pub event: EventId,
    /// The number in it.
    pub number: u64,
    /// Until when the reference is good, in seconds since 1970.
    pub expires_s: u64,
    /// The job itself.
    pub envelope: Envelope,
}

/// Why a reference was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JobRefError {
    /// Not a reference that Usher signed.
    #[error("this is not a job reference of ours")]
    Forged,
    /// It was one.
    #[error("this job reference has expired")]
    Expired,
}

/// The keys that sign references: the first signs, all verify, so that they can rotate.
#[derive(Clone)]
pub struct JobRefKeys(Vec<Hmac<Sha256>>);

impl std::fmt::Debug for JobRefKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JobRefKeys([redacted])")
    }
}

impl JobRefKeys {
    /// Derives the signing keys from secrets, newest first; what is signed here is no token elsewhere.
    pub fn new(secrets: &[&[u8]]) -> Self {
        Self(secrets.iter().map(|secret| derive(secret)).collect())
    }

    /// The text of a reference, some 60 to 120 characters that need no escaping in a URL.
    pub fn sign(&self, job: &JobRef) -> String {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(VERSION);
        put_id(&mut bytes, job.event.0);
        put(&mut bytes, job.number);
        put(&mut bytes, job.expires_s);
        job.envelope.encode_into(&mut bytes, None);
        if let Some(key) = self.0.first() {
            let mac = key.clone().chain_update(&bytes).finalize().into_bytes();
            bytes.extend(&mac[..MAC_BYTES]);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// It was not signed here, or its time is over (`now_s` in seconds since 1970).
    pub fn verify(&self, text: &str, now_s: u64) -> Result<JobRef, JobRefError> {
        if text.len() > MAX_TEXT {
            return Err(JobRefError::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| JobRefError::Forged)?;
        let body = bytes.len().checked_sub(MAC_BYTES).ok_or(JobRefError::Forged)?;
        let (body, mac) = bytes.split_at(body);
        let is_ours =
            self.0.iter().any(|key| key.clone().chain_update(body).verify_truncated_left(mac).is_ok());
        if !is_ours {
            return Err(JobRefError::Forged);
        }
        let job = read(body).map_err(|_| JobRefError::Forged)?;
        if job.expires_s < now_s { Err(JobRefError::Expired) } else { Ok(job) }
    }
}

fn read(body: &[u8]) -> Result<JobRef, DecodeError> {
    let mut reader = Reader(body);
    if reader.byte()? != VERSION {
        return Err(DecodeError);
    }
    let event = EventId(reader.id()?);
    let number = reader.number()?;
    let expires_s = reader.number()?;
    let envelope = Envelope::read(&mut reader)?;
    if reader.0.is_empty() { Ok(JobRef { event, number, expires_s, envelope }) } else { Err(DecodeError) }
}

fn derive(secret: &[u8]) -> Hmac<Sha256> {
    let root = keyed(secret);
    keyed(&root.chain_update(b"usher job reference 1").finalize().into_bytes())
}

/// HMAC-SHA-256 with this key.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length (RFC 2104 §3), so the fallback is never used.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AreaId, SeatId, SectionId, TierId, Wanted};

    fn job() -> JobRef {
        JobRef {
            event: EventId(7),
            number: 1_790_000_000_000_001,
            expires_s: 2_000,
            envelope: Envelope {
                owner: UserId(42),
                nonce: u64::MAX - 3,
                is_keyed: true,
                ip: None,
                request: BookingRequest::named(vec![SeatId(9), SeatId(4)], true).expect("a request"),
            },
        }
    }

    #[test]
    fn reference_comes_back_as_it_was_signed() {
        let keys = JobRefKeys::new(&[b"new", b"old"]);
        let text = keys.sign(&job());
        assert_eq!(keys.verify(&text, 2_000), Ok(job()));
        assert!(text.len() < 100, "{} characters", text.len());
    }

    #[test]
    fn reference_of_the_key_before_is_still_good() {
        let text = JobRefKeys::new(&[b"old"]).sign(&job());
        assert_eq!(JobRefKeys::new(&[b"new", b"old"]).verify(&text, 0), Ok(job()));
        assert_eq!(JobRefKeys::new(&[b"new"]).verify(&text, 0), Err(JobRefError::Forged));
    }

    #[test]
    fn every_changed_byte_is_a_forgery() {
        let keys = JobRefKeys::new(&[b"k"]);
        let bytes = URL_SAFE_NO_PAD.decode(keys.sign(&job())).expect("base64");
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            let text = URL_SAFE_NO_PAD.encode(&forged);
            assert_eq!(keys.verify(&text, 0), Err(JobRefError::Forged), "byte {at}");
        }
        assert_eq!(keys.verify("", 0), Err(JobRefError::Forged));
        assert_eq!(keys.verify(&"A".repeat(600), 0), Err(JobRefError::Forged));
    }

    #[test]
    fn expired_reference_is_told_from_a_forged_one() {
        let keys = JobRefKeys::new(&[b"k"]);
        assert_eq!(keys.verify(&keys.sign(&job()), 2_001), Err(JobRefError::Expired));
    }

    #[test]
    fn envelope_keeps_the_address_and_every_kind_of_request() {
        let best = |tier, section, adjacent, or_any| Wanted::Best {
            quantity: 2,
            tier: Some(TierId(tier)).filter(|tier| tier.0 != 0),
            section: Some(SectionId(section)).filter(|section| section.0 != 0),
            adjacent,
            or_any,
        };
        let kinds = [
            Wanted::Area { area: AreaId(3), quantity: 2 },
            Wanted::Named { seats: vec![SeatId(4), SeatId(9)], or_best: true },
            best(5, 0, true, false),
            best(0, 6, false, true),
            best(5, 6, true, true),
        ];
        for (wanted, standby) in kinds.into_iter().zip([true, false].into_iter().cycle()) {
            let request = BookingRequest { wanted, standby };
            let ip = Some(IpAddr::from([203, 0, 113, 9]));
            let envelope = Envelope { owner: UserId(1), nonce: 5, is_keyed: false, ip, request };
            assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
        }
        assert_eq!(Envelope::decode(&[9, 9]), Err(DecodeError));
    }
}
