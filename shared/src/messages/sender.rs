//! Sends a message: looks up whom it goes to and what is true, and hands it to the ports.
//!
//! At least once, one effect: what was sent is noted for each person and channel under the job that was written with the
//! fact. A job that is delivered twice, or done once more by an operator, goes on where it stopped. Between a port's
//! "yes" and that note a crash sends a message again; then the mailbox, a gateway that honours its key and a reader of
//! `Message-ID` can tell.

use std::sync::Arc;

use uuid::Uuid;

use super::about::{About, Facts, Links};
use super::config::{MailTransport, MessagesConfig, Provider};
use super::http::{HttpGateway, HttpPush, HttpSms};
use super::mailbox::MailboxPort;
use super::ports::{Attachment, Channel, CodeDigits, Parcel, Port, SendError, TicketDocuments};
use super::smtp::Smtp;
use super::texts::letter;
use super::texts::words::one_line;
use super::{Message, Outgoing, Recipient};
use crate::config::ConfigError;
use crate::domain::{Language, UserId};
use crate::store::{Addressee, CodeTarget, SentMessage, Store};

/// Bytes that are attached at most: servers refuse mails above 20 MB or so. A larger order is told by its page alone.
const MOST_ATTACHED: usize = 12 * 1024 * 1024;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It went out so many times, to each person on each channel.
    Told(usize),
    /// It is not true any more, or there is nobody to tell.
    Nobody,
}

/// What other parts make of messages.
#[derive(Clone)]
pub struct Makers {
    /// The digits of codes.
    pub digits: Arc<dyn CodeDigits>,
    /// The documents of orders.
    pub documents: Arc<dyn TicketDocuments>,
}

/// Sends messages; clones share the connections.
#[derive(Clone)]
pub struct Sender {
    store: Store,
    links: Links,
    makers: Makers,
    mail: Arc<dyn Port>,
    sms: Option<Arc<dyn Port>>,
    push: Option<Arc<dyn Port>>,
}

/// One person on one channel.
struct Delivery {
    channel: Channel,
    user: Option<UserId>,
    to: String,
    name: String,
    language: Language,
}

