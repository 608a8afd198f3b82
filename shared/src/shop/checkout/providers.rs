//! Which providers are asked.

use crate::config::{ConfigError, ServicesConfig};
use crate::pay::{self, Providers};

/// The provider of new payments, and former ones.
///
/// # Errors
/// The settings make no sense.
pub fn providers(services: &ServicesConfig) -> Result<Providers, ConfigError> {
    services.checkout.check()?;
    match services.checkout.providers.0.split_first() {
        Some((chosen, kept)) => Ok(Providers::new(chosen.clone(), kept.to_vec())),
        None => pay::connect(&services.pay),
    }
}
