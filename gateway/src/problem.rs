//! Every error that is sent: RFC 9457 problem+json with a stable code.

use std::time::{Duration, Instant};

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::auth::{PasswordError, TokenError};
use shared::domain::JobRefError;
use shared::messages::MailboxError;
use shared::queue::QueueError;
use shared::seen::{self, Part};
use shared::shop::admin::AdminError;
use shared::shop::checkout::{CheckoutError, RefundError, WebhookError};
use shared::shop::{
    AccountError, BookError, CartError, CheckInError, Fault, OperationsError, StatusError, TicketError,
};
use shared::store::StoreError;
use shared::telemetry::chain;
use shared::tickets::RenderError;
use utoipa::ToSchema;

use crate::headers::NOSNIFF;
use crate::seldom::Seldom;

/// What is logged of a store that is away, which every request meets.
static POSTGRES_AWAY: Seldom = Seldom::new();
static REDIS_AWAY: Seldom = Seldom::new();
/// What is logged when codes by SMS are used up, which may last for hours.
static NO_MORE_SMS: Seldom = Seldom::every(Duration::from_mins(1));

macro_rules! codes {
    ($($name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// The stable code of an error; `docs/API.md` lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each stands with its sentence in the table below")]
        pub enum Code { $($name,)* }

        impl Code {
            /// Every one, for the test that holds them against the document.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As sent.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it means, in a sentence without its full stop.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    BadJson = "bad_json", BAD_REQUEST, "The body is not the JSON that is expected";
    BadRequest = "bad_request", BAD_REQUEST, "The request makes no sense";
    Validation = "validation", UNPROCESSABLE_ENTITY, "A value is not acceptable";
    BadJobReference = "bad_job_reference", BAD_REQUEST, "This is not a job reference of ours";
    JobExpired = "job_expired", GONE, "This job reference has expired";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Log in first";
    TokenExpired = "token_expired", UNAUTHORIZED, "The access token has expired";
    BadCredentials = "bad_credentials", UNAUTHORIZED, "Wrong login or password";
    SecondFactorNeeded = "second_factor_needed", UNAUTHORIZED, "The authenticator's code is needed too";
    BadSecondFactor = "bad_second_factor", UNAUTHORIZED, "The authenticator's code is wrong or was used";
    SecondFactorRequired = "second_factor_required", FORBIDDEN, "Set up a second factor and log in with it first";
    Forbidden = "forbidden", FORBIDDEN, "Your role does not permit this";
    CrossSite = "cross_site", FORBIDDEN, "This request came from another site";
    NotOwner = "not_owner", FORBIDDEN, "This belongs to somebody else";
    NotFound = "not_found", NOT_FOUND, "There is no such thing";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This path does not take that method";
    SeatTaken = "seat_taken", CONFLICT, "This seat is already taken";
    SoldOut = "sold_out", CONFLICT, "Event is fully booked";
    NotEnoughAdjacent = "not_enough_adjacent", CONFLICT, "There are not enough seats side by side";
    AlreadyBooked = "already_booked", CONFLICT, "You have already booked a place at this event";
    LimitReached = "limit_reached", CONFLICT, "You have as many seats as one person may have";
    Left = "left", CONFLICT, "You have left the queue";
    Removed = "removed", CONFLICT, "This request was removed from the queue";
    StrictLane = "strict_lane", CONFLICT, "This line is strictly first come, first served";
    NotDelayed = "not_delayed", CONFLICT, "This job is not put off";
    Owed = "owed", CONFLICT, "Jobs of this queue are not removed";
    BookingClosed = "booking_closed", CONFLICT, "This booking can no longer be changed";
    CartEmpty = "cart_empty", CONFLICT, "Your cart is empty";
    ReservationExpired = "reservation_expired", CONFLICT, "A reservation has run out";
    OrderClosed = "order_closed", CONFLICT, "This order can no longer be changed";
    RefundNotAllowed = "refund_not_allowed", CONFLICT, "This cannot be given back";
    MixedCurrencies = "mixed_currencies", UNPROCESSABLE_ENTITY, "One order has one currency";
    WebhookForged = "webhook_forged", BAD_REQUEST, "This webhook is not the provider's";
    PaymentUnavailable = "payment_unavailable", SERVICE_UNAVAILABLE, "Payment is not possible for a moment";
    AlreadyRegistered = "already_registered", CONFLICT, "Somebody has registered with this already";
    TicketCancelled = "ticket_cancelled", CONFLICT, "This ticket was cancelled";
    AlreadyUsed = "already_used", CONFLICT, "This ticket was used before";
    WrongEvent = "wrong_event", CONFLICT, "This ticket is for another event";
    EventOver = "event_over", CONFLICT, "This event is over";
    BadTicketCode = "bad_ticket_code", UNPROCESSABLE_ENTITY, "This is no ticket of ours";
    EmailNotVerified = "email_not_verified", CONFLICT, "Confirm your e-mail address first";
    EmailVerified = "email_verified", CONFLICT, "This e-mail address is confirmed already";
    SecondFactorInUse = "second_factor_in_use", CONFLICT, "A second factor is in use already";
    PaymentUnderWay = "payment_under_way", CONFLICT, "A payment is under way";
    BadCode = "bad_code", UNPROCESSABLE_ENTITY, "This code is wrong";
    CodeExpired = "code_expired", GONE, "This code is good no more";
    AlreadyExists = "already_exists", CONFLICT, "There is one of that name already";
    InUse = "in_use", CONFLICT, "Something else still needs this";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Send JSON";
    IdempotencyMismatch = "idempotency_mismatch", UNPROCESSABLE_ENTITY, "This idempotency key was used for another request";
    InProgress = "in_progress", CONFLICT, "The same request is being worked on";
    SeatOfOtherEvent = "seat_of_other_event", UNPROCESSABLE_ENTITY, "A seat belongs to another event";
    SaleClosed = "sale_closed", UNPROCESSABLE_ENTITY, "This event is not on sale now";
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "Too many requests";
    TooManyJobs = "too_many_jobs", TOO_MANY_REQUESTS, "You have too many requests in this queue already";
    QueueFull = "queue_full", SERVICE_UNAVAILABLE, "The queue is full right now";
    QueueUnavailable = "queue_unavailable", SERVICE_UNAVAILABLE, "Booking is not possible for a moment";
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "One moment, please";
    Timeout = "timeout", SERVICE_UNAVAILABLE, "This took too long";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side";
}

/// An error on its way out.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What it is.
    pub code: Code,
    /// A sentence about this one.
    pub detail: String,
    /// Seconds after which to try again.
    pub retry_after_s: Option<u64>,
    /// With `already_used`: when and where.
    pub used: Option<UsedBefore>,
}

/// When and where a ticket was used.
#[derive(Debug, Clone)]
pub struct UsedBefore {
    /// When.
    pub at: DateTime<Utc>,
    /// At which door.
    pub gate: String,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A sentence about this one.
    pub detail: String,
    /// Stable.
    pub code: String,
    /// To find it in the logs.
    pub request_id: String,
    /// With `already_used`: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<DateTime<Utc>>,
    /// With `already_used`: at which door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
}

impl Problem {
    /// An error with a sentence of its own.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = match code.status() {
            StatusCode::SERVICE_UNAVAILABLE => Some(2),
            StatusCode::TOO_MANY_REQUESTS => Some(1),
            _ => None,
        };
        Self { code, detail: detail.into(), retry_after_s, used: None }
    }

    /// Something was asked for too often; in so many seconds it may be again.
    fn too_many(detail: String, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..Self::new(Code::TooManyRequests, detail) }
    }

    /// An error whose title says it all.
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.title())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let request_id = format!("{:016x}", rand::random::<u64>());
        if status.is_server_error() {
            tracing::debug!(request.id = request_id, code = self.code.word(), "answered {}", status.as_u16());
        }
        seen::error(Part::Gateway, self.code.word(), Some(&request_id));
        metrics::counter!("usher_problems_total", "code" => self.code.word()).increment(1);
        let (used_at, gate) = self.used.map(|used| (used.at, used.gate)).unzip();
        let body = ProblemBody {
            kind: format!("/docs/errors#{}", self.code.word()),
            title: self.code.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code.word().to_owned(),
            request_id,
            used_at,
            gate,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, json).into_response();
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if status == StatusCode::UNAUTHORIZED {
            // Basic is understood too, but naming it would make browsers ask for a password in a window of their own.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"usher\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            if let Some(requests) = POSTGRES_AWAY.stands_for(Instant::now()) {
                tracing::warn!(error = chain(&error), requests, "PostgreSQL is away");
            }
            return Self::new(Code::StoreUnavailable, "The store does not answer; try again in a moment");
        }
        if error.is_bad_text() {
            return Self::new(Code::Validation, "A text has a character that cannot be kept, such as NUL");
        }
        tracing::error!(error = chain(&error), "PostgreSQL refused a statement");
        Self::plain(Code::Internal)
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match &error {
            QueueError::Full => Self::plain(Code::QueueFull),
            QueueError::Redis(_) | QueueError::Closed => {
                if let Some(requests) = REDIS_AWAY.stands_for(Instant::now()) {
                    tracing::warn!(error = chain(&error), requests, "Redis is away");
                }
                Self::new(
                    Code::QueueUnavailable,
                    "The queue does not answer; your place is kept if you had one",
                )
            }
            QueueError::Word(_) | QueueError::Reply(_) | QueueError::Unfit(_) | QueueError::Config(_) => {
                tracing::error!(error = chain(&error), "Redis answered strangely");
                Self::plain(Code::Internal)
            }
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error.into(),
            Fault::Queue(error) => error.into(),
        }
    }
}

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        let code = match &error {
            BookError::NotFound => Code::NotFound,
            BookError::SeatOfOtherEvent(_) => Code::SeatOfOtherEvent,
            BookError::NoSuch(_) | BookError::AboveLimit(_) | BookError::Request(_) => Code::Validation,
            BookError::SaleClosed => Code::SaleClosed,
            BookError::SeatTaken(_) => Code::SeatTaken,
            BookError::IdempotencyMismatch => Code::IdempotencyMismatch,
            BookError::TooManyJobs => Code::TooManyJobs,
            BookError::QueueFull => Code::QueueFull,
            BookError::Fault(_) => {
                let BookError::Fault(fault) = error else { return Self::plain(Code::Internal) };
                return fault.into();
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<JobRefError> for Problem {
    fn from(error: JobRefError) -> Self {
        let code = match error {
            JobRefError::Forged => Code::BadJobReference,
            JobRefError::Expired => Code::JobExpired,
        };
        Self::new(code, error.to_string())
    }
}

impl From<StatusError> for Problem {
    fn from(error: StatusError) -> Self {
        match error {
            StatusError::Reference(error) => error.into(),
            StatusError::NotOwner => Self::plain(Code::NotOwner),
            StatusError::Fault(fault) => fault.into(),
        }
    }
}

impl From<CartError> for Problem {
    fn from(error: CartError) -> Self {
        match error {
            CartError::NotFound => Self::new(Code::NotFound, error.to_string()),
            CartError::SaleClosed => Self::new(Code::SaleClosed, error.to_string()),
            CartError::AlreadyBooked => Self::new(Code::AlreadyBooked, error.to_string()),
            CartError::Closed(_) => Self::new(Code::BookingClosed, error.to_string()),
            CartError::Fault(fault) => fault.into(),
        }
    }
}

impl From<CheckoutError> for Problem {
    fn from(error: CheckoutError) -> Self {
        let code = match &error {
            CheckoutError::Empty => Code::CartEmpty,
            CheckoutError::NotFound => Code::NotFound,
            CheckoutError::BookingClosed(_) => Code::BookingClosed,
            CheckoutError::RunOut => Code::ReservationExpired,
            CheckoutError::Currencies => Code::MixedCurrencies,
            CheckoutError::EventCancelled => Code::SaleClosed,
            CheckoutError::OrderClosed(_) => Code::OrderClosed,
            CheckoutError::Unavailable => Code::PaymentUnavailable,
            CheckoutError::Fault(_) => {
                let CheckoutError::Fault(fault) = error else { return Self::plain(Code::Internal) };
                return fault.into();
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        let code = match &error {
            RefundError::NotFound => Code::NotFound,
            RefundError::NotPaid(_) => Code::OrderClosed,
            RefundError::Nothing | RefundError::TooLate | RefundError::Used => Code::RefundNotAllowed,
            RefundError::Fault(_) => {
                let RefundError::Fault(fault) = error else { return Self::plain(Code::Internal) };
                return fault.into();
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::Forged(_) => Self::new(Code::WebhookForged, error.to_string()),
            WebhookError::Strange => Self::new(Code::BadRequest, error.to_string()),
            WebhookError::Unknown(_) => Self::new(Code::NotFound, error.to_string()),
            WebhookError::Away => Self::new(Code::PaymentUnavailable, error.to_string()),
            WebhookError::Fault(fault) => fault.into(),
        }
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
            _ => Code::BadRequest,
        };
        Self::new(code, rejection.body_text())
    }
}

impl From<OperationsError> for Problem {
    fn from(error: OperationsError) -> Self {
        match error {
            OperationsError::NotFound | OperationsError::NoSuchJob => {
                Self::new(Code::NotFound, error.to_string())
            }
            OperationsError::NotDelayed => Self::new(Code::NotDelayed, error.to_string()),
            OperationsError::Owed => Self::new(Code::Owed, error.to_string()),
            OperationsError::Fault(fault) => fault.into(),
        }
    }
}

impl From<MailboxError> for Problem {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::Closed => Self::new(Code::NotFound, error.to_string()),
            MailboxError::Store(error) => error.into(),
        }
    }
}

impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::NotFound => Self::new(Code::NotFound, error.to_string()),
            TicketError::Cancelled => Self::new(Code::TicketCancelled, error.to_string()),
            TicketError::Render(error) => error.into(),
            TicketError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RenderError> for Problem {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::NoSuchFormat(_) => Self::new(Code::Validation, error.to_string()),
            RenderError::Busy => Self::new(Code::Timeout, error.to_string()),
            RenderError::Font | RenderError::Qr | RenderError::Document(_) => {
                tracing::error!(error = chain(&error), "a ticket could not be printed");
                Self::plain(Code::Internal)
            }
        }
    }
}

