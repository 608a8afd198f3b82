//! All sessions, in memory and bounded.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::session::{NewSession, Refusal, Session};

/// Sessions on one page of a list.
const PAGE: usize = 100;

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// All sessions.
#[derive(Debug)]
pub struct Book {
    most: usize,
    sessions: HashMap<String, Session>,
    /// By age.
    order: BTreeSet<(u64, String)>,
    /// Idempotency keys of sessions, and whose they are.
    keys: HashMap<String, String>,
    /// Their keys, to be forgotten with them.
    keys_of: HashMap<String, String>,
    /// All up to here have had their time.
    looked_at: (u64, String),
}

impl Book {
    /// An empty one that remembers so many.
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            sessions: HashMap::new(),
            order: BTreeSet::new(),
            keys: HashMap::new(),
            keys_of: HashMap::new(),
            looked_at: (0, String::new()),
        }
    }

    /// Opens a session; with the same key and words it is the same one.
    ///
    /// # Errors
    /// The key was used with other words.
    pub fn open(&mut self, key: &str, new: NewSession) -> Result<Session, Refusal> {
        if let Some(known) = self.keys.get(key).and_then(|id| self.sessions.get(id)) {
            return if known.new == new { Ok(known.clone()) } else { Err(Refusal::Mismatch) };
        }
        while self.sessions.len() >= self.most {
            self.forget_oldest();
        }
        let session = Session::open(new, now_ms());
        self.order.insert((session.created_ms, session.id.clone()));
        self.keys.insert(key.to_owned(), session.id.clone());
        self.keys_of.insert(session.id.clone(), key.to_owned());
        self.sessions.insert(session.id.clone(), session.clone());
        Ok(session)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.order.pop_first() {
            self.sessions.remove(&id);
            if let Some(key) = self.keys_of.remove(&id) {
                self.keys.remove(&key);
            }
        }
    }

    /// A session.
    pub fn get(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// A session to change.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Session> {
        self.sessions.get_mut(id)
    }

    /// Sessions made from `from_ms` on and before `to_ms`, oldest first, after the cursor; with the next cursor.
    pub fn list(
        &self,
        from_ms: u64,
        to_ms: u64,
        cursor: Option<(u64, String)>,
    ) -> (Vec<&Session>, Option<String>) {
        let start = match cursor {
            Some(cursor) if cursor.0 >= from_ms => Bound::Excluded(cursor),
            Some(_) | None => Bound::Included((from_ms, String::new())),
        };
        let mut found = self.order.range((start, Bound::Unbounded)).take_while(|(made, _)| *made < to_ms);
        let page: Vec<&(u64, String)> = found.by_ref().take(PAGE).collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|(made, id)| format!("{made}-{id}"));
        (page.into_iter().filter_map(|(_, id)| self.sessions.get(id)).collect(), next)
    }

    /// Closes pages made before `before_ms`; those that were open.
    pub fn expire_before(&mut self, before_ms: u64) -> Vec<Session> {
        let start = (Bound::Excluded(self.looked_at.clone()), Bound::Unbounded);
        let due: Vec<(u64, String)> = self
            .order
            .range(start)
            .take_while(|(made, _)| *made < before_ms)
            .take(PAGE * 10)
            .cloned()
            .collect();
        if let Some(last) = due.last() {
            self.looked_at.clone_from(last);
        }
        let sessions = &mut self.sessions;
        let closed = due.iter().filter_map(|(_, id)| {
            let session = sessions.get_mut(id)?;
            session.expire().then(|| session.clone())
        });
        closed.collect()
    }
}

/// Reads a cursor that a list has given.
pub fn read_cursor(text: &str) -> Option<(u64, String)> {
    let (made, id) = text.split_once('-')?;
    Some((made.parse().ok()?, id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Status;

    fn new(amount: i64) -> NewSession {
        let url = "http://shop.test/".to_owned();
        NewSession {
            amount,
            currency: "EUR".to_owned(),
            description: String::new(),
            language: String::new(),
            return_url: url.clone(),
            cancel_url: url.clone(),
            webhook_url: url,
            payment_id: None,
            order_id: None,
        }
    }

    #[test]
    fn same_key_is_the_same_session_and_other_words_are_refused() {
        let mut book = Book::new(10);
        let first = book.open("key", new(1)).expect("a session");
        assert_eq!(book.open("key", new(1)).expect("the same").id, first.id);
        assert_eq!(book.open("key", new(2)).err(), Some(Refusal::Mismatch));
    }

    #[test]
    fn oldest_sessions_are_forgotten_with_their_keys() {
        let mut book = Book::new(3);
        let ids: Vec<String> =
            (0..5).map(|nth| book.open(&nth.to_string(), new(1)).expect("a session").id).collect();
        let known = ids.iter().filter(|id| book.get(id).is_some()).count();
        assert_eq!((known, book.keys.len(), book.keys_of.len(), book.order.len()), (3, 3, 3, 3));
    }

    #[test]
    fn list_is_paged_and_bounded_by_time() {
        let mut book = Book::new(1_000);
        let mut ids: BTreeSet<String> =
            (0..250).map(|nth| book.open(&nth.to_string(), new(1)).expect("a session").id).collect();
        let mut cursor = None;
        let mut pages = 0;
        loop {
            let (page, next) = book.list(0, u64::MAX, cursor.as_deref().and_then(read_cursor));
            assert!(page.len() <= PAGE && page.iter().all(|session| ids.remove(&session.id)));
            pages += 1;
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((pages, ids.len()), (3, 0));
        assert!(book.list(0, 1, None).0.is_empty());
        assert!(book.list(u64::MAX, u64::MAX, None).0.is_empty());
    }

    #[test]
    fn pages_are_closed_once_when_their_time_is_over() {
        let mut book = Book::new(10);
        let id = book.open("key", new(1)).expect("a session").id;
        assert!(book.expire_before(1).is_empty());
        assert_eq!(book.expire_before(u64::MAX).len(), 1);
        assert!(book.expire_before(u64::MAX).is_empty());
        assert_eq!(book.get(&id).expect("it").status, Status::Expired);
    }
}
