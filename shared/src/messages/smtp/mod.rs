//! Mail through an SMTP server.
//!
//! At least once: when the answer to a mail is lost, it is sent again. Its `Message-ID` follows from the job and the
//! person, so that whoever receives it twice can tell.

mod server;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment as FilePart, Mailbox, Message, MultiPart};
use secrecy::ExposeSecret as _;

use server::{Failure, Server};

use super::config::MessagesConfig;
use super::ports::{Parcel, Port, SendError};
use crate::config::ConfigError;

/// Sends mails through a server.
pub struct Smtp {
    server: Server,
    from: Mailbox,
}

impl Smtp {
    /// The server of the settings; it is not asked yet.
    ///
    /// # Errors
    /// `SMTP_URL` or `MAIL_FROM` make no sense, or the password would go unencrypted.
    pub fn new(config: &MessagesConfig) -> Result<Self, ConfigError> {
        let url = config.smtp()?;
        let from: Mailbox = config.mail_from.parse().map_err(|_| {
            ConfigError::Invalid("MAIL_FROM must be like `Usher <tickets@example.com>`".to_owned())
        })?;
        let server = Server::new(url.expose_secret(), from.email.domain(), config.timeout())?;
        Ok(Self { server, from })
    }

    fn message(&self, parcel: &Parcel) -> Result<Message, SendError> {
        let refused = |what: &str| SendError::Fatal(format!("no mail can be made: {what}"));
        let address = parcel.to.parse().map_err(|_| refused("the address is none"))?;
        let name = Some(parcel.name.clone()).filter(|name| !name.is_empty());
        let header =
            |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        let user = parcel.user.map_or(0, |user| user.0);
        let (text, html) = (parcel.letter.text(), parcel.letter.html());
        let builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, address))
            .subject(parcel.letter.subject.as_str())
            .message_id(Some(format!("<{}.{user}@{}>", parcel.job, self.from.email.domain())))
            .raw_header(header("Content-Language", parcel.language))
            // Out-of-office answers are not wanted: https://www.rfc-editor.org/rfc/rfc3834#section-5
            .raw_header(header("Auto-Submitted", "auto-generated"));
        let words = MultiPart::alternative_plain_html(text, html);
        if parcel.attachments.is_empty() {
            return builder.multipart(words).map_err(|_| refused("its parts do not fit"));
        }
        let pdf = ContentType::parse("application/pdf").map_err(|_| refused("its parts do not fit"))?;
        let mut parts = MultiPart::mixed().multipart(words);
        for file in &parcel.attachments {
            parts = parts.singlepart(FilePart::new(file.name.clone()).body(file.bytes.clone(), pdf.clone()));
        }
        builder.multipart(parts).map_err(|_| refused("its parts do not fit"))
    }
}

impl Port for Smtp {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let message = self.message(parcel)?;
            self.server.send(message.envelope(), &message.formatted()).await.map_err(judge)
        }
        .boxed()
    }
}

/// What a failure means. Only the server's code is told: its words hold addresses.
fn judge(failure: Failure) -> SendError {
    let error = match failure {
        Failure::Late => return SendError::Retry("the mail server did not answer in time".to_owned()),
        Failure::Smtp(error) => error,
    };
    let Some(code) = error.status() else {
        return SendError::Retry("the mail server could not be talked to".to_owned());
    };
    let told = format!("the mail server answered {code}");
    // 530 to 538 are about our own log-in, not about this mail; who mends it wants it sent.
    let is_log_in = (530..540).contains(&u16::from(code));
    if error.is_permanent() && !is_log_in { SendError::Fatal(told) } else { SendError::Retry(told) }
}
