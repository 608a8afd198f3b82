//! Who may do what: one line for every route of the OpenAPI document.
//!
//! The letters stand for what nobody, another shopper, the owner, an operator and an admin get, in this order; `{event}`,
//! `{seat}`, `{booking}`, `{job}`, `{order}` and `{ticket}` are the owner's, who is `{user}`; they, `{area}`, `{artist}`,
//! `{venue}` and `{layout}` are made anew for each line. Where another shopper gets `x`, so do scanners, but for checking
//! tickets in, and services whose keys make them neither operators nor admins.
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
    ("GET", "/health/stores", "", "", "+++++"),
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
    ("POST", "/api/admin/queue/jobs/retry", "", r#"{"queue": "mail"}"#, "-xx??"),
    ("POST", "/api/admin/queue/jobs/remove", "", r#"{"queue": "mail"}"#, "-xx??"),
    ("POST", "/api/admin/queue/jobs/promote", "", r#"{"queue": "mail", "id": "00000000-0000-0000-0000-000000000000"}"#, "-xx??"),

    ("GET", "/api/admin/audit", "", "", "-xxx+"),
    ("GET", "/api/admin/errors", "", "", "-xx++"),
    ("GET", "/api/admin/activity", "", "", "-xx++"),

    ("POST", "/api/auth/logout-everywhere", "", "", "-++++"),
    ("POST", "/api/auth/password/reset", "", r#"{"login": "nobody"}"#, "+++++"),
    ("POST", "/api/auth/password/reset/confirm", "", r#"{"login": "nobody", "code": "000000", "newPassword": "long enough"}"#, "?????"),

    ("GET", "/api/account", "", "", "-++++"),
    ("PATCH", "/api/account", "", r#"{"language": "uk"}"#, "-++++"),
    ("DELETE", "/api/account", "", r#"{"password": "wrong"}"#, "-----"),
    ("GET", "/api/account/export", "", "", "-++++"),
    ("GET", "/api/account/history", "", "", "-++++"),
    ("POST", "/api/account/changes", "", "{}", "-????"),
    ("POST", "/api/account/changes/{id}/confirm", "/api/account/changes/00000000-0000-0000-0000-000000000000/confirm", r#"{"code": "000000"}"#, "-????"),
    ("POST", "/api/account/verification", "", "", "-++++"),
    ("POST", "/api/account/verification/confirm", "", r#"{"code": "000000"}"#, "-????"),
    ("POST", "/api/account/password", "", r#"{"currentPassword": "wrong", "newPassword": "long enough"}"#, "-----"),
    ("POST", "/api/account/second-factor", "", r#"{"password": "wrong"}"#, "-xxxx"),
    ("POST", "/api/account/second-factor/confirm", "", r#"{"code": "000000"}"#, "-????"),
    ("POST", "/api/account/second-factor/disable", "", r#"{"password": "wrong", "code": "000000"}"#, "-????"),

    ("GET", "/api/events/archive", "", "", "+++++"),
    ("GET", "/api/events/search", "/api/events/search?q=test", "", "+++++"),

    ("GET", "/api/bookings/{id}", "/api/bookings/{booking}", "", "-0+0+"),
    ("DELETE", "/api/bookings/{id}", "/api/bookings/{booking}", "", "-0+00"),
    ("POST", "/api/bookings/reserve", "", r#"{"eventId": {event}}"#, "-++++"),
    ("GET", "/metrics/{id}", "/metrics/{user}", "", "-x+x+"),

    ("POST", "/api/cart/checkout", "", "", "-?+??"),
    ("PATCH", "/api/bookings/initiatePayment", "", r#"{"bookingId": "{booking}"}"#, "-0+00"),
    ("GET", "/api/bookings/{id}/payment-status", "/api/bookings/{booking}/payment-status", "", "-0+00"),
    ("GET", "/api/orders", "", "", "-++++"),
    ("GET", "/api/orders/{id}", "/api/orders/{order}", "", "-0+00"),
    ("POST", "/api/orders/{id}/pay", "/api/orders/{order}/pay", "", "-0?00"),
    ("POST", "/api/orders/{id}/cancel", "/api/orders/{order}/cancel", "", "-0?00"),
    ("POST", "/api/orders/{id}/refund", "/api/orders/{order}/refund", "", "-0?00"),
    ("POST", "/api/webhook/payment", "", "{}", "?????"),
    ("POST", "/api/webhook/payment/{provider}", "/api/webhook/payment/sandbox", "{}", "?????"),
    ("GET", "/api/payments/circuit-breaker-status", "", "", "-++++"),

    ("GET", "/api/tickets", "", "", "-++++"),
    ("GET", "/api/tickets/{id}", "/api/tickets/{ticket}", "", "-0+0+"),
    ("GET", "/api/tickets/{id}/pdf", "/api/tickets/{ticket}/pdf", "", "-0+00"),
    ("GET", "/api/tickets/{id}/calendar", "/api/tickets/{ticket}/calendar", "", "-0+00"),
    ("GET", "/api/tickets/{id}/qr", "/api/tickets/{ticket}/qr", "", "-0+00"),
    ("GET", "/.well-known/usher-tickets.json", "", "", "+++++"),
    ("POST", "/api/checkin", "", r#"{"code": "nonsense", "eventId": {event}, "gate": "A"}"#, "-xxx?"),
    ("POST", "/api/checkin/batch", "", r#"{"scans": []}"#, "-xxx?"),

    ("GET", "/api/mailbox", "", "", "00000"),
    ("GET", "/mailbox", "", "", "00000"),

    ("GET", "/api/admin/users", "", "", "-xxx+"),
    ("PATCH", "/api/admin/users/{id}", "/api/admin/users/{user}", r#"{"role": "scanner"}"#, "-xxx+"),
    ("GET", "/api/admin/api-keys", "", "", "-xxx+"),
    ("POST", "/api/admin/api-keys", "", r#"{"name": "till", "scopes": ["read"]}"#, "-xxx+"),
    ("DELETE", "/api/admin/api-keys/{id}", "/api/admin/api-keys/00000000-0000-0000-0000-000000000000", "", "-xxx0"),

    ("GET", "/api/admin/artists", "", "", "-xxx+"),
    ("POST", "/api/admin/artists", "", r#"{"name": "Somebody {user}"}"#, "-xxx+"),
    ("GET", "/api/admin/artists/{id}", "/api/admin/artists/{artist}", "", "-xxx+"),
    ("PATCH", "/api/admin/artists/{id}", "/api/admin/artists/{artist}", r#"{"genre": "Folk"}"#, "-xxx+"),
    ("DELETE", "/api/admin/artists/{id}", "/api/admin/artists/{artist}", "", "-xxx+"),
    ("GET", "/api/admin/venues", "", "", "-xxx+"),
    ("POST", "/api/admin/venues", "", r#"{"name": "Hall {user}", "city": "Kyiv"}"#, "-xxx+"),
    ("GET", "/api/admin/venues/{id}", "/api/admin/venues/{venue}", "", "-xxx+"),
    ("PATCH", "/api/admin/venues/{id}", "/api/admin/venues/{venue}", r#"{"city": "Lviv"}"#, "-xxx+"),
    ("DELETE", "/api/admin/venues/{id}", "/api/admin/venues/{venue}", "", "-xxx+"),
    ("GET", "/api/admin/layouts", "", "", "-xxx+"),
    ("POST", "/api/admin/layouts", "/api/admin/layouts?venueId={venue}&name=Plan", r#"{"areas": [{"name": "Floor", "capacity": 20, "tier": "One"}]}"#, "-xxx+"),
    ("GET", "/api/admin/layouts/{id}", "/api/admin/layouts/{layout}", "", "-xxx+"),
    ("PATCH", "/api/admin/layouts/{id}", "/api/admin/layouts/{layout}", r#"{"name": "Plan"}"#, "-xxx+"),
    ("DELETE", "/api/admin/layouts/{id}", "/api/admin/layouts/{layout}", "", "-xxx+"),
    ("GET", "/api/admin/layouts/{id}/places", "/api/admin/layouts/{layout}/places", "", "-xxx+"),
    ("PUT", "/api/admin/layouts/{id}/places", "/api/admin/layouts/{layout}/places", r#"{"areas": [{"name": "Floor", "capacity": 20, "tier": "One"}]}"#, "-xxx+"),
    ("GET", "/api/admin/events", "", "", "-xxx+"),
    ("POST", "/api/admin/events", "", r#"{"venueId": {venue}, "name": "Show", "startsAt": "2100-06-01T18:00:00Z", "salesOpenAt": "2100-01-01T00:00:00Z", "salesCloseAt": "2100-06-01T00:00:00Z"}"#, "-xxx+"),
    ("GET", "/api/admin/events/{id}", "/api/admin/events/{event}", "", "-xxx+"),
    ("PATCH", "/api/admin/events/{id}", "/api/admin/events/{event}", r#"{"description": "Longer"}"#, "-xxx+"),
    ("DELETE", "/api/admin/events/{id}", "/api/admin/events/{event}", "", "-xxx?"),
    ("POST", "/api/admin/events/{id}/cancel", "/api/admin/events/{event}/cancel", "", "-xxx+"),
    ("POST", "/api/admin/events/{id}/refund", "/api/admin/events/{event}/refund", "", "-xxx+"),
    ("POST", "/api/admin/events/{id}/seats", "/api/admin/events/{event}/seats", r#"{"seats": [{"section": "Hall", "row": "9", "label": "1", "tier": "One"}]}"#, "-xxx+"),
    ("POST", "/api/admin/events/{id}/seats/remove", "/api/admin/events/{event}/seats/remove", r#"{"seatIds": [{free}]}"#, "-xxx+"),
    ("DELETE", "/api/admin/events/{id}/seats/{seat}", "/api/admin/events/{event}/seats/{free}", "", "-xxx+"),
    ("PATCH", "/api/admin/events/{id}/areas/{area}", "/api/admin/events/{event}/areas/{area}", r#"{"capacity": 20}"#, "-xxx+"),
    ("GET", "/api/admin/events/{id}/figures", "/api/admin/events/{event}/figures", "", "-xx++"),
    ("GET", "/api/admin/figures", "", "", "-xx++"),
    ("GET", "/api/admin/stream", "", "", "-xx++"),
    ("POST", "/api/admin/orders/{id}/refund", "/api/admin/orders/{order}/refund", "", "-xxx?"),
    ("GET", "/api/admin/refunds", "/api/admin/refunds?status=failed", "", "-xxx+"),
    ("POST", "/api/admin/refunds/{id}/retry", "/api/admin/refunds/00000000-0000-0000-0000-000000000000/retry", "", "-xxx0"),
    ("GET", "/api/admin/payments/differences", "", "", "-xxx+"),
];

/// What stands in the audit log for what an admin may do: method, path as documented, and action.
#[rustfmt::skip]
pub(super) const ACTIONS: &[(&str, &str, &str)] = &[
    ("POST", "/api/admin/queue/pause", "queue.pause"),
    ("POST", "/api/admin/queue/resume", "queue.resume"),
    ("POST", "/api/admin/queue/limits", "queue.limit"),
    ("POST", "/api/admin/queue/clean", "queue.clean"),
    ("POST", "/api/admin/queue/drain", "queue.drain"),
    ("POST", "/api/admin/queue/obliterate", "queue.obliterate"),
    ("PATCH", "/api/admin/users/{id}", "user.role"),
    ("POST", "/api/admin/api-keys", "api_key.create"),
    ("POST", "/api/admin/artists", "artist.create"),
    ("PATCH", "/api/admin/artists/{id}", "artist.change"),
    ("DELETE", "/api/admin/artists/{id}", "artist.delete"),
    ("POST", "/api/admin/venues", "venue.create"),
    ("PATCH", "/api/admin/venues/{id}", "venue.change"),
    ("DELETE", "/api/admin/venues/{id}", "venue.delete"),
    ("POST", "/api/admin/layouts", "layout.create"),
    ("PATCH", "/api/admin/layouts/{id}", "layout.change"),
    ("PUT", "/api/admin/layouts/{id}/places", "layout.change"),
    ("DELETE", "/api/admin/layouts/{id}", "layout.delete"),
    ("POST", "/api/admin/events", "event.create"),
    ("PATCH", "/api/admin/events/{id}", "event.change"),
    ("POST", "/api/admin/events/{id}/cancel", "event.cancel"),
    ("POST", "/api/admin/events/{id}/refund", "event.refund"),
    ("POST", "/api/admin/events/{id}/seats", "event.add_seats"),
    ("POST", "/api/admin/events/{id}/seats/remove", "event.remove_seats"),
    ("DELETE", "/api/admin/events/{id}/seats/{seat}", "event.remove_seats"),
    ("PATCH", "/api/admin/events/{id}/areas/{area}", "event.resize_area"),
];
