//! A map in a sorted vector.
//!
//! The standard library's tree costs several kilobytes of machine code for each pair of types, and circus has many
//! small tables. This one costs some hundred bytes. Looking up is a binary search; inserting and removing move
//! what lies behind, which for the few thousand entries of the largest tables is a microsecond or two, and nothing
//! at all for keys that only grow.

use crate::seldom::Empty;
use std::cmp::Ordering;

/// The room for so many times four entries is not worth giving back.
const FEW: usize = 8;

/// A map from `K` to `V`, sorted by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sorted<K, V>(Vec<(K, V)>);

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Sorted(Vec::new())
    }
}

impl<K: 'static, V: 'static> Empty for Sorted<K, V> {
    const EMPTY: &'static Self = &Sorted(Vec::new());
}

impl<K: Ord, V> Sorted<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Sorted(Vec::new())
    }

    /// An empty map with room for so many entries.
    pub fn with_capacity(entries: usize) -> Self {
        Sorted(Vec::with_capacity(entries))
    }

    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: std::borrow::Borrow<Q>,
    {
        search(self.0.len(), &|at| {
            self.0.get(at).map_or(Ordering::Greater, |(other, _)| other.borrow().cmp(key))
        })
    }

    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.get(self.find(key).ok()?).map(|(_, value)| value)
    }

    /// The value of `key`, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is a `key`.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Stores a value; the answer is the one that was there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.make_room();
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Many tables have one entry only: the first takes no more room than it needs.
    fn make_room(&mut self) {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(1);
        }
    }

    /// Takes a value out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Gives back the room that was needed once, if that is much beside what is needed now.
    pub fn tidy(&mut self) {
        if self.0.capacity() / 4 > self.0.len().max(FEW) {
            self.0.shrink_to(self.0.len() * 2);
        }
    }

    /// Takes out the entry of the lowest key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// The value of `key`, which is made when it is missing.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.make_room();
                self.0.insert(at, (key, make()));
                at
            }
        };
        // The entry at `at` was found or made just now.
        #[allow(clippy::indexing_slicing)]
        &mut self.0[at].1
    }

    /// Keeps the entries for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The entries, by key, the values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values, by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, by key, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

/// Where a key is among so many, or where it would have to be. `compare` tells how the one at a place compares with it.
/// One search for all types: the standard library's takes 200 bytes of code for each.
fn search(len: usize, compare: &dyn Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut low, mut high) = (0, len);
    // Keys that only grow are found to be the last ones at once.
    if len > 0 && compare(len - 1) == Ordering::Less {
        low = len;
    }
    while low < high {
        let middle = low.midpoint(high);
        match compare(middle) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => high = middle,
        }
    }
    Err(low)
}

impl<K: Ord, V> Extend<(K, V)> for Sorted<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K, V> IntoIterator for Sorted<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Sorted<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Sorted::new();
        map.extend(entries);
        map
    }
}

/// Sorts by a heap: for lists of any length and order, at a tenth of the code of the standard library's sort.
pub fn sort<T: Ord>(items: Vec<T>) -> Vec<T> {
    std::collections::BinaryHeap::from(items).into_sorted_vec()
}

/// Sorts, stably, by insertion: for lists that are short or nearly in order, at a fiftieth of the code of the
/// standard library's sort.
pub fn sort_by<T>(items: &mut [T], before: impl Fn(&T, &T) -> bool) {
    for end in 1..items.len() {
        let Some((last, sorted)) = items.get(..=end).and_then(<[T]>::split_last) else { return };
        let at = sorted.partition_point(|item| !before(last, item));
        if let Some(part) = items.get_mut(at..=end) {
            part.rotate_right(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sorted, sort, sort_by};

    #[test]
    fn sorting_is_stable() {
        let mut items: Vec<(u32, u32)> = (0..300).map(|n| (n * 7919 % 13, n)).collect();
        let mut expected = items.clone();
        expected.sort_by_key(|item| item.0);
        sort_by(&mut items, |a, b| a.0 < b.0);
        assert_eq!(items, expected);
    }

    #[test]
    fn a_heap_sorts() {
        let items: Vec<u32> = (0..300).map(|n| n * 7919 % 131).collect();
        let mut expected = items.clone();
        expected.sort();
        assert_eq!(sort(items), expected);
    }

    #[test]
    fn it_is_a_map() {
        let mut map: Sorted<String, u32> =
            [("b".to_string(), 2), ("a".into(), 1), ("c".into(), 3)].into_iter().collect();
        assert_eq!(map.insert("b".into(), 20), Some(2));
        assert_eq!((map.get("b"), map.get("d"), map.len()), (Some(&20), None, 3));
        *map.get_or_insert_with("d".into(), || 4) += 1;
        assert_eq!(
            map.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>(),
            [("a", 1), ("b", 20), ("c", 3), ("d", 5)]
        );
        map.retain(|_, value| *value != 3);
        assert_eq!((map.remove("a"), map.remove("a")), (Some(1), None));
        assert_eq!(map.into_iter().map(|(k, _)| k).collect::<Vec<_>>(), ["b", "d"]);
    }

    #[test]
    fn room_that_was_needed_once_is_given_back() {
        let mut map: Sorted<u32, u32> = (0..5000).map(|n| (n, n)).collect();
        map.retain(|n, _| *n < 20);
        map.tidy();
        assert!((20..=80).contains(&map.0.capacity()), "{}", map.0.capacity());
        assert!(map.iter().eq((0..20).map(|n| (n, n)).collect::<Sorted<u32, u32>>().iter()));
        let before = map.0.capacity();
        for n in 0..20 {
            map.remove(&n);
            map.tidy();
            map.insert(n, n);
        }
        assert_eq!(map.0.capacity(), before, "one that comes and goes moves nothing");
    }

    #[test]
    fn it_agrees_with_the_tree_of_the_standard_library() {
        let mut ours = Sorted::new();
        let mut theirs = std::collections::BTreeMap::new();
        let mut state = 7u64;
        for _ in 0..5000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let key = (state >> 33) % 200;
            if state & 1 << 40 == 0 {
                assert_eq!(ours.insert(key, state), theirs.insert(key, state));
            } else {
                assert_eq!(ours.remove(&key), theirs.remove(&key));
            }
        }
        assert!(ours.iter().eq(theirs.iter()));
    }
}
