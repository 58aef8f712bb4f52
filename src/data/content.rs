//! A digest of all that a model is shown of its data.
//!
//! In: a [`Dataset`]. Out: BLAKE3 of its values, by field and part: two are equal where a run would
//! see the same numbers in the same places, whatever else their files say.

use blake3::Hasher;

use super::column::{Column, Values};
use super::dataset::Dataset;

/// Values hashed at once.
const SOME: usize = 1 << 14;

impl Dataset {
    /// In hexadecimal. A text that is not held was hashed as it was read, and is not read again.
    pub fn digest(&self) -> String {
        let mut h = Hasher::new();
        let ends = self.parts.iter().flat_map(|p| [p.start, p.end]);
        numbers(&mut h, ends.map(|n| n as u64));
        for lengths in &self.lengths {
            numbers(&mut h, lengths.iter().map(|n| u64::from(*n)));
        }
        for column in &self.columns {
            column.hash(&mut h);
        }
        h.finalize().to_hex().to_string()
    }
}

impl Column {
    fn hash(&self, h: &mut Hasher) {
        numbers(h, [self.name.len() as u64]);
        h.update(self.name.as_bytes());
        numbers(h, [self.width as u64]);
        numbers(h, self.starts.iter().map(|n| *n as u64));
        match &self.values {
            Values::F32(v) => words(h, v.iter().map(|x| x.to_bits())),
            Values::I32(v) => words(h, v.iter().map(|i| *i as u32)),
            Values::Stored(stored) => {
                h.update(stored.store.digest().as_bytes());
                words(h, stored.index.iter().map(|i| *i as u32));
                numbers(h, stored.from.iter().map(|n| *n as u64));
            }
        }
    }
}

/// The count first, so that no list reads as part of the next.
fn numbers(h: &mut Hasher, all: impl IntoIterator<Item = u64>) {
    let bytes: Vec<u8> = all.into_iter().flat_map(u64::to_le_bytes).collect();
    h.update(&(bytes.len() as u64).to_le_bytes());
    h.update(&bytes);
}

/// Some at a time, for there may be as many as memory holds.
fn words(h: &mut Hasher, all: impl ExactSizeIterator<Item = u32>) {
    h.update(&(all.len() as u64).to_le_bytes());
    let mut bytes = Vec::with_capacity(4 * SOME);
    for word in all {
        bytes.extend_from_slice(&word.to_le_bytes());
        if bytes.len() == 4 * SOME {
            h.update(&bytes);
            bytes.clear();
        }
    }
    h.update(&bytes);
}