impl Sender {
    /// Sends by what the settings name.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn new(config: &MessagesConfig, store: Store, makers: Makers) -> Result<Self, ConfigError> {
        config.check()?;
        let kept = |channel| Arc::new(MailboxPort::new(store.clone(), channel)) as Arc<dyn Port>;
        let mail = match config.transport() {
            MailTransport::Mailbox => kept(Channel::Mail),
            MailTransport::Smtp => Arc::new(Smtp::new(config)?) as Arc<dyn Port>,
        };
        let sms = match config.sms_provider {
            Provider::Mailbox => Some(kept(Channel::Sms)),
            Provider::Http => {
                Some(Arc::new(HttpSms(HttpGateway::new(&config.sms_target()?)?)) as Arc<dyn Port>)
            }
            Provider::Off => None,
        };
        let push = match config.push_provider {
            Provider::Mailbox => Some(kept(Channel::Push)),
            Provider::Http => {
                Some(Arc::new(HttpPush(HttpGateway::new(&config.push_target()?)?)) as Arc<dyn Port>)
            }
            Provider::Off => None,
        };
        let links = Links::new(&config.messages_link_base);
        Ok(Self { store, links, makers, mail, sms, push })
    }

    /// Sends a message to everybody whom this job has not told yet.
    ///
    /// # Errors
    /// Somebody was not told; those who were are not told again.
    pub async fn send(&self, job: Uuid, outgoing: &Outgoing) -> Result<Sent, SendError> {
        let facts = Facts { store: &self.store, digits: &*self.makers.digits };
        let code = facts.code(&outgoing.to, &outgoing.message).await?;
        let Some(mut about) = facts.about(&outgoing.message, code.as_ref()).await? else {
            return Ok(Sent::Nobody);
        };
        let origin = self.store.origin_of_job(job).await?;
        let told = self.store.sent_by(origin).await?;
        let mut deliveries = self.deliveries(outgoing, code).await?;
        deliveries.retain(|one| !told.contains(&(one.channel.word().to_owned(), one.user)));
        if deliveries.is_empty() {
            return Ok(Sent::Nobody);
        }
        let attachments = self.attachments(&outgoing.message).await?;
        about.attach(&attachments);
        let kind = outgoing.message.kind();
        let (mut sent, mut failure) = (0, None);
        for delivery in deliveries {
            let parcel = self.parcel((job, kind), &delivery, &about, &attachments);
            let note =
                SentMessage { job: origin, channel: delivery.channel.word(), user: delivery.user, kind };
            match self.deliver(&parcel, &note, delivery.channel).await {
                Ok(()) => sent += 1,
                Err(error) => failure = Some(worse(failure, error)),
            }
        }
        failure.map_or(Ok(Sent::Told(sent)), Err)
    }

    async fn deliver(
        &self,
        parcel: &Parcel,
        note: &SentMessage<'_>,
        channel: Channel,
    ) -> Result<(), SendError> {
        let port = match channel {
            Channel::Mail => Some(&self.mail),
            Channel::Sms => self.sms.as_ref(),
            Channel::Push => self.push.as_ref(),
        };
        let no_port = || SendError::Fatal(format!("there is no provider for {}", channel.word()));
        port.ok_or_else(no_port)?.send(parcel).await?;
        metrics::counter!("usher_messages_total", "channel" => channel.word(), "kind" => parcel.kind)
            .increment(1);
        Ok(self.store.note_message_sent(note).await?)
    }

    fn parcel(
        &self,
        (job, kind): (Uuid, &'static str),
        delivery: &Delivery,
        about: &About,
        attachments: &[Attachment],
    ) -> Parcel {
        Parcel {
            job,
            user: delivery.user,
            kind,
            name: delivery.name.clone(),
            to: delivery.to.clone(),
            language: delivery.language.word(),
            letter: letter(delivery.language, &delivery.name, about, &self.links),
            attachments: if delivery.channel == Channel::Mail { attachments.to_vec() } else { Vec::new() },
        }
    }

    async fn deliveries(
        &self,
        outgoing: &Outgoing,
        code: Option<CodeTarget>,
    ) -> Result<Vec<Delivery>, SendError> {
        let people = match &outgoing.to {
            Recipient::User { id } => self.store.addressee(*id).await?.into_iter().collect(),
            Recipient::Admins => self.store.admins_to_tell().await?,
            Recipient::CodeTarget { .. } => return Ok(self.code_delivery(code).await?.into_iter().collect()),
            Recipient::FormerAddress { change } => {
                return Ok(self.former_delivery(*change).await?.into_iter().collect());
            }
        };
        let mut deliveries = Vec::new();
        for person in people {
            let of = |channel, to: String| Delivery {
                channel,
                user: Some(person.id),
                to,
                name: one_line(&person.first_name),
                language: Language::from_word(&person.language).unwrap_or_default(),
            };
            if is_reachable(&person.email) {
                deliveries.push(of(Channel::Mail, person.email.clone()));
            }
            if self.push.is_some() && outgoing.message.is_pushed() {
                deliveries.push(of(Channel::Push, format!("user {}", person.id)));
            }
            if self.sms.is_some()
                && outgoing.message.is_texted()
                && let Some(phone) = &person.sms_to
            {
                deliveries.push(of(Channel::Sms, phone.clone()));
            }
        }
        Ok(deliveries)
    }

    /// A code goes to the value it was made for; a login name has no address, so its code goes to the mail address
    /// that is known already. It calls nobody by their name: whoever has that address may never have heard of the
    /// account, and the name could be any hundred characters.
    async fn code_delivery(&self, code: Option<CodeTarget>) -> Result<Option<Delivery>, SendError> {
        let Some(code) = code else { return Ok(None) };
        let person = match code.user {
            Some(user) => self.store.addressee(user).await?,
            None => None,
        };
        let Some((channel, to)) = route(&code, person.as_ref()) else { return Ok(None) };
        let language =
            person.as_ref().and_then(|person| Language::from_word(&person.language)).unwrap_or_default();
        Ok(Some(Delivery { channel, user: code.user, to, name: String::new(), language }))
    }

    /// Somebody at the e-mail address that they had before a change.
    async fn former_delivery(&self, change: Uuid) -> Result<Option<Delivery>, SendError> {
        let change = self.store.told_change(change).await?;
        let Some(change) = change.filter(|change| is_reachable(&change.told)) else { return Ok(None) };
        let Some(person) = self.store.addressee(change.user).await? else { return Ok(None) };
        Ok(Some(Delivery {
            channel: Channel::Mail,
            user: Some(person.id),
            to: change.told,
            name: one_line(&person.first_name),
            language: Language::from_word(&person.language).unwrap_or_default(),
        }))
    }

    async fn attachments(&self, message: &Message) -> Result<Vec<Attachment>, SendError> {
        let Message::OrderPaid { order } = message else { return Ok(Vec::new()) };
        let files = self.makers.documents.pdfs(*order).await?;
        let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
        Ok(if bytes <= MOST_ATTACHED { files } else { Vec::new() })
    }
}

