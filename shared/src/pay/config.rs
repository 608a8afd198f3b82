//! Settings of payment. A field's comment is its `--help`.
#![expect(clippy::doc_markdown, reason = "comments are shown by --help, where backticks would stand out")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use secrecy::SecretString;

use crate::config::{ConfigError, long_enough, secret, secrets};

/// Where Usher is when nothing says otherwise.
const DEFAULT_PUBLIC_URL: &str = "http://127.0.0.1:8000";
/// Whoever can guess the key of the sandbox's webhooks can pay without paying.
const SECRET_LENGTH: usize = 16;

/// Who takes the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PaymentProvider {
    /// A server of our own without real money
    Sandbox,
    /// Stripe Checkout
    Stripe,
    /// YooKassa: cards and SBP
    Yookassa,
}

/// Payment.
#[derive(Debug, Clone, Args)]
pub struct PayConfig {
    /// Who takes the money
    #[arg(long, env = "PAYMENT_PROVIDER", value_enum, default_value_t = PaymentProvider::Sandbox)]
    pub payment_provider: PaymentProvider,
    /// Former providers, separated by commas: they take no new payments and are still asked about theirs
    #[arg(long, env = "PAYMENT_PROVIDERS_KEPT", value_enum, value_delimiter = ',')]
    pub payment_providers_kept: Vec<PaymentProvider>,
    /// Where shoppers and providers reach Usher; without it port 8000 of this machine, for the sandbox only
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Milliseconds after which one request to the provider is given up
    #[arg(long, env = "PAYMENT_TIMEOUT_MS", default_value_t = 5_000)]
    pub payment_timeout_ms: u64,
    /// Requests that this process makes of the provider per second
    #[arg(long, env = "PAYMENT_RATE_PER_SECOND", default_value_t = 50)]
    pub payment_rate_per_second: u32,
    /// Calls without an answer, one after the other, that open the provider's circuit
    #[arg(long, env = "CIRCUIT_BREAKER_FAILURE_THRESHOLD", default_value_t = 5)]
    pub circuit_breaker_failure_threshold: u32,
    /// Seconds that an open circuit waits before one call is tried
    #[arg(long, env = "CIRCUIT_BREAKER_TIMEOUT_SECONDS", default_value_t = 30)]
    pub circuit_breaker_timeout_seconds: u64,
    /// The sandbox
    #[command(flatten)]
    pub sandbox: SandboxConfig,
    /// Stripe
    #[command(flatten)]
    pub stripe: StripeConfig,
    /// YooKassa
    #[command(flatten)]
    pub yookassa: YookassaConfig,
}

/// The sandbox.
#[derive(Debug, Clone, Args)]
pub struct SandboxConfig {
    /// Where the sandbox answers; `usher` starts one where this is absent
    #[arg(long, env = "SANDBOX_URL")]
    pub sandbox_url: Option<String>,
    /// Where the sandbox sends webhooks; by default /api/webhook/payment of PUBLIC_URL
    #[arg(long, env = "SANDBOX_WEBHOOK_URL")]
    pub sandbox_webhook_url: Option<String>,
    /// The key that the sandbox asks for; 16 characters at least
    #[arg(long, env = "SANDBOX_KEY", hide_env_values = true)]
    pub sandbox_key: Option<SecretString>,
    /// A file that holds SANDBOX_KEY
    #[arg(long, env = "SANDBOX_KEY_FILE")]
    pub sandbox_key_file: Option<PathBuf>,
    /// Signs the sandbox's webhooks; 16 characters at least
    #[arg(long, env = "SANDBOX_WEBHOOK_SECRET", hide_env_values = true)]
    pub sandbox_webhook_secret: Option<SecretString>,
    /// A file that holds SANDBOX_WEBHOOK_SECRET
    #[arg(long, env = "SANDBOX_WEBHOOK_SECRET_FILE")]
    pub sandbox_webhook_secret_file: Option<PathBuf>,
    /// The webhook secret before this one, still accepted, so that it can rotate
    #[arg(long, env = "SANDBOX_WEBHOOK_SECRET_PREVIOUS", hide_env_values = true)]
    pub sandbox_webhook_secret_previous: Option<SecretString>,
}

