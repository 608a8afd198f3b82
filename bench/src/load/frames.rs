//! WebSocket frames, as far as a listener needs them (RFC 6455).

/// No message of ours is longer.
const LONGEST: u64 = 4 << 20;

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    /// How many bytes it takes.
    pub(super) length: usize,
}

/// In place of a length below 126: it follows in so many bytes.
const LENGTH_IN_2: u8 = 0x7e;
const LENGTH_IN_8: u8 = 0x7f;

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// The first frame in these bytes; `None` when it is not whole yet.
pub(super) fn read_frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, &'static str> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err("a masked frame");
    }
    let (size, at) = match second & 0x7f {
        LENGTH_IN_2 => match rest.first_chunk::<2>() {
            Some(size) => (u64::from(u16::from_be_bytes(*size)), 4),
            None => return Ok(None),
        },
        LENGTH_IN_8 => match rest.first_chunk::<8>() {
            Some(size) => (u64::from_be_bytes(*size), 10),
            None => return Ok(None),
        },
        size => (u64::from(size), 2),
    };
    if size > LONGEST {
        return Err("a frame too long");
    }
    let length = at + usize::try_from(size).map_err(|_| "a frame too long")?;
    let frame = |payload| Frame { opcode: first & 0x0f, payload, length };
    Ok(bytes.get(at..length).map(frame))
}

/// A frame to the server. The mask is all zeros: it protects proxies, and there is none on this machine.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match u16::try_from(payload.len()) {
        Ok(size) if size < 126 => out.push(0x80 | size.to_le_bytes()[0]),
        Ok(size) => {
            out.push(0x80 | LENGTH_IN_2);
            out.extend(size.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | LENGTH_IN_8);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_read() {
        for size in [0, 1, 125, 126, 65_535, 65_536] {
            // What the server sends is the same without the mask.
            let mut bytes = frame(TEXT, &vec![b'x'; size]);
            bytes[1] &= 0x7f;
            let mask = bytes.len() - size - 4;
            bytes.drain(mask..mask + 4);
            assert_eq!(read_frame(&bytes[..bytes.len() - 1]), Ok(None), "{size}");
            let frame = read_frame(&bytes).expect("a frame").expect("a whole one");
            assert_eq!((frame.opcode, frame.payload.len(), frame.length), (TEXT, size, bytes.len()));
        }
    }
}
