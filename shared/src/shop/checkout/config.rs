//! Settings of checkout. A field's comment is its `--help`.

use std::sync::Arc;

use clap::Args;

use crate::config::ConfigError;
use crate::pay::Provider;

/// Checkout.
#[derive(Debug, Clone, Args)]
pub struct CheckoutConfig {
    /// Seconds within which an order must be paid; an event that holds places for a shorter time shortens it
    #[arg(long, env = "PAYMENT_LIMIT_SECONDS", default_value_t = 300)]
    pub payment_limit_seconds: u32,
    /// Seconds after that in which places are kept while the provider does not say what became of a payment
    #[arg(long, env = "PAYMENT_GRACE_SECONDS", default_value_t = 120)]
    pub payment_grace_seconds: u32,
    /// Days by which each comparison with the provider's list goes behind the one before: refunds and chargebacks of older
    /// payments are known by webhooks only
    #[arg(long, env = "PAYMENT_COMPARED_DAYS", default_value_t = 7)]
    pub payment_compared_days: u16,
    /// Providers in place of the configured ones
    #[arg(skip)]
    pub providers: GivenProviders,
}

/// Providers that the program which embeds Usher brings along: the first one takes new payments. Without any, those of the
/// settings are asked.
#[derive(Clone, Default)]
pub struct GivenProviders(pub Vec<Arc<dyn Provider>>);

impl std::fmt::Debug for GivenProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|provider| provider.name())).finish()
    }
}

impl CheckoutConfig {
    /// Holds the settings against what they stand for.
    ///
    /// # Errors
    /// One is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1..=86_400).contains(&self.payment_limit_seconds) {
            return Err(ConfigError::Invalid(
                "PAYMENT_LIMIT_SECONDS must be between 1 and 86,400".to_owned(),
            ));
        }
        if self.payment_grace_seconds > 86_400 {
            return Err(ConfigError::Invalid("PAYMENT_GRACE_SECONDS is above 86,400".to_owned()));
        }
        if !(2..=30).contains(&self.payment_compared_days) {
            return Err(ConfigError::Invalid("PAYMENT_COMPARED_DAYS must be between 2 and 30".to_owned()));
        }
        Ok(())
    }
}