impl From<CheckInError> for Problem {
    fn from(error: CheckInError) -> Self {
        let code = match &error {
            CheckInError::Code(_) | CheckInError::Number(_) => Code::BadTicketCode,
            CheckInError::NotFound => Code::NotFound,
            CheckInError::WrongEvent => Code::WrongEvent,
            CheckInError::Cancelled => Code::TicketCancelled,
            CheckInError::AlreadyUsed { .. } => Code::AlreadyUsed,
            CheckInError::EventOver => Code::EventOver,
        };
        let detail = error.to_string();
        let used = match error {
            CheckInError::AlreadyUsed { at, gate } => Some(UsedBefore { at, gate }),
            CheckInError::Code(_)
            | CheckInError::Number(_)
            | CheckInError::NotFound
            | CheckInError::WrongEvent
            | CheckInError::Cancelled
            | CheckInError::EventOver => None,
        };
        Self { used, ..Self::new(code, detail) }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let code = match error {
            AccountError::Fault(fault) => return fault.into(),
            AccountError::Token(error) => return error.into(),
            AccountError::Busy(error) => return error.into(),
            AccountError::Seal(error) => {
                tracing::error!(error = chain(&error), "a second factor cannot be read");
                return Self::plain(Code::Internal);
            }
            AccountError::SecondFactorBlocked { seconds }
            | AccountError::TooManyCodes { seconds }
            | AccountError::TooManyCodesToday { seconds } => {
                return Self::too_many(error.to_string(), seconds);
            }
            AccountError::NoMoreSms { seconds } => {
                if let Some(requests) = NO_MORE_SMS.stands_for(Instant::now()) {
                    tracing::warn!(requests, "no more codes go out by SMS today; SMS_CODES_A_DAY is used up");
                }
                return Self::too_many(error.to_string(), seconds);
            }
            AccountError::Field(_) | AccountError::OwnRole => Code::Validation,
            AccountError::Taken(_) => Code::AlreadyRegistered,
            AccountError::BadCredentials => Code::BadCredentials,
            AccountError::SecondFactorNeeded | AccountError::BasicNotEnough => Code::SecondFactorNeeded,
            AccountError::BadSecondFactor => Code::BadSecondFactor,
            AccountError::SecondFactorInUse => Code::SecondFactorInUse,
            AccountError::SecondFactorNotForYou => Code::Forbidden,
            AccountError::BadRefreshToken | AccountError::SessionEnded | AccountError::BadKey => {
                Code::Unauthenticated
            }
            AccountError::BadCode { .. } | AccountError::BadResetCode => Code::BadCode,
            AccountError::CodeExpired => Code::CodeExpired,
            AccountError::EmailNotVerified => Code::EmailNotVerified,
            AccountError::EmailVerified => Code::EmailVerified,
            AccountError::NotFound => Code::NotFound,
            AccountError::PaymentUnderWay => Code::PaymentUnderWay,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let code = match &error {
            AdminError::NotFound(_) => Code::NotFound,
            AdminError::Invalid(_) => Code::Validation,
            AdminError::Exists(_) => Code::AlreadyExists,
            AdminError::InUse(_) => Code::InUse,
            AdminError::Fault(_) => {
                let AdminError::Fault(fault) = error else { return Self::plain(Code::Internal) };
                return fault.into();
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Invalid => Code::Unauthenticated,
            TokenError::Expired => Code::TokenExpired,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        Self::new(Code::StoreUnavailable, error.to_string())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            _ => Code::BadJson,
        };
        Self::new(code, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::new(Code::NotFound, "There is nothing at this path")
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Code::BadRequest, rejection.body_text())
    }
}
