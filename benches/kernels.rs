//! Speed of the matrix kernels on one thread: `cargo bench --bench kernels`.
//!
//! Prints the best of many runs as GFLOP/s (2·M·N·K a product) for the shapes of recurrent steps, of input
//! projections and of weight gradients, on every instruction set of the machine; then of the elementary functions,
//! and the pool's hand-off time.

use std::time::{Duration, Instant};

use seqc::targets::cpu::isa::Isa;
use seqc::targets::cpu::kernels::Kernels;
use seqc::targets::cpu::pages::{Buffer, OutOfMemory};
use seqc::targets::cpu::pool::Pool;

/// Time spent on one figure.
const BUDGET: Duration = Duration::from_millis(150);

fn main() -> Result<(), OutOfMemory> {
    for kernels in Isa::available().into_iter().filter_map(Kernels::for_isa) {
        println!("{} ({} columns a panel)", kernels.isa, kernels.nr);
        for (m, n, k) in [
            (1, 1024, 256),
            (1, 4096, 1024),
            (2, 1024, 256),
            (4, 1024, 256),
            (8, 1024, 256),
            (32, 1024, 256),
            (32, 4096, 1024),
            (3200, 1024, 256),
        ] {
            packed(kernels, m, n, k)?;
        }
        for (m, n, k) in [(1024, 256, 3200), (256, 64, 640), (32, 32, 32)] {
            weight_gradient(kernels, m, n, k)?;
        }
        scores(kernels, 50, 50, 64)?;
        packing(kernels, 1024, 256)?;
        elementwise(kernels)?;
        softmax(kernels, 32, 1024)?;
    }
    hand_off();
    Ok(())
}

/// The shortest of many runs: what is left when nobody else has the core.
fn shortest(mut f: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < BUDGET {
        let run = Instant::now();
        f();
        best = best.min(run.elapsed());
    }
    best
}

fn print(what: &str, (m, n, k): (usize, usize, usize), time: Duration) {
    let rate = 2.0 * (m * n * k) as f64 / time.as_secs_f64() * 1e-9;
    let micros = time.as_secs_f64() * 1e6;
    println!("  {what:16} M={m:<5} N={n:<5} K={k:<5} {micros:10.1} µs {rate:8.1} GFLOP/s");
}

fn filled(len: usize) -> Result<Buffer, OutOfMemory> {
    let mut buffer = Buffer::zeroed(len)?;
    for (i, x) in buffer.iter_mut().enumerate() {
        *x = (i % 61) as f32 / 61.0 - 0.5;
    }
    Ok(buffer)
}

/// X[m, k] by packed Wᵀ.
fn packed(kernels: &Kernels, m: usize, n: usize, k: usize) -> Result<(), OutOfMemory> {
    let (a, b) = (filled(m * k)?, filled(n * k)?);
    let mut panels = Buffer::zeroed(n.next_multiple_of(kernels.nr) * k)?;
    let mut c = Buffer::zeroed(m * n)?;
    // SAFETY: all buffers have the sizes of the product.
    let time = unsafe {
        (kernels.pack_b)(k, n, b.as_ptr(), 1, k, panels.as_mut_ptr());
        shortest(|| {
            (kernels.gemm_packed)(
                m,
                n,
                k,
                a.as_ptr(),
                k,
                1,
                panels.as_ptr(),
                c.as_mut_ptr(),
                n,
                0,
                0,
            )
        })
    };
    print("packed", (m, n, k), time);
    Ok(())
}

/// dZᵀ[m, k] by X[k, n], both as they lie.
fn weight_gradient(kernels: &Kernels, m: usize, n: usize, k: usize) -> Result<(), OutOfMemory> {
    let (dz, x) = (filled(k * m)?, filled(k * n)?);
    let mut scratch = Buffer::zeroed(kernels.gemm_scratch_len(n, k))?;
    let mut c = Buffer::zeroed(m * n)?;
    // SAFETY: all buffers have the sizes of the product.
    let time = shortest(|| unsafe {
        let (dz, x, c, scratch) = (
            dz.as_ptr(),
            x.as_ptr(),
            c.as_mut_ptr(),
            scratch.as_mut_ptr(),
        );
        (kernels.gemm)(m, n, k, dz, 1, m, x, n, 1, c, n, 1, scratch)
    });
    print("weight gradient", (m, n, k), time);
    Ok(())
}

