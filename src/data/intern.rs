//! Different texts, numbered in the order in which they come.
//!
//! In: texts, repeats allowed. Out: [`Interned`]: the number of each. The texts stand one after
//! another in one string, so that some millions of words cost little more than their letters.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

#[derive(Debug, Default)]
pub struct Interned {
    text: String,
    /// Where each text ends.
    ends: Vec<usize>,
    /// A table twice as long as there are texts at least: a number and 1, or 0 where there is none.
    slots: Vec<u32>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Interned {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, number: usize) -> &str {
        let start = if number == 0 {
            0
        } else {
            self.ends[number - 1]
        };
        &self.text[start..self.ends[number]]
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + 8 * self.ends.capacity() + 4 * self.slots.capacity()
    }

    /// The number of a text, which is a new one where it was not there.
    pub fn number(&mut self, text: &str) -> u32 {
        if self.slots.len() < 2 * (self.len() + 1) {
            self.grow();
        }
        let slot = self.slot(text);
        if self.slots[slot] == 0 {
            self.text.push_str(text);
            self.ends.push(self.text.len());
            self.slots[slot] = self.len() as u32;
        }
        self.slots[slot] - 1
    }

    /// Where a text stands in the table, or would.
    fn slot(&self, text: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(text) as usize & mask;
        while let Some(i) = self.slots[slot].checked_sub(1)
            && self.get(i as usize) != text
        {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![0; (4 * (self.len() + 1)).next_power_of_two()];
        for i in 0..self.len() {
            let slot = self.slot(self.get(i));
            self.slots[slot] = i as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Interned;

    #[test]
    fn numbers_are_in_the_order_of_coming() {
        let mut all = Interned::default();
        for _ in 0..2 {
            for i in 0..5000u32 {
                assert_eq!(all.number(&format!("w{i}")), i);
            }
            assert_eq!(all.number(""), 5000);
        }
        assert_eq!((all.len(), all.get(0), all.get(5000)), (5001, "w0", ""));
        assert_eq!(all.iter().nth(17), Some("w17"));
    }
}
