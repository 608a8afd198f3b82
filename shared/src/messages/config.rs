//! Settings of messages. A field's comment is its `--help`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Url;
use secrecy::SecretString;

use super::http::HttpGateway;
use super::smtp::Smtp;
use crate::config::{ConfigError, is_given, secret};

/// Messages to people.
#[derive(Debug, Clone, Args)]
pub struct MessagesConfig {
    /// Where mails go; without it smtp where a mail server is set, else mailbox
    #[arg(long, env = "MAIL_TRANSPORT", value_enum)]
    pub mail_transport: Option<MailTransport>,
    /// The mail server, as an smtps: URL with user, password and host, or an smtp: one with ?tls=required
    #[arg(long, env = "SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<SecretString>,
    /// A file that holds the URL of the mail server
    #[arg(long, env = "SMTP_URL_FILE")]
    pub smtp_url_file: Option<PathBuf>,
    /// Who mails come from
    #[arg(long, env = "MAIL_FROM", default_value = "Usher <tickets@usher.test>")]
    pub mail_from: String,
    /// Where SMS go
    #[arg(long, env = "SMS_PROVIDER", value_enum, default_value_t = Provider::Mailbox)]
    pub sms_provider: Provider,
    /// Where SMS are posted to
    #[arg(long, env = "SMS_GATEWAY_URL")]
    pub sms_gateway_url: Option<String>,
    /// The bearer token for it
    #[arg(long, env = "SMS_GATEWAY_TOKEN", hide_env_values = true)]
    pub sms_gateway_token: Option<SecretString>,
    /// A file that holds the token of the SMS gateway
    #[arg(long, env = "SMS_GATEWAY_TOKEN_FILE")]
    pub sms_gateway_token_file: Option<PathBuf>,
    /// Codes that go out by SMS within 24 hours, over all accounts and numbers: what a fraud with numbers that cost money can
    /// take at most (0: none go out)
    #[arg(long, env = "SMS_CODES_A_DAY", default_value_t = 1_000)]
    pub sms_codes_a_day: u32,
    /// Where push messages go
    #[arg(long, env = "PUSH_PROVIDER", value_enum, default_value_t = Provider::Mailbox)]
    pub push_provider: Provider,
    /// Where push messages are posted to
    #[arg(long, env = "PUSH_GATEWAY_URL")]
    pub push_gateway_url: Option<String>,
    /// The bearer token for it
    #[arg(long, env = "PUSH_GATEWAY_TOKEN", hide_env_values = true)]
    pub push_gateway_token: Option<SecretString>,
    /// A file that holds the token of the push gateway
    #[arg(long, env = "PUSH_GATEWAY_TOKEN_FILE")]
    pub push_gateway_token_file: Option<PathBuf>,
    /// What links in messages begin with: where people reach the shop
    #[arg(long, env = "MESSAGES_LINK_BASE", default_value = "http://127.0.0.1:8000")]
    pub messages_link_base: String,
    /// Times that a message is tried, for a day by default; codes until they run out
    #[arg(long, env = "MESSAGES_MAX_ATTEMPTS", default_value_t = 150)]
    pub messages_max_attempts: u32,
    /// Milliseconds of the first rest after a failure; each further one is twice as long, up to 10 minutes
    #[arg(long, env = "MESSAGES_BACKOFF_MS", default_value_t = 20_000)]
    pub messages_backoff_ms: u64,
    /// Milliseconds after which a mail server or gateway is given up (50,000 at most)
    #[arg(long, env = "MESSAGES_TIMEOUT_MS", default_value_t = 20_000)]
    pub messages_timeout_ms: u64,
    /// Show the mailbox's page, to callers on this machine and to admins; `usher` with servers of its own does
    #[arg(long, env = "MAILBOX_OPEN")]
    pub mailbox_open: Option<bool>,
}

/// Where mails go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MailTransport {
    /// To a page of Usher's own.
    Mailbox,
    /// To a mail server.
    Smtp,
}

