//! What is empty in most of many: it takes a word until something is put into it.

use std::ops::{Deref, DerefMut};

/// What has a value in which nothing is.
pub trait Empty: Default + 'static {
    /// That value, read where there is no other.
    const EMPTY: &'static Self;
}

/// A `T` that is mostly empty. Whoever writes to it makes one; what is there already is changed by `get_mut`.
#[derive(Clone, Debug)]
pub struct Seldom<T>(Option<Box<T>>);

impl<T> Seldom<T> {
    /// What has been put into it, to be changed, if anything has.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Seldom(None)
    }
}

impl<T: 'static> Empty for Vec<T> {
    const EMPTY: &'static Self = &Vec::new();
}

impl<T: Empty> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Empty> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Empty + PartialEq> PartialEq for Seldom<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> From<T> for Seldom<T> {
    fn from(value: T) -> Self {
        Seldom(Some(Box::new(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::Seldom;
    use crate::sorted::Sorted;

    #[test]
    fn only_what_is_written_to_takes_room() {
        let mut map = Seldom::<Sorted<u8, u8>>::default();
        assert!(map.is_empty() && map.get_mut().is_none() && size_of_val(&map) == size_of::<usize>());
        map.insert(1, 2);
        assert!(map != Seldom::default() && map.get(&1) == Some(&2));
        map.remove(&1);
        assert!(map == Seldom::default(), "one that has become empty is like one that was never written to");
    }
}
