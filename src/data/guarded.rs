//! A boundary for code of others that may panic on what a file holds.
//!
//! In: a call. Out: its result, or `None` where it panicked. What a file holds never ends the program,
//! and is no fault of ours: a panic hook asks [`is_guarded`] and stays silent.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether a panic on this thread, now, is caught and reported as an error.
pub fn is_guarded() -> bool {
    DEPTH.with(|d| d.get() > 0)
}

/// The result of `f`, whose captures are not used again where it panics.
pub fn guarded<T>(f: impl FnOnce() -> T) -> Option<T> {
    DEPTH.with(|d| d.set(d.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(f));
    DEPTH.with(|d| d.set(d.get().saturating_sub(1)));
    result.ok()
}
