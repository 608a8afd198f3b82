//! What a job asks for.

use sha2::{Digest, Sha256};

use super::codec::{DecodeError, Reader, put, put_id};
use super::{AreaId, SeatId, SectionId, TierId, UserId};

/// The most places that one request may ask for; an event's own limit is lower.
pub const MAX_PLACES: usize = 20;

/// One request to reserve places at one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingRequest {
    /// Which places.
    pub wanted: Wanted,
    /// Wait on for a returned seat when everything is held but not all is sold.
    pub standby: bool,
}

/// Which places a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These very seats, all or none.
    Named {
        /// Between 1 and [`MAX_PLACES`], each once, ascending.
        seats: Vec<SeatId>,
        /// Take the best available ones when one of them is gone.
        or_best: bool,
    },
    /// The best that is free.
    Best {
        /// Between 1 and [`MAX_PLACES`].
        quantity: u32,
        /// Only at this price.
        tier: Option<TierId>,
        /// Only in this section.
        section: Option<SectionId>,
        /// Refuse rather than split a group.
        adjacent: bool,
        /// Take any others when none are like that.
        or_any: bool,
    },
    /// Room in a general-admission area.
    Area {
        /// Which.
        area: AreaId,
        /// Between 1 and [`MAX_PLACES`].
        quantity: u32,
    },
}

/// Why a request cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No places, or too many.
    #[error("ask for 1 to {MAX_PLACES} places, not {0}")]
    Quantity(usize),
    /// A seat stands twice in the list.
    #[error("seat {0} is named twice")]
    Twice(SeatId),
}

impl BookingRequest {
    /// A request for these very seats.
    ///
    /// # Errors
    /// None, too many, or one seat twice.
    pub fn named(mut seats: Vec<SeatId>, or_best: bool) -> Result<Self, RequestError> {
        if seats.is_empty() || seats.len() > MAX_PLACES {
            return Err(RequestError::Quantity(seats.len()));
        }
        seats.sort_unstable();
        if let Some(pair) = seats.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RequestError::Twice(pair[0]));
        }
        Ok(Self { wanted: Wanted::Named { seats, or_best }, standby: false })
    }

    /// A request for places that Usher chooses.
    ///
    /// # Errors
    /// A quantity of none or too many.
    pub fn chosen(wanted: Wanted) -> Result<Self, RequestError> {
        let request = Self { wanted, standby: false };
        let quantity = request.quantity();
        if quantity == 0 || quantity > MAX_PLACES {
            return Err(RequestError::Quantity(quantity));
        }
        Ok(request)
    }

    /// How many places are asked for.
    pub fn quantity(&self) -> usize {
        match &self.wanted {
            Wanted::Named { seats, .. } => seats.len(),
            Wanted::Best { quantity, .. } | Wanted::Area { quantity, .. } => *quantity as usize,
        }
    }

    /// The seats that it names; none when Usher chooses.
    pub fn named_seats(&self) -> &[SeatId] {
        match &self.wanted {
            Wanted::Named { seats, .. } => seats,
            Wanted::Best { .. } | Wanted::Area { .. } => &[],
        }
    }

    /// Tells a request from the others of the same shopper: 8 bytes of a SHA-256.
    pub fn fingerprint(&self, owner: UserId) -> [u8; 8] {
        let mut bytes = Vec::with_capacity(64);
        put_id(&mut bytes, owner.0);
        self.encode(&mut bytes);
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&Sha256::digest(bytes)[..8]);
        fingerprint
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let kind = match &self.wanted {
            Wanted::Named { .. } => 0,
            Wanted::Best { .. } => 1,
            Wanted::Area { .. } => 2,
        };
        out.push(kind | if self.standby { 0x80 } else { 0 });
        match &self.wanted {
            Wanted::Named { seats, or_best } => {
                out.push(u8::from(*or_best));
                put(out, seats.len() as u64);
                let mut last = 0;
                for seat in seats {
                    put_id(out, seat.0 - last);
                    last = seat.0;
                }
            }
            Wanted::Best { quantity, tier, section, adjacent, or_any } => {
                out.push(u8::from(*adjacent) | (u8::from(*or_any) << 1));
                put(out, u64::from(*quantity));
                put_id(out, tier.map_or(0, |tier| tier.0));
                put_id(out, section.map_or(0, |section| section.0));
            }
            Wanted::Area { area, quantity } => {
                put_id(out, area.0);
                put(out, u64::from(*quantity));
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.byte()?;
        let mut request = match kind & 0x7f {
            0 => {
                let or_best = reader.byte()? != 0;
                let count = reader.number()?;
                let mut seats = Vec::new();
                let mut last = 0i64;
                for _ in 0..count.min(MAX_PLACES as u64 + 1) {
                    last = last.checked_add(reader.id()?).ok_or(DecodeError)?;
                    seats.push(SeatId(last));
                }
                Self::named(seats, or_best)
            }
            1 => {
                let flags = reader.byte()?;
                let (adjacent, or_any) = (flags & 1 != 0, flags & 2 != 0);
                let quantity = reader.small()?;
                let tier = Some(reader.id()?).filter(|id| *id != 0).map(TierId);
                let section = Some(reader.id()?).filter(|id| *id != 0).map(SectionId);
                Self::chosen(Wanted::Best { quantity, tier, section, adjacent, or_any })
            }
            2 => {
                let area = AreaId(reader.id()?);
                Self::chosen(Wanted::Area { area, quantity: reader.small()? })
            }
            _ => return Err(DecodeError),
        }
        .map_err(|_| DecodeError)?;
        request.standby = kind & 0x80 != 0;
        Ok(request)
    }
}

/// The first 16 bytes of the SHA-256 of these bytes, in hex.
pub(crate) fn hex16(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digest = Sha256::digest(bytes);
    let nibbles = digest[..16].iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| DIGITS[usize::from(nibble)]).collect()
}
