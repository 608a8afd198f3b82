//! Makes documents beside the threads that answer, a few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::face::TicketFace;
use super::format::{Formats, RenderError};
use crate::domain::Language;

/// Documents in the making.
const AT_ONCE: usize = 2;
/// Whoever comes when so many wait already is told to come back.
const MAX_WAITING: usize = 64;

/// A document.
#[derive(Debug, Clone)]
pub struct Document {
    /// What is in it.
    pub bytes: Bytes,
    /// What that is.
    pub media_type: &'static str,
    /// What its file's name ends with.
    pub extension: &'static str,
}

/// Makes documents; clones share its slots.
#[derive(Clone)]
pub struct Press {
    formats: Arc<Formats>,
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// Somebody who waits for a slot; counted until dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Press {
    /// A press for these formats.
    pub fn new(formats: Formats) -> Self {
        Self { formats: Arc::new(formats), slots: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::default() }
    }

    /// The formats that it knows.
    pub fn formats(&self) -> &Formats {
        &self.formats
    }

    /// Prints these tickets into one document.
    ///
    /// # Errors
    /// No such format, too many wait already, or the document cannot be made.
    pub async fn print(
        &self,
        format: &str,
        tickets: Vec<TicketFace>,
        language: Language,
    ) -> Result<Document, RenderError> {
        let format = self.formats.get(format)?;
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(self.waiting.clone());
        if before >= MAX_WAITING {
            return Err(RenderError::Busy);
        }
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| RenderError::Busy)?;
        drop(waiting);
        let (media_type, extension) = (format.media_type(), format.extension());
        // The slot goes with the work: whoever hangs up does not make room for the next one.
        let work = move || {
            let _slot = slot;
            format.render(&tickets, language)
        };
        let bytes = tokio::task::spawn_blocking(work).await.map_err(|_| RenderError::Busy)??;
        Ok(Document { bytes, media_type, extension })
    }
}