/// Stripe.
#[derive(Debug, Clone, Args)]
pub struct StripeConfig {
    /// Where Stripe's API is
    #[arg(long, env = "STRIPE_URL", default_value = "https://api.stripe.com")]
    pub stripe_url: String,
    /// Stripe's secret key, or a restricted one for Checkout Sessions, PaymentIntents and Refunds
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<SecretString>,
    /// A file that holds STRIPE_SECRET_KEY
    #[arg(long, env = "STRIPE_SECRET_KEY_FILE")]
    pub stripe_secret_key_file: Option<PathBuf>,
    /// Signs Stripe's webhooks to this endpoint
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
    pub stripe_webhook_secret: Option<SecretString>,
    /// A file that holds STRIPE_WEBHOOK_SECRET
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET_FILE")]
    pub stripe_webhook_secret_file: Option<PathBuf>,
    /// The webhook secret before this one, still accepted, so that it can rotate
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET_PREVIOUS", hide_env_values = true)]
    pub stripe_webhook_secret_previous: Option<SecretString>,
}

/// YooKassa.
#[derive(Debug, Clone, Args)]
pub struct YookassaConfig {
    /// Where YooKassa's API is
    #[arg(long, env = "YOOKASSA_URL", default_value = "https://api.yookassa.ru")]
    pub yookassa_url: String,
    /// The shop's number at YooKassa
    #[arg(long, env = "YOOKASSA_SHOP_ID")]
    pub yookassa_shop_id: Option<String>,
    /// The shop's secret key at YooKassa
    #[arg(long, env = "YOOKASSA_SECRET_KEY", hide_env_values = true)]
    pub yookassa_secret_key: Option<SecretString>,
    /// A file that holds YOOKASSA_SECRET_KEY
    #[arg(long, env = "YOOKASSA_SECRET_KEY_FILE")]
    pub yookassa_secret_key_file: Option<PathBuf>,
    /// Networks that YooKassa's webhooks come from, separated by commas
    #[arg(
        long,
        env = "YOOKASSA_WEBHOOK_NETWORKS",
        value_delimiter = ',',
        default_value = "185.71.76.0/27,185.71.77.0/27,77.75.153.0/25,77.75.156.11/32,77.75.156.35/32,77.75.154.128/25,2a02:5180::/32"
    )]
    pub yookassa_webhook_networks: Vec<IpNet>,
}

impl PayConfig {
    /// Where shoppers and providers reach Usher, without a slash at the end.
    pub fn public_url(&self) -> &str {
        self.public_url
            .as_deref()
            .filter(|url| !url.is_empty())
            .unwrap_or(DEFAULT_PUBLIC_URL)
            .trim_end_matches('/')
    }

    /// Where the sandbox sends webhooks; other providers are told in their own settings.
    pub fn webhook_url(&self) -> String {
        let set = self.sandbox.sandbox_webhook_url.clone().filter(|url| !url.is_empty());
        set.unwrap_or_else(|| format!("{}/api/webhook/payment", self.public_url()))
    }

    /// Former providers that are still asked, each once.
    pub fn kept(&self) -> Vec<PaymentProvider> {
        let mut kept = Vec::new();
        for which in &self.payment_providers_kept {
            if *which != self.payment_provider && !kept.contains(which) {
                kept.push(*which);
            }
        }
        kept
    }

    /// Whether a provider is asked at all.
    pub fn connects(&self, which: PaymentProvider) -> bool {
        self.payment_provider == which || self.payment_providers_kept.contains(&which)
    }

