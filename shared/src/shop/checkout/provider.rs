//! Which provider is asked.

use std::sync::Arc;

use crate::config::{ConfigError, ServicesConfig};
use crate::pay::{self, Provider};

/// The provider of new payments.
///
/// # Errors
/// The settings make no sense.
pub fn provider(services: &ServicesConfig) -> Result<Arc<dyn Provider>, ConfigError> {
    services.checkout.check()?;
    match &services.checkout.provider.0 {
        Some(provider) => Ok(provider.clone()),
        None => pay::connect(&services.pay),
    }
}
