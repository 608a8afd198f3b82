//! A set of numbers that knows how many are below one.

use std::collections::VecDeque;

/// Numbers in one chunk at most; a full one is cut in half.
const CHUNK: usize = 1_024;

/// Waiting numbers, ascending, in chunks. Numbers come at the end and leave mostly at the head; both cost O(1)
/// amortised. Counting costs one look a chunk: about a microsecond with a million waiting.
#[derive(Debug, Clone, Default)]
pub struct Ranks {
    chunks: VecDeque<Vec<u64>>,
    len: u64,
}

impl Ranks {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a number; false when it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let at = self.chunk_of(number);
        let Some(chunk) = self.chunks.get_mut(at) else {
            // Above all that are there: the usual case.
            match self.chunks.back_mut() {
                Some(last) if last.len() < CHUNK => last.push(number),
                _ => {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    chunk.push(number);
                    self.chunks.push_back(chunk);
                }
            }
            self.len += 1;
            return true;
        };
        let Err(position) = chunk.binary_search(&number) else { return false };
        chunk.insert(position, number);
        if chunk.len() >= CHUNK {
            let rest = chunk.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, rest);
        }
        self.len += 1;
        true
    }

    /// Takes a number out; false when it was not there.
    pub fn remove(&mut self, number: u64) -> bool {
        let at = self.chunk_of(number);
        let Some(chunk) = self.chunks.get_mut(at) else { return false };
        let Ok(position) = chunk.binary_search(&number) else { return false };
        chunk.remove(position);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        self.len -= 1;
        true
    }

    /// Whether a number is there.
    pub fn contains(&self, number: u64) -> bool {
        self.chunks.get(self.chunk_of(number)).is_some_and(|chunk| chunk.binary_search(&number).is_ok())
    }

    /// How many numbers are below this one.
    pub fn below(&self, number: u64) -> u64 {
        let at = self.chunk_of(number);
        let before: usize = self.chunks.iter().take(at).map(Vec::len).sum();
        let within = self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(|known| *known < number));
        (before + within) as u64
    }

    /// The chunk that holds a number, or would; the number of chunks when it is above all.
    fn chunk_of(&self, number: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| *last < number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_count_like_a_plain_set(steps in proptest::collection::vec((any::<bool>(), 0u64..4_000), 1..6_000)) {
            let (mut ranks, mut model) = (Ranks::default(), BTreeSet::new());
            for number in 0..3_000 {
                prop_assert_eq!(ranks.insert(number * 2), model.insert(number * 2));
            }
            for (is_insert, number) in steps {
                if is_insert {
                    prop_assert_eq!(ranks.insert(number), model.insert(number));
                } else {
                    prop_assert_eq!(ranks.remove(number), model.remove(&number));
                }
                prop_assert_eq!(ranks.len(), model.len() as u64);
            }
            for number in (0..6_100).step_by(97) {
                prop_assert_eq!(ranks.below(number), model.range(..number).count() as u64);
                prop_assert_eq!(ranks.contains(number), model.contains(&number));
            }
        }
    }
}
