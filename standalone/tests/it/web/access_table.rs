//! Who may do what: one line for every route of the OpenAPI document.
//!
//! The letters stand for what nobody, another shopper, the owner, an operator and an admin get, in this order; `{event}`,
//! `{seat}`, `{booking}` and `{job}` are the owner's, made anew for each line.
//!
//! | letter | answer |
//! |---|---|
//! | `+` | 2xx |
//! | `-` | 401: log in first |
//! | `x` | 403: not with this role, or not one's own |
//! | `0` | 404: as if it were not there |
//! | `?` | let in, and refused for what was asked: 400, 404, 409, 410, 415, 422 or 429 |

/// Method, path as documented, path as called (empty: the same), body (empty: none), and the letters.
pub(super) type Line = (&'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
pub(super) const LINES: &[Line] = &[
    ("GET", "/health", "", "", "+++++"),
    ("GET", "/ready", "", "", "+++++"),
    ("GET", "/metrics", "", "", "+++++"),

    ("POST", "/api/auth/register", "", "{}", "?????"),
    ("POST", "/api/auth/login", "", "{}", "?????"),
    ("POST", "/api/auth/refresh", "", "{}", "?????"),
    ("POST", "/api/auth/logout", "", "", "-++++"),
    ("GET", "/api/auth/me", "", "", "-++++"),

    ("GET", "/api/events", "", "", "+++++"),
    ("GET", "/api/events/{id}", "/api/events/{event}", "", "+++++"),
    ("GET", "/api/events/{id}/seatmap", "/api/events/{event}/seatmap", "", "+++++"),
    ("GET", "/api/events/{id}/availability", "/api/events/{event}/availability", "", "+++++"),
    ("GET", "/api/seats", "/api/seats?event_id={event}", "", "+++++"),
    ("PATCH", "/api/seats/select", "", r#"{"bookingId": "{booking}", "seatId": {free}}"#, "-0+00"),
    ("PATCH", "/api/seats/release", "", r#"{"bookingId": "{booking}", "seatId": {seat}}"#, "-0+00"),

    ("POST", "/api/bookings", "", r#"{"eventId": {event}}"#, "-++++"),
    ("GET", "/api/bookings", "", "", "-++++"),
    ("PATCH", "/api/bookings/cancel", "", r#"{"bookingId": "{booking}"}"#, "-0+00"),
    ("POST", "/api/bookings/{id}/book", "/api/bookings/{event}/book", r#"{"quantity": 1}"#, "-++++"),
    ("GET", "/api/bookings/status/{id}", "/api/bookings/status/{job}", "", "+++++"),
    ("DELETE", "/api/bookings/queue/{id}", "/api/bookings/queue/{job}", "", "-x+xx"),
    ("POST", "/tickets/{id}/queue", "/tickets/{free}/queue", "", "-++++"),
    ("GET", "/tickets/queue/{id}", "/tickets/queue/{job}", "", "+++++"),
    ("DELETE", "/tickets/queue/{id}", "/tickets/queue/{job}", "", "-x+xx"),

    ("GET", "/api/cart", "", "", "-++++"),
    ("DELETE", "/api/cart/seats/{id}", "/api/cart/seats/{seat}", "", "-0+00"),
    ("DELETE", "/api/cart/areas/{id}/slots/{slot}", "/api/cart/areas/1/slots/1", "", "-0000"),

    ("GET", "/api/admin/queue/stats", "", "", "-xx++"),
    ("GET", "/api/admin/queue/details", "", "", "-xx++"),
    ("POST", "/api/admin/queue/pause", "", r#"{"eventId": {event}}"#, "-xx++"),
    ("POST", "/api/admin/queue/resume", "", r#"{"eventId": {event}}"#, "-xx++"),
    ("POST", "/api/admin/queue/limits", "", r#"{"eventId": {event}}"#, "-xx++"),
    ("GET", "/api/admin/queue/events", "/api/admin/queue/events?eventId={event}", "", "-xx++"),
    ("GET", "/api/admin/queue/history", "", "", "-xx++"),
    ("POST", "/api/admin/queue/clean", "", r#"{"state": "completed"}"#, "-xx++"),
    ("POST", "/api/admin/queue/drain", "", r#"{"eventId": {event}}"#, "-xx++"),
    ("POST", "/api/admin/queue/obliterate", "", r#"{"eventId": {event}}"#, "-xx++"),
    ("POST", "/api/admin/queue/remove", "", r#"{"eventId": {event}, "number": 1}"#, "-xx??"),
    ("POST", "/api/admin/queue/retry", "", r#"{"eventId": {event}}"#, "-xx++"),
    ("POST", "/api/admin/queue/promote", "", r#"{"eventId": {event}, "number": 1}"#, "-xx??"),
    ("GET", "/api/admin/queue/named", "", "", "-xx++"),
    ("GET", "/api/admin/queue/jobs", "/api/admin/queue/jobs?queue=no-such-queue", "", "-xx??"),
    ("POST", "/api/admin/queue/jobs/retry", "", r#"{"queue": "mail"}"#, "-xx++"),
    ("POST", "/api/admin/queue/jobs/remove", "", r#"{"queue": "mail"}"#, "-xx++"),

    ("GET", "/api/admin/audit", "", "", "-xxx+"),
    ("GET", "/api/admin/errors", "", "", "-xx++"),
    ("GET", "/api/admin/activity", "", "", "-xx++"),
];