/// Where SMS and push messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// To a page of Usher's own.
    Mailbox,
    /// To a gateway over HTTP.
    Http,
    /// Nowhere; a code for a phone number then fails.
    Off,
}

/// Where messages of one kind go over HTTP.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    /// Where they are posted to.
    pub url: Url,
    /// The bearer token.
    pub token: SecretString,
    /// After how long it is given up.
    pub timeout: Duration,
}

impl MessagesConfig {
    /// Where mails go.
    pub fn transport(&self) -> MailTransport {
        let chosen = if is_given(self.smtp_url.as_ref(), self.smtp_url_file.as_ref()) {
            MailTransport::Smtp
        } else {
            MailTransport::Mailbox
        };
        self.mail_transport.unwrap_or(chosen)
    }

    /// Whether anything goes to the mailbox.
    pub fn has_mailbox(&self) -> bool {
        self.transport() == MailTransport::Mailbox
            || self.sms_provider == Provider::Mailbox
            || self.push_provider == Provider::Mailbox
    }

    /// Whether the mailbox's page is shown.
    pub fn is_mailbox_open(&self) -> bool {
        self.has_mailbox() && self.mailbox_open == Some(true)
    }

    /// After how long a mail server or gateway is given up.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.messages_timeout_ms)
    }

    /// The mail server.
    ///
    /// # Errors
    /// It is not set.
    pub fn smtp(&self) -> Result<SecretString, ConfigError> {
        secret("SMTP_URL", self.smtp_url.as_ref(), self.smtp_url_file.as_ref())
    }

    /// Where SMS are posted to.
    ///
    /// # Errors
    /// URL or token are missing or wrong.
    pub fn sms_target(&self) -> Result<HttpTarget, ConfigError> {
        let (token, file) = (self.sms_gateway_token.as_ref(), self.sms_gateway_token_file.as_ref());
        let url = self.sms_gateway_url.as_deref();
        self.target("SMS_GATEWAY_URL", url, secret("SMS_GATEWAY_TOKEN", token, file)?)
    }

    /// Where push messages are posted to.
    ///
    /// # Errors
    /// URL or token are missing or wrong.
    pub fn push_target(&self) -> Result<HttpTarget, ConfigError> {
        let (token, file) = (self.push_gateway_token.as_ref(), self.push_gateway_token_file.as_ref());
        let url = self.push_gateway_url.as_deref();
        self.target("PUSH_GATEWAY_URL", url, secret("PUSH_GATEWAY_TOKEN", token, file)?)
    }

    fn target(
        &self,
        name: &'static str,
        url: Option<&str>,
        token: SecretString,
    ) -> Result<HttpTarget, ConfigError> {
        let url = web_url(name, url.unwrap_or_default())?;
        Ok(HttpTarget { url, token, timeout: self.timeout() })
    }

    /// Holds the settings against each other and against what they stand for.
    ///
    /// # Errors
    /// One is missing, wrong, or would send a password unencrypted.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.messages_max_attempts == 0 || self.messages_backoff_ms == 0 {
            return Err(ConfigError::Invalid(
                "MESSAGES_MAX_ATTEMPTS and MESSAGES_BACKOFF_MS must be at least 1".to_owned(),
            ));
        }
        if !(1..=50_000).contains(&self.messages_timeout_ms) {
            return Err(ConfigError::Invalid("MESSAGES_TIMEOUT_MS must be between 1 and 50,000".to_owned()));
        }
        web_url("MESSAGES_LINK_BASE", &self.messages_link_base)?;
        match self.transport() {
            MailTransport::Mailbox => {}
            MailTransport::Smtp => drop(Smtp::new(self)?),
        }
        if self.sms_provider == Provider::Http {
            HttpGateway::new(&self.sms_target()?)?;
        }
        if self.push_provider == Provider::Http {
            HttpGateway::new(&self.push_target()?)?;
        }
        Ok(())
    }
}

fn web_url(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    url.ok_or_else(|| ConfigError::Invalid(format!("{name} must be an http:// or https:// URL")))
}
