//! What this machine can do at most, measured: multiply-adds in registers, and reads of memory of a given size.
//!
//! In: a [`Pool`], whose workers all take part. Out: operations or bytes a second of all of them together. A shared
//! machine is slower at times, never faster, so that of several short measurements the best counts.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::isa::Isa;
use super::pages::Buffer;
use super::pool::Pool;
use super::simd::{Portable, Simd};
#[cfg(target_arch = "aarch64")]
use super::simd_neon::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd_x86::{Avx2, Avx512};

/// How many times is measured, and for how long each.
const TRIES: usize = 10;
const EACH: Duration = Duration::from_millis(2);

/// Sums under way at once: more than a core's units times their latency, and few enough for its registers.
const CHAINS: usize = 12;
/// Rounds between two looks at the clock.
const ROUNDS: usize = 2_000;

/// Floating-point operations a second (two for a multiply-add) of all workers, with operands in registers.
pub fn multiply_adds(pool: &Pool) -> f64 {
    let one = |_: usize| {
        let began = Instant::now();
        let (code, lanes) = fma_code();
        let mut rounds = 0;
        while began.elapsed() < EACH {
            // SAFETY: `fma_code` gives what this machine can run.
            unsafe { code(ROUNDS) };
            rounds += ROUNDS;
        }
        (rounds * CHAINS * lanes * 2) as f64 / began.elapsed().as_secs_f64()
    };
    best(pool, &one)
}

/// Bytes a second that all workers read, each going over `bytes` of its own again and again; `None` where the system
/// has no memory for that.
pub fn reads(pool: &Pool, bytes: usize) -> Option<f64> {
    let code = read_code();
    let floats = (bytes / size_of::<f32>())
        .next_multiple_of(STRIDE)
        .max(STRIDE);
    // Pages that nobody wrote to are all one, of zeros, which any cache holds.
    let made = (0..pool.workers()).map(|_| {
        let mut buffer = Buffer::zeroed(floats).ok()?;
        buffer.fill(1.0);
        Some(buffer)
    });
    let buffers = made.collect::<Option<Vec<Buffer>>>()?;
    let one = |worker: usize| {
        let buffer = &buffers[worker];
        let began = Instant::now();
        let mut read = 0;
        while began.elapsed() < EACH {
            // SAFETY: the buffer is `floats` long, a multiple of the stride; `read_code` gives what this machine runs.
            unsafe { code(buffer.as_ptr(), floats) };
            read += floats * size_of::<f32>();
        }
        read as f64 / began.elapsed().as_secs_f64()
    };
    Some(best(pool, &one))
}

/// The greatest sum over all workers of what each gives.
fn best(pool: &Pool, one: &(dyn Fn(usize) -> f64 + Sync)) -> f64 {
    let mut most = 0.0f64;
    for _ in 0..TRIES {
        let rates: Vec<std::sync::Mutex<f64>> =
            (0..pool.workers()).map(|_| Default::default()).collect();
        pool.run(&|worker, _| {
            if let Ok(mut rate) = rates[worker].lock() {
                *rate = one(worker);
            }
        });
        let sum = rates.iter().map(|r| r.lock().map_or(0.0, |r| *r)).sum();
        most = most.max(sum);
    }
    most
}

/// Floats that a turn of the reading loop takes: eight of the widest vectors.
const STRIDE: usize = 8 * super::simd::MAX_LANES;

type FmaCode = unsafe fn(usize);
type ReadCode = unsafe fn(*const f32, usize);

fn fma_code() -> (FmaCode, usize) {
    match Isa::detect() {
        Isa::Portable => (portable::fma, Portable::LANES),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (avx2::fma, Avx2::LANES),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (avx512::fma, Avx512::LANES),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => (neon::fma, Neon::LANES),
        #[allow(unreachable_patterns)]
        Isa::Avx2 | Isa::Avx512 | Isa::Neon => (portable::fma, Portable::LANES),
    }
}

fn read_code() -> ReadCode {
    match Isa::detect() {
        Isa::Portable => portable::read,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::read,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::read,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::read,
        #[allow(unreachable_patterns)]
        Isa::Avx2 | Isa::Avx512 | Isa::Neon => portable::read,
    }
}

/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
unsafe fn fma<S: Simd>(rounds: usize) {
    // SAFETY: as the caller says.
    unsafe {
        // Sums that stay near 1, so that no number becomes slow to compute with.
        let (a, b) = (S::splat(black_box(0.5)), S::splat(black_box(0.5)));
        let mut sums = [a; CHAINS];
        for _ in 0..rounds {
            for s in &mut sums {
                *s = S::fma(*s, a, b);
            }
        }
        let all = sums.into_iter().reduce(|x, y| S::add(x, y));
        black_box(all.map(|v| S::reduce_add(v)));
    }
}

/// # Safety
///
/// The machine has the instructions of `S`; `p` is readable for `floats`, a multiple of [`STRIDE`].
#[inline(always)]
unsafe fn read<S: Simd>(p: *const f32, floats: usize) {
    // SAFETY: as the caller says.
    unsafe {
        let mut sums = [S::splat(0.0); 8];
        for at in (0..floats).step_by(8 * S::LANES) {
            for (i, s) in sums.iter_mut().enumerate() {
                *s = S::add(*s, S::load(p.add(at + i * S::LANES)));
            }
        }
        let all = sums.into_iter().reduce(|x, y| S::add(x, y));
        black_box(all.map(|v| S::reduce_add(v)));
    }
}

macro_rules! code {
    ($name:ident, $simd:ident $(, $feature:literal)?) => {
        mod $name {
            use super::$simd;

            /// # Safety
            ///
            /// The machine has these instructions.
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn fma(rounds: usize) {
                // SAFETY: passed on from the caller.
                unsafe { super::fma::<$simd>(rounds) }
            }

            /// # Safety
            ///
            /// The machine has these instructions; `p` is readable for `floats`.
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn read(p: *const f32, floats: usize) {
                // SAFETY: passed on from the caller.
                unsafe { super::read::<$simd>(p, floats) }
            }
        }
    };
}

code!(portable, Portable);
#[cfg(target_arch = "x86_64")]
code!(avx2, Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
code!(
    avx512,
    Avx512,
    "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"
);
#[cfg(target_arch = "aarch64")]
code!(neon, Neon, "neon");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_multiplies_and_reads_at_some_rate() {
        let pool = Pool::new(1);
        let rate = multiply_adds(&pool);
        assert!((1e8..1e13).contains(&rate), "{rate}");
        let read = reads(&pool, 1 << 16).expect("64 KB");
        assert!((1e8..1e13).contains(&read), "{read}");
    }
}
