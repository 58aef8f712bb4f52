//! Memory for arenas and panels: a number of floats in, zeroed memory on cache-line (or huge-page) bounds out, or an
//! error that says how many bytes were asked for.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment of a small buffer: a cache line.
const LINE: usize = 64;
/// Alignment of a large one, so that the system can back it with huge pages.
const HUGE_PAGE: usize = 2 << 20;
/// From this size on a buffer asks for huge pages.
const LARGE: usize = 4 << 20;

/// The system had no memory for a buffer, or the size does not fit the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {bytes} bytes")]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub bytes: u128,
}

/// A fixed number of floats, zero at first, aligned to 64 bytes at least.
pub struct Buffer {
    /// The first float, which lies in `block` on the bound asked for.
    ptr: NonNull<f32>,
    len: usize,
    /// What was allocated; `None` where there are no floats.
    block: Option<(NonNull<u8>, Layout)>,
}

impl Buffer {
    /// `len` zeros.
    ///
    /// The system clears a page when it is first used, just before that: clearing all of a large buffer here would
    /// write every page twice, the second time from memory. So more is asked for than the bound needs, for memory on no
    /// bound in particular comes zeroed from the system.
    pub fn zeroed(len: usize) -> Result<Buffer, OutOfMemory> {
        let failed = OutOfMemory {
            bytes: len as u128 * size_of::<f32>() as u128,
        };
        if len == 0 {
            return Ok(Buffer {
                ptr: NonNull::dangling(),
                len,
                block: None,
            });
        }
        let bytes = len.checked_mul(size_of::<f32>()).ok_or(failed)?;
        let bound = if bytes >= LARGE { HUGE_PAGE } else { LINE };
        let layout = (bytes.checked_add(bound))
            .and_then(|all| Layout::from_size_align(all, align_of::<u128>()).ok())
            .ok_or(failed)?;
        // SAFETY: the layout is of at least four bytes.
        let block = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(failed)?;
        let skipped = block.as_ptr().align_offset(bound);
        if skipped > bound {
            // SAFETY: the block was just allocated with this layout.
            unsafe { dealloc(block.as_ptr(), layout) };
            return Err(failed);
        }
        // SAFETY: the block is `bound` bytes longer than the floats are, and `skipped` at most that.
        let ptr = unsafe { block.add(skipped) }.cast::<f32>();
        if bound == HUGE_PAGE {
            advise_huge_pages(ptr, bytes);
        }
        let block = Some((block, layout));
        Ok(Buffer { ptr, len, block })
    }

    /// Meets the pages of one worker's share, so that workers do not meet each other's later: two that do are both given
    /// a page, and one is thrown away.
    pub fn meet(&self, worker: usize, workers: usize) {
        const PAGE: usize = 4096 / size_of::<f32>();
        let share = self
            .len
            .div_ceil(workers.max(1))
            .next_multiple_of(HUGE_PAGE / size_of::<f32>());
        let from = (worker * share).min(self.len);
        for at in (from..(from + share).min(self.len)).step_by(PAGE) {
            // SAFETY: `at` is below `len`, and nobody reads or writes a buffer that was just made.
            unsafe { self.ptr.add(at).write_volatile(0.0) };
        }
    }

    /// The first float, for kernels to read.
    pub fn as_ptr(&self) -> *const f32 {
        self.ptr.as_ptr()
    }

    /// The first float, for kernels to write.
    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.ptr.as_ptr()
    }
}

#[cfg(target_os = "linux")]
fn advise_huge_pages(ptr: NonNull<f32>, bytes: usize) {
    // SAFETY: the range was just allocated and starts at a page. Advice does not change what memory holds, and a
    // refusal costs speed only.
    unsafe { libc::madvise(ptr.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_: NonNull<f32>, _: usize) {}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some((block, layout)) = self.block {
            // SAFETY: `zeroed` allocated this block with this layout.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `ptr` is aligned and holds `len` initialised floats (none if dangling).
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as for `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

// SAFETY: a buffer owns its memory; floats can move between threads.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer only reads.
unsafe impl Sync for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} floats)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeroed_and_aligned() {
        for len in [0, 1, 63, 1 << 10, 2 << 20] {
            let mut buffer = Buffer::zeroed(len).unwrap();
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|&x| x == 0.0));
            if len > 0 {
                assert_eq!(buffer.as_ptr() as usize % LINE, 0);
                buffer[len - 1] = 1.0;
                assert_eq!(buffer[len - 1], 1.0);
            }
        }
    }

    #[test]
    fn too_large_a_size_is_an_error_with_its_bytes() {
        for len in [usize::MAX, usize::MAX / 4, 1 << 60] {
            let error = Buffer::zeroed(len).unwrap_err();
            assert_eq!(error.bytes, len as u128 * 4);
        }
    }
}
