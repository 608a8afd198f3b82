//! A set of numbers that knows how many are below one.

use std::collections::VecDeque;

/// Waiting numbers, ascending, in chunks of up to `CHUNK`, and these in groups of up to `GROUP`; what is full is cut in half.
/// Numbers come at the end and leave mostly at the head; both cost O(1) amortised. Counting costs one look at each group
/// before it and one at each chunk of its own: some sixty with a million waiting.
#[derive(Debug, Clone, Default)]
pub struct Ranks<const CHUNK: usize = 1_024, const GROUP: usize = 32> {
    groups: VecDeque<Group>,
    len: u64,
}

/// Neighbouring chunks, none of them empty.
#[derive(Debug, Clone, Default)]
struct Group {
    chunks: Vec<Vec<u64>>,
    len: usize,
}

impl Group {
    fn last(&self) -> Option<u64> {
        self.chunks.last()?.last().copied()
    }

    /// The chunk that holds a number, or would; the number of chunks when it is above all.
    fn chunk_of(&self, number: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| *last < number))
    }

    /// Cuts itself in half; the second one.
    fn cut(&mut self) -> Self {
        let chunks = self.chunks.split_off(self.chunks.len() / 2);
        let len = chunks.iter().map(Vec::len).sum();
        self.len -= len;
        Self { chunks, len }
    }
}

impl<const CHUNK: usize, const GROUP: usize> Ranks<CHUNK, GROUP> {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lowest.
    pub fn first(&self) -> Option<u64> {
        self.groups.front()?.chunks.first()?.first().copied()
    }

    /// Adds a number; false when it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let at = self.group_of(number);
        let Some(group) = self.groups.get_mut(at) else {
            // Above all that are there: the usual case.
            self.push(number);
            return true;
        };
        let of = group.chunk_of(number);
        let Some(chunk) = group.chunks.get_mut(of) else { return false };
        let Err(position) = chunk.binary_search(&number) else { return false };
        chunk.insert(position, number);
        if chunk.len() >= CHUNK {
            let rest = chunk.split_off(CHUNK / 2);
            group.chunks.insert(of + 1, rest);
        }
        group.len += 1;
        if group.chunks.len() > GROUP {
            let rest = group.cut();
            self.groups.insert(at + 1, rest);
        }
        self.len += 1;
        true
    }

    /// Adds a number above all that are there.
    fn push(&mut self, number: u64) {
        if self.groups.back().is_none_or(|group| group.len >= CHUNK * GROUP) {
            self.groups.push_back(Group::default());
        }
        let Some(group) = self.groups.back_mut() else { return };
        match group.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(number),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(number);
                group.chunks.push(chunk);
            }
        }
        group.len += 1;
        if group.chunks.len() > GROUP {
            let rest = group.cut();
            self.groups.push_back(rest);
        }
        self.len += 1;
    }

    /// Takes a number out; false when it was not there.
    pub fn remove(&mut self, number: u64) -> bool {
        let at = self.group_of(number);
        let Some(group) = self.groups.get_mut(at) else { return false };
        let of = group.chunk_of(number);
        let Some(chunk) = group.chunks.get_mut(of) else { return false };
        let Ok(position) = chunk.binary_search(&number) else { return false };
        chunk.remove(position);
        if chunk.is_empty() {
            group.chunks.remove(of);
        }
        group.len -= 1;
        if group.len == 0 {
            self.groups.remove(at);
        }
        self.len -= 1;
        true
    }

    /// Whether a number is there.
    pub fn contains(&self, number: u64) -> bool {
        let group = self.groups.get(self.group_of(number));
        let chunk = group.and_then(|group| group.chunks.get(group.chunk_of(number)));
        chunk.is_some_and(|chunk| chunk.binary_search(&number).is_ok())
    }

    /// How many numbers are below this one.
    pub fn below(&self, number: u64) -> u64 {
        let at = self.group_of(number);
        let groups: usize = self.groups.iter().take(at).map(|group| group.len).sum();
        let Some(group) = self.groups.get(at) else { return groups as u64 };
        let of = group.chunk_of(number);
        let chunks: usize = group.chunks.iter().take(of).map(Vec::len).sum();
        let within = group.chunks.get(of).map_or(0, |chunk| chunk.partition_point(|known| *known < number));
        (groups + chunks + within) as u64
    }

    /// The group that holds a number, or would; the number of groups when it is above all.
    fn group_of(&self, number: u64) -> usize {
        self.groups.partition_point(|group| group.last().is_some_and(|last| last < number))
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
            // So small that chunks and groups are cut and emptied many times.
            let (mut ranks, mut model) = (Ranks::<16, 4>::default(), BTreeSet::new());
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
                prop_assert_eq!(ranks.first(), model.first().copied());
            }
            for number in (0..6_100).step_by(97) {
                prop_assert_eq!(ranks.below(number), model.range(..number).count() as u64);
                prop_assert_eq!(ranks.contains(number), model.contains(&number));
            }
        }
    }
}
