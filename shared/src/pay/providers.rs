//! The providers that are connected: one takes new payments, former ones are still asked about theirs.

use std::sync::Arc;

use super::Provider;

/// The connected providers; clones share them.
#[derive(Clone)]
pub struct Providers {
    chosen: Arc<dyn Provider>,
    kept: Vec<Arc<dyn Provider>>,
}

impl Providers {
    /// One that takes new payments, and former ones.
    pub fn new(chosen: Arc<dyn Provider>, kept: Vec<Arc<dyn Provider>>) -> Self {
        Self { chosen, kept }
    }

    /// Takes new payments.
    pub fn chosen(&self) -> &Arc<dyn Provider> {
        &self.chosen
    }

    /// Former ones.
    pub fn kept(&self) -> &[Arc<dyn Provider>] {
        &self.kept
    }

    /// All of them, the chosen one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        std::iter::once(&self.chosen).chain(&self.kept)
    }

    /// The one with this name.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.all().find(|provider| provider.name() == name)
    }
}