    /// Milliseconds that one request may take, as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.payment_timeout_ms)
    }

    /// Holds the settings against what they stand for; those of a provider that is not connected may be absent.
    ///
    /// # Errors
    /// One is missing or out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let positive = [
            ("PAYMENT_TIMEOUT_MS", self.payment_timeout_ms),
            ("PAYMENT_RATE_PER_SECOND", u64::from(self.payment_rate_per_second)),
            ("CIRCUIT_BREAKER_FAILURE_THRESHOLD", u64::from(self.circuit_breaker_failure_threshold)),
            ("CIRCUIT_BREAKER_TIMEOUT_SECONDS", self.circuit_breaker_timeout_seconds),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Invalid(format!("{name} must be at least 1")));
        }
        if self.payment_timeout_ms > 30_000 {
            return Err(ConfigError::Invalid("PAYMENT_TIMEOUT_MS is above 30,000".to_owned()));
        }
        check_url("PUBLIC_URL", self.public_url())?;
        std::iter::once(self.payment_provider).chain(self.kept()).try_for_each(|which| self.check_one(which))
    }

    fn check_one(&self, which: PaymentProvider) -> Result<(), ConfigError> {
        match which {
            PaymentProvider::Sandbox => self.sandbox.check(),
            PaymentProvider::Stripe => self.has_public_url().and_then(|()| self.stripe.check()),
            PaymentProvider::Yookassa => self.has_public_url().and_then(|()| self.yookassa.check()),
        }
    }

    /// Real payers cannot be sent back to an address of the machine itself.
    fn has_public_url(&self) -> Result<(), ConfigError> {
        self.public_url
            .as_deref()
            .filter(|url| !url.is_empty())
            .map(drop)
            .ok_or_else(|| ConfigError::Invalid("PUBLIC_URL is not set; real payers return to it".to_owned()))
    }
}

impl SandboxConfig {
    /// The address of the sandbox.
    ///
    /// # Errors
    /// It is not set.
    pub fn url(&self) -> Result<&str, ConfigError> {
        self.sandbox_url
            .as_deref()
            .filter(|url| !url.is_empty())
            .map(|url| url.trim_end_matches('/'))
            .ok_or_else(|| {
                ConfigError::Invalid("SANDBOX_URL is not set; payments go to the sandbox".to_owned())
            })
    }

    /// The key of its API.
    ///
    /// # Errors
    /// It is missing or too short.
    pub fn key(&self) -> Result<SecretString, ConfigError> {
        long_enough(
            "SANDBOX_KEY",
            secret("SANDBOX_KEY", self.sandbox_key.as_ref(), self.sandbox_key_file.as_ref())?,
            SECRET_LENGTH,
        )
    }

    /// What its webhooks may be signed with, newest first.
    ///
    /// # Errors
    /// None is set, or one is too short.
    pub fn webhook_secrets(&self) -> Result<Vec<SecretString>, ConfigError> {
        let (value, file) = (self.sandbox_webhook_secret.as_ref(), self.sandbox_webhook_secret_file.as_ref());
        let previous = self.sandbox_webhook_secret_previous.as_ref();
        secrets("SANDBOX_WEBHOOK_SECRET", value, file, previous, SECRET_LENGTH)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_url("SANDBOX_URL", self.url()?)?;
        self.key()?;
        self.webhook_secrets().map(drop)
    }
}

impl StripeConfig {
    /// The key of its API.
    ///
    /// # Errors
    /// It is missing.
    pub fn key(&self) -> Result<SecretString, ConfigError> {
        secret("STRIPE_SECRET_KEY", self.stripe_secret_key.as_ref(), self.stripe_secret_key_file.as_ref())
    }

    /// What its webhooks may be signed with, newest first.
    ///
    /// # Errors
    /// None is set, or one is too short.
    pub fn webhook_secrets(&self) -> Result<Vec<SecretString>, ConfigError> {
        let (value, file) = (self.stripe_webhook_secret.as_ref(), self.stripe_webhook_secret_file.as_ref());
        let previous = self.stripe_webhook_secret_previous.as_ref();
        secrets("STRIPE_WEBHOOK_SECRET", value, file, previous, SECRET_LENGTH)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_url("STRIPE_URL", &self.stripe_url)?;
        self.key()?;
        self.webhook_secrets().map(drop)
    }
}