/// Where a code goes: an e-mail address, a phone number, or else the person's own mail address.
fn route(code: &CodeTarget, person: Option<&Addressee>) -> Option<(Channel, String)> {
    let is_phone = code.target.starts_with('+') || code.target.bytes().all(|one| one.is_ascii_digit());
    if code.target.contains('@') {
        return Some((Channel::Mail, code.target.clone()));
    }
    if is_phone && code.purpose != "login" && !code.target.is_empty() {
        return Some((Channel::Sms, code.target.clone()));
    }
    person.map(|person| (Channel::Mail, person.email.clone()))
}

/// Addresses under `.invalid` stand for none: <https://www.rfc-editor.org/rfc/rfc2606#section-2>.
fn is_reachable(email: &str) -> bool {
    email.contains('@') && !email.ends_with(".invalid")
}

/// Of two failures the one that leads to another attempt.
fn worse(before: Option<SendError>, now: SendError) -> SendError {
    match (before, now) {
        (Some(before), SendError::Fatal(_)) => before,
        (_, now) => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(purpose: &str, target: &str) -> CodeTarget {
        CodeTarget {
            user: Some(UserId(5)),
            purpose: purpose.to_owned(),
            target: target.to_owned(),
            minutes: 10,
        }
    }

    #[test]
    fn a_code_goes_to_what_it_was_made_for() {
        let person = Addressee {
            id: UserId(5),
            email: "old@example.test".to_owned(),
            first_name: "Nova".to_owned(),
            language: "en".to_owned(),
            sms_to: None,
        };
        for (purpose, target, channel, to) in [
            ("email", "new@example.test", Channel::Mail, "new@example.test"),
            ("phone", "+380501112233", Channel::Sms, "+380501112233"),
            ("phone", "0501112233", Channel::Sms, "0501112233"),
            ("login", "nova", Channel::Mail, "old@example.test"),
            ("login", "12345", Channel::Mail, "old@example.test"),
            ("login", "old@example.test", Channel::Mail, "old@example.test"),
        ] {
            let routed = route(&code(purpose, target), Some(&person));
            assert_eq!(routed, Some((channel, to.to_owned())), "{purpose} {target}");
        }
        assert_eq!(route(&code("login", "nova"), None), None);
    }

    #[test]
    fn one_more_attempt_is_made_while_anything_may_still_go() {
        let fatal = || SendError::Fatal("no".to_owned());
        let retry = || SendError::Retry("later".to_owned());
        for (before, now) in [(Some(fatal()), retry()), (Some(retry()), fatal()), (None, retry())] {
            assert!(matches!(worse(before, now), SendError::Retry(_)));
        }
        assert!(matches!(worse(Some(fatal()), fatal()), SendError::Fatal(_)));
    }
}
