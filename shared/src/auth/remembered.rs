//! What was verified a moment ago, by fingerprint: bounded in number and in time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Parts with a lock each.
const PARTS: usize = 16;

/// Values that are good for a while. Never more than twice the bound of them: when the younger half is full or old, it
/// becomes the older one, and what was the older one goes.
pub struct Remembered<V> {
    parts: [Mutex<Halves<V>>; PARTS],
    most: usize,
    lifetime: Duration,
}

struct Halves<V> {
    young: HashMap<[u8; 16], (V, Instant)>,
    old: HashMap<[u8; 16], (V, Instant)>,
    turned: Instant,
}

impl<V: Copy> Remembered<V> {
    /// Keeps at least `most` values, unless they are older than `lifetime`.
    pub fn new(most: usize, lifetime: Duration) -> Self {
        let halves =
            || Mutex::new(Halves { young: HashMap::new(), old: HashMap::new(), turned: Instant::now() });
        Self { parts: std::array::from_fn(|_| halves()), most: most.div_ceil(PARTS), lifetime }
    }

    /// The value that was remembered, if it is young enough.
    pub fn get(&self, key: &[u8; 16]) -> Option<V> {
        let part = self.part(key).lock();
        let (value, since) = part.young.get(key).or_else(|| part.old.get(key))?;
        (since.elapsed() < self.lifetime).then_some(*value)
    }

    /// Remembers a value from now on.
    pub fn put(&self, key: [u8; 16], value: V) {
        let mut part = self.part(&key).lock();
        if part.young.len() >= self.most || part.turned.elapsed() >= self.lifetime {
            part.old = std::mem::take(&mut part.young);
            part.turned = Instant::now();
        }
        part.young.insert(key, (value, Instant::now()));
    }

    /// Forgets a value.
    pub fn forget(&self, key: &[u8; 16]) {
        let mut part = self.part(key).lock();
        part.young.remove(key);
        part.old.remove(key);
    }

    fn part(&self, key: &[u8; 16]) -> &Mutex<Halves<V>> {
        &self.parts[usize::from(key[0]) % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> [u8; 16] {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let remembered = Remembered::new(160, Duration::from_mins(1));
        for number in 0..10_000 {
            remembered.put(key(number), number);
        }
        let count = |part: &Mutex<Halves<u32>>| {
            let part = part.lock();
            part.young.len() + part.old.len()
        };
        let kept: usize = remembered.parts.iter().map(count).sum();
        assert!((160..=320).contains(&kept), "{kept} are kept");
        assert_eq!(remembered.get(&key(9_999)), Some(9_999));
        assert_eq!(remembered.get(&key(0)), None);
    }

    #[test]
    fn what_is_old_or_forgotten_is_not_found() {
        let brief = Remembered::new(10, Duration::ZERO);
        brief.put(key(1), 1);
        assert_eq!(brief.get(&key(1)), None);
        let remembered = Remembered::new(10, Duration::from_mins(1));
        remembered.put(key(1), 1);
        remembered.forget(&key(1));
        assert_eq!(remembered.get(&key(1)), None);
    }

    #[test]
    fn a_value_is_good_for_its_lifetime_whichever_half_it_is_in_and_being_used_does_not_prolong_it() {
        let remembered = Remembered::new(10, Duration::from_mins(5));
        remembered.put(key(1), 1);
        let age = |by: Duration| {
            let mut part = remembered.part(&key(1)).lock();
            let Halves { young, old, turned } = &mut *part;
            let since = young.values_mut().chain(old.values_mut()).map(|(_, since)| since);
            for time in since.chain([turned]) {
                *time = time.checked_sub(by).expect("a time before");
            }
        };
        age(Duration::from_secs(299));
        assert_eq!(remembered.get(&key(1)), Some(1));
        age(Duration::from_secs(1));
        assert_eq!(remembered.get(&key(1)), None, "five minutes after it was put");
        remembered.put(key(1), 2);
        assert_eq!(remembered.get(&key(1)), Some(2), "put anew, with the old one still in the older half");
        age(Duration::from_mins(5));
        assert_eq!(remembered.get(&key(1)), None, "neither of both");
    }
}