impl YookassaConfig {
    /// The shop's number.
    ///
    /// # Errors
    /// It is missing.
    pub fn shop_id(&self) -> Result<&str, ConfigError> {
        self.yookassa_shop_id
            .as_deref()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| ConfigError::Invalid("YOOKASSA_SHOP_ID is not set".to_owned()))
    }

    /// The key of its API.
    ///
    /// # Errors
    /// It is missing.
    pub fn key(&self) -> Result<SecretString, ConfigError> {
        secret(
            "YOOKASSA_SECRET_KEY",
            self.yookassa_secret_key.as_ref(),
            self.yookassa_secret_key_file.as_ref(),
        )
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_url("YOOKASSA_URL", &self.yookassa_url)?;
        self.shop_id()?;
        self.key()?;
        if self.yookassa_webhook_networks.is_empty() {
            return Err(ConfigError::Invalid("YOOKASSA_WEBHOOK_NETWORKS is empty".to_owned()));
        }
        Ok(())
    }
}

fn check_url(name: &str, url: &str) -> Result<(), ConfigError> {
    let is_good = reqwest::Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none());
    if is_good { Ok(()) } else { Err(ConfigError::Invalid(format!("{name} is no http(s) URL"))) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Words {
        #[command(flatten)]
        pay: PayConfig,
    }

    fn checked(words: &[&str]) -> Result<(), ConfigError> {
        let words = std::iter::once("test").chain(words.iter().copied());
        Words::try_parse_from(words).expect("words that are known").pay.check()
    }

    const SANDBOX: [&str; 3] = [
        "--sandbox-url=http://127.0.0.1:1",
        "--sandbox-key=0123456789abcdef",
        "--sandbox-webhook-secret=0123456789abcdef",
    ];

    #[test]
    fn only_the_chosen_provider_needs_its_settings() {
        assert!(checked(&SANDBOX).is_ok());
        assert!(checked(&[]).is_err());
        let stripe = [
            "--payment-provider=stripe",
            "--public-url=https://tickets.test/",
            "--stripe-secret-key=sk_test_1",
            "--stripe-webhook-secret=whsec_0123456789",
        ];
        assert!(checked(&stripe).is_ok());
        for without in 1..stripe.len() {
            let mut words = stripe.to_vec();
            words.remove(without);
            assert!(checked(&words).is_err(), "{}", stripe[without]);
        }
        let yookassa = [
            "--payment-provider=yookassa",
            "--public-url=https://tickets.test",
            "--yookassa-shop-id=54401",
            "--yookassa-secret-key=test_x",
        ];
        assert!(checked(&yookassa).is_ok());
        assert!(checked(&yookassa[..3]).is_err());
    }

    #[test]
    fn a_provider_that_is_kept_needs_its_settings_too() {
        let stripe = ["--payment-providers-kept=stripe,sandbox,stripe", "--public-url=https://tickets.test"];
        let keys = ["--stripe-secret-key=sk_test_1", "--stripe-webhook-secret=whsec_0123456789"];
        let words: Vec<&str> = SANDBOX.into_iter().chain(stripe).chain(keys).collect();
        assert!(checked(&words).is_ok());
        assert!(checked(&words[..words.len() - 1]).is_err());
        let words = std::iter::once("test").chain(words);
        let pay = Words::try_parse_from(words).expect("words that are known").pay;
        assert_eq!(pay.kept(), [PaymentProvider::Stripe], "each once, and not the chosen one");
        assert!(pay.connects(PaymentProvider::Sandbox) && pay.connects(PaymentProvider::Stripe));
        assert!(!pay.connects(PaymentProvider::Yookassa));
    }

    #[test]
    fn settings_that_are_empty_short_or_zero_are_refused() {
        for wrong in [
            "--sandbox-webhook-secret=",
            "--sandbox-webhook-secret=short",
            "--sandbox-webhook-secret-previous=short",
            "--sandbox-key=short",
            "--sandbox-url=ftp://127.0.0.1",
            "--public-url=nowhere",
            "--circuit-breaker-failure-threshold=0",
            "--circuit-breaker-timeout-seconds=0",
            "--payment-rate-per-second=0",
            "--payment-timeout-ms=60000",
        ] {
            let name = wrong.split('=').next().unwrap_or_default();
            let mut words: Vec<&str> =
                SANDBOX.into_iter().filter(|word| !word.starts_with(&format!("{name}="))).collect();
            words.push(wrong);
            assert!(checked(&words).is_err(), "{wrong}");
        }
    }
}
