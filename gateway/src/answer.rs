//! Small JSON answers of the busiest paths.

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::headers::NOSNIFF;
use crate::problem::{Code, Problem};

/// Room for any answer about one job, so that it is written without being moved.
const ROOM: usize = 768;

/// A JSON answer of some hundred bytes.
#[derive(Debug)]
pub struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut bytes = Vec::with_capacity(ROOM);
        if serde_json::to_writer(&mut bytes, &self.0).is_err() {
            return Problem::plain(Code::Internal).into_response();
        }
        let json = HeaderValue::from_static("application/json");
        let headers = [(header::CONTENT_TYPE, json), (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF)];
        (headers, Bytes::from(bytes)).into_response()
    }
}
