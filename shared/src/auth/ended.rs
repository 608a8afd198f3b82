//! Sessions that were ended before their access tokens expire, in memory: a poll asks here and no store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use uuid::Uuid;

use crate::domain::UserId;

/// What has ended; clones share it.
#[derive(Clone, Default)]
pub struct EndedSessions {
    ended: Arc<RwLock<Ended>>,
    is_loaded: Arc<AtomicBool>,
}

#[derive(Default)]
struct Ended {
    /// All sessions below this version.
    users: HashMap<UserId, (u32, Instant)>,
    /// Families of tokens, and API keys.
    ids: HashMap<Uuid, Instant>,
}

impl EndedSessions {
    /// Whether a session has ended.
    pub fn has_ended(&self, user: UserId, version: u32, session: Option<Uuid>) -> bool {
        let ended = self.ended.read();
        ended.users.get(&user).is_some_and(|(least, _)| version < *least)
            || session.is_some_and(|session| ended.ids.contains_key(&session))
    }

    /// All sessions of somebody below this version have ended.
    pub fn end_user(&self, user: UserId, least: u32) {
        let mut ended = self.ended.write();
        let known = ended.users.entry(user).or_insert((least, Instant::now()));
        if known.0 <= least {
            *known = (least, Instant::now());
        }
    }

    /// A family of tokens, or an API key, has ended.
    pub fn end_session(&self, session: Uuid) {
        self.ended.write().ids.insert(session, Instant::now());
    }

    /// Forgets what was noted so long ago that every token of then has expired.
    pub fn forget(&self, older_than: Duration) {
        let mut ended = self.ended.write();
        ended.users.retain(|_, (_, noted)| noted.elapsed() < older_than);
        ended.ids.retain(|_, noted| noted.elapsed() < older_than);
    }

    /// What ended before this process began is known.
    pub fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Acquire)
    }

    /// See [`Self::is_loaded`].
    pub fn note_loaded(&self) {
        self.is_loaded.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_before_have_ended_and_later_ones_have_not() {
        let ended = EndedSessions::default();
        let (user, family) = (UserId(7), Uuid::now_v7());
        assert!(!ended.has_ended(user, 0, Some(family)));
        ended.end_session(family);
        assert!(ended.has_ended(user, 0, Some(family)) && !ended.has_ended(user, 0, None));
        ended.end_user(user, 2);
        ended.end_user(user, 1);
        assert!(ended.has_ended(user, 1, None) && !ended.has_ended(user, 2, None));
        assert!(!ended.has_ended(UserId(8), 0, None));
        ended.forget(Duration::ZERO);
        assert!(!ended.has_ended(user, 0, Some(family)));
    }
}