/// Q[m, k] by Kᵀ, the keys as they lie.
fn scores(kernels: &Kernels, m: usize, n: usize, k: usize) -> Result<(), OutOfMemory> {
    let (q, keys) = (filled(m * k)?, filled(n * k)?);
    let mut scratch = Buffer::zeroed(kernels.gemm_scratch_len(n, k))?;
    let mut c = Buffer::zeroed(m * n)?;
    // SAFETY: all buffers have the sizes of the product.
    let time = shortest(|| unsafe {
        let (q, keys, c, scratch) = (
            q.as_ptr(),
            keys.as_ptr(),
            c.as_mut_ptr(),
            scratch.as_mut_ptr(),
        );
        (kernels.gemm)(m, n, k, q, k, 1, keys, 1, k, c, n, 0, scratch)
    });
    print("attention scores", (m, n, k), time);
    Ok(())
}

/// Packing W[n, k] both ways.
fn packing(kernels: &Kernels, n: usize, k: usize) -> Result<(), OutOfMemory> {
    let w = filled(n * k)?;
    let mut panels = Buffer::zeroed((n.max(k) + kernels.nr) * n.max(k))?;
    for (what, k, n, ks, cs) in [("transposed", k, n, 1, k), ("straight", n, k, k, 1)] {
        // SAFETY: the panels have room for either packing.
        let time =
            shortest(|| unsafe { (kernels.pack_b)(k, n, w.as_ptr(), ks, cs, panels.as_mut_ptr()) });
        let rate = (n * k * 4) as f64 / time.as_secs_f64() * 1e-9;
        println!(
            "  pack {what:11} N={n:<5} K={k:<5} {:18.1} µs {rate:8.1} GB/s",
            time.as_secs_f64() * 1e6
        );
    }
    Ok(())
}

/// Elementary functions over a tile in the first-level cache.
fn elementwise(kernels: &Kernels) -> Result<(), OutOfMemory> {
    const N: usize = 1024;
    let x = filled(N)?;
    let mut y = Buffer::zeroed(N)?;
    for (name, map) in [
        ("exp", kernels.exp),
        ("log", kernels.log),
        ("tanh", kernels.tanh),
        ("sigmoid", kernels.sigmoid),
        ("erf", kernels.erf),
        ("sin", kernels.sin),
    ] {
        // SAFETY: both have N floats.
        let time = shortest(|| unsafe { map(N, x.as_ptr(), y.as_mut_ptr()) });
        println!(
            "  {name:8} {:6.2} ns an element",
            time.as_secs_f64() * 1e9 / N as f64
        );
    }
    Ok(())
}

fn softmax(kernels: &Kernels, rows: usize, cols: usize) -> Result<(), OutOfMemory> {
    let x = filled(rows * cols)?;
    let mut y = Buffer::zeroed(rows * cols)?;
    // SAFETY: both have the rows and columns stated.
    let time = shortest(|| unsafe {
        (kernels.softmax)(0, rows, cols, x.as_ptr(), cols, y.as_mut_ptr(), cols)
    });
    let each = time.as_secs_f64() * 1e9 / (rows * cols) as f64;
    println!("  softmax of {rows}x{cols} {each:6.2} ns an element");
    Ok(())
}

fn hand_off() {
    let pool = Pool::new(2);
    const JOBS: u32 = 8;
    let time = shortest(|| {
        for _ in 0..JOBS {
            pool.run(&|worker, _| {
                std::hint::black_box(worker);
            });
        }
    });
    println!("pool of 2: {:?} a job", time / JOBS);
}
