//! Values in numbered slots. A number that has become free is given out again.

/// A table of values by number.
pub(super) struct Table<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Table<T> {
    /// Puts a value in and answers its number.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(id as usize)
        {
            *slot = Some(value);
            return id;
        }
        self.slots.push(Some(value));
        // Each slot stands for an open descriptor or a watcher: there are never 2^32 of them.
        (self.slots.len() - 1) as u32
    }

    /// The value with this number.
    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.slots.get(id as usize)?.as_ref()
    }

    /// The value with this number, to be changed.
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        let value = self.slots.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(value)
    }

    /// All values with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.slots).filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }

    /// The numbers in use.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_number_is_given_out_again() {
        let mut table = Table::default();
        assert_eq!((table.insert('a'), table.insert('b'), table.insert('c')), (0, 1, 2));
        assert_eq!(table.remove(1), Some('b'));
        assert_eq!((table.remove(1), table.remove(9), table.get(1)), (None, None, None));
        assert_eq!(table.ids(), [0, 2]);
        assert_eq!(table.insert('d'), 1);
        assert_eq!(table.iter().map(|(_, c)| c).collect::<String>(), "adc");
    }
}
