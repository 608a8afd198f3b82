//! Reading HTTP/1.1 answers.

/// More headers than any answer of ours has.
const HEADERS: usize = 48;

/// What stands in the bytes read so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// More is to come.
    Partial,
    /// A whole answer.
    Whole {
        /// Its status.
        status: u16,
        /// Its body.
        body: &'a [u8],
        /// How many bytes head and body have.
        length: usize,
    },
}

/// Reads an answer whose length is told; `Err` names what this client does not understand.
pub(super) fn read_answer(bytes: &[u8]) -> Result<Answer<'_>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(Answer::Partial),
        Err(_) => return Err("not HTTP"),
    };
    let status = response.code.unwrap_or(0);
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(header) => std::str::from_utf8(header.value)
            .ok()
            .and_then(|text| text.trim().parse::<usize>().ok())
            .ok_or("a length that is no number")?,
        // These have no body, whatever they say.
        None if matches!(status, 101 | 204 | 304) => 0,
        None => return Err("an answer without its length"),
    };
    let length = head.checked_add(length).ok_or("a length that is no number")?;
    Ok(match bytes.get(head..length) {
        Some(body) => Answer::Whole { status, body, length },
        None => Answer::Partial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 202 Accepted\r\ncontent-type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
        for end in 0..text.len() {
            assert_eq!(read_answer(&text[..end]), Ok(Answer::Partial), "{end} bytes");
        }
        assert_eq!(read_answer(text), Ok(Answer::Whole { status: 202, body: b"hello", length: text.len() }));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        assert!(read_answer(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(read_answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(read_answer(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
    }
}
