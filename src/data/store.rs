//! The symbols of a long text by number, in little memory or none.
//!
//! In: numbers below 2³², one after another. Out: [`Store`]: any run of them. They stand in blocks,
//! each as wide as its largest number needs, in memory or in a scratch file that has no name, so
//! that nothing is left of it however the process ends. [`Stored`] gives the tokens of a column.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers of a block.
const BLOCK: usize = 1 << 16;

#[derive(Debug)]
pub struct Store {
    blocks: Vec<Block>,
    len: usize,
    place: Place,
    /// Of the numbers, as they were added.
    hash: blake3::Hasher,
}

/// Where a block begins, and the bytes of each of its numbers: 1, 2 or 4.
#[derive(Clone, Copy, Debug)]
struct Block {
    offset: u64,
    width: u8,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    /// A reader seeks first, so there is one at a time.
    Scratch(Mutex<File>),
}

/// A [`Store`] being filled.
#[derive(Debug)]
pub struct Filling {
    store: Store,
    /// Of the block that is not whole yet.
    last: Vec<u32>,
    bytes: u64,
}

/// Where scratch files are made: `TMPDIR`, else `/var/tmp`, which unlike `/tmp` is on a disk, else
/// the system's.
pub fn folder() -> PathBuf {
    let disk = PathBuf::from("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if disk.is_dir() => disk,
        _ => std::env::temp_dir(),
    }
}

impl Filling {
    /// Errors: no scratch file can be made.
    pub fn new(in_memory: bool) -> io::Result<Filling> {
        let place = match in_memory {
            true => Place::Memory(Vec::new()),
            false => Place::Scratch(Mutex::new(tempfile::tempfile_in(folder())?)),
        };
        Ok(Filling {
            store: Store {
                blocks: Vec::new(),
                len: 0,
                place,
                hash: blake3::Hasher::new(),
            },
            last: Vec::with_capacity(BLOCK),
            bytes: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.store.len
    }

    pub fn push(&mut self, number: u32) -> io::Result<()> {
        self.last.push(number);
        self.store.len += 1;
        match self.last.len() == BLOCK {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let width = match self.last.iter().max() {
            None => return Ok(()),
            Some(0..=0xff) => 1,
            Some(0x100..=0xffff) => 2,
            Some(_) => 4,
        };
        let mut bytes = Vec::with_capacity(self.last.len() * width);
        for number in &self.last {
            bytes.extend_from_slice(&number.to_le_bytes()[..width]);
        }
        self.store.blocks.push(Block {
            offset: self.bytes,
            width: width as u8,
        });
        self.bytes += bytes.len() as u64;
        self.store.hash.update(&[width as u8]);
        self.store.hash.update(&bytes);
        self.last.clear();
        match &mut self.store.place {
            Place::Memory(all) => all.extend(bytes),
            Place::Scratch(file) => {
                let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
                file.write_all(&bytes)?;
            }
        }
        Ok(())
    }

    pub fn done(mut self) -> io::Result<Store> {
        self.flush()?;
        Ok(self.store)
    }
}

impl Store {
    /// BLAKE3 of all numbers.
    pub fn digest(&self) -> blake3::Hash {
        self.hash.finalize()
    }

    /// Appends the numbers at these places to `out`, each as `of` makes it.
    pub fn read<T>(
        &self,
        range: Range<usize>,
        out: &mut Vec<T>,
        of: impl Fn(u32) -> T,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let Block { offset, width } = self.blocks[at / BLOCK];
            let (width, first) = (usize::from(width), at % BLOCK);
            let n = (range.end - at).min(BLOCK - first);
            let start = offset + (first * width) as u64;
            let slice = match &self.place {
                Place::Memory(all) => &all[start as usize..start as usize + n * width],
                Place::Scratch(file) => {
                    bytes.resize(n * width, 0);
                    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                    file.seek(SeekFrom::Start(start))?;
                    file.read_exact(&mut bytes)?;
                    &bytes[..]
                }
            };
            match width {
                1 => out.extend(slice.iter().map(|b| of(u32::from(*b)))),
                2 => out.extend(
                    (slice.chunks_exact(2))
                        .map(|b| of(u32::from(u16::from_le_bytes([b[0], b[1]])))),
                ),
                _ => out.extend(
                    (slice.chunks_exact(4))
                        .map(|b| of(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
                ),
            }
            at += n;
        }
        Ok(())
    }

    /// Shows the numbers of a range in order, some at a time.
    pub fn each(&self, range: Range<usize>, mut show: impl FnMut(&[u32])) -> io::Result<()> {
        let mut some = Vec::with_capacity(BLOCK);
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min((at / BLOCK + 1) * BLOCK);
            some.clear();
            self.read(at..end, &mut some, |n| n)?;
            show(&some);
            at = end;
        }
        Ok(())
    }
}

/// Indices of one long text, read where they are wanted.
#[derive(Clone, Debug)]
pub struct Stored {
    pub(super) store: Arc<Store>,
    /// The index in the vocabulary of each number of the store.
    pub(super) index: Arc<Vec<i32>>,
    /// The steps of each part, and where in the store its first one stands.
    pub(super) parts: [Range<usize>; 3],
    pub(super) from: [usize; 3],
}

impl Stored {
    /// Appends the indices of steps that lie in one part.
    pub(super) fn read(&self, steps: Range<usize>, out: &mut Vec<i32>) -> io::Result<()> {
        let holds = |part: &&Range<usize>| part.start <= steps.start && steps.end <= part.end;
        let Some(part) = self.parts.iter().position(|p| holds(&p)) else {
            return Err(io::Error::other("steps of two parts"));
        };
        let at = self.from[part] + (steps.start - self.parts[part].start);
        let index = |number: u32| self.index[number as usize];
        self.store.read(at..at + steps.len(), out, index)
    }

    /// The indices of all parts, one after another.
    pub(super) fn whole(&self) -> io::Result<Vec<i32>> {
        let mut all = Vec::with_capacity(self.parts.iter().map(Range::len).sum());
        for part in &self.parts {
            self.read(part.clone(), &mut all)?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_comes_back_from_memory_and_from_a_file() {
        let n = 3 * BLOCK + 17;
        // Blocks of each width.
        let number = |i: usize| match i / BLOCK {
            0 => i as u32 % 251,
            1 => i as u32 % 60_000,
            _ => (i as u32).wrapping_mul(65_537),
        };
        for in_memory in [true, false] {
            let mut filling = Filling::new(in_memory).unwrap();
            (0..n).for_each(|i| filling.push(number(i)).unwrap());
            let store = filling.done().unwrap();
            assert_eq!(store.len, n);
            for range in [
                0..n,
                0..0,
                5..6,
                BLOCK - 3..BLOCK + 3,
                100..2 * BLOCK + 9,
                n - 1..n,
            ] {
                let mut out = Vec::new();
                store.read(range.clone(), &mut out, |x| x).unwrap();
                assert!(
                    out == range.clone().map(number).collect::<Vec<_>>(),
                    "{range:?}"
                );
                let mut shown = Vec::new();
                store
                    .each(range, |some| shown.extend_from_slice(some))
                    .unwrap();
                assert!(shown == out);
            }
        }
    }
}
