//! Register tiles: a few rows of A and one panel of B in, the finished (or continued) tile of C out.
//!
//! Every element of C is one chain of multiply-adds over k in order, starting from zero or from what C holds. No tile
//! splits k, so the bits of an element depend on neither the tile's shape nor the element's place in it.

use super::pack::{pack_a, pack_b};
use super::prefetch::{LINE, prefetch_far};
use super::simd::{Portable, Simd};
#[cfg(target_arch = "aarch64")]
use super::simd_neon::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd_x86::{Avx2, Avx512};

/// What one tile works on. Strides are in floats; B's in words of two, where it is kept in 16 bits.
#[derive(Clone, Copy)]
pub(crate) struct TileArgs {
    /// Length of the inner dimension.
    pub k: usize,
    /// A: element (m, k) is at `a + m·a_rs + k·a_ks`.
    pub a: *const f32,
    pub a_rs: usize,
    pub a_ks: usize,
    /// B: row k of the panel is at `b + k·b_ks`; in panel p of a wide tile, `p·b_panel` further.
    pub b: *const f32,
    pub b_ks: usize,
    pub b_panel: usize,
    /// C: element (m, n) is at `c + m·c_rs + n`.
    pub c: *mut f32,
    pub c_rs: usize,
    /// Columns in the last vector, 1..=LANES; the vectors before it are whole.
    pub last: usize,
    /// Whether the chains start from what C holds.
    pub accumulate: bool,
    /// Tiles of [`IN_ROWS_ASKING`] and [`IN_COLUMNS_ASKING`] ask for some lines of what is read after them every four
    /// steps: from here, and so many floats further each time.
    pub soon: *const f32,
    pub soon_step: usize,
}

/// A compiled tile.
///
/// # Safety
///
/// The machine has the tile's instruction set, and A lies as the tile's [`TileSet`] says. For the tile's MR rows, P panels
/// and NV vectors: A is readable at all (m < MR, k < `k`); B is readable at all k < `k` in P panels, for NV vectors of
/// floats or ⌈NV / 2⌉ vectors of words of two; C is writable (and readable if `accumulate`) at all m < MR in P panels for
/// NV vectors, the last of each panel `last` wide; C overlaps neither A nor B.
pub(crate) type TileFn = unsafe fn(&TileArgs);

/// The first `NV` vectors of a panel's row: floats, or (`HALVES`) 16-bit floats by pairs of vectors (see [`super::pack`]).
///
/// # Safety
///
/// The machine has the instructions of `S`; the row is readable for `NV` vectors of floats, where `HALVES` for ⌈NV / 2⌉
/// vectors of words of two.
#[inline(always)]
unsafe fn row<S: Simd, const HALVES: bool, const NV: usize>(b: *const f32) -> [S::V; NV] {
    // SAFETY: passed on from the caller.
    unsafe {
        let mut w = [S::splat(0.0); NV];
        if HALVES {
            for pair in 0..NV.div_ceil(2) {
                let [low, high] = S::load_halves(b.add(pair * S::LANES).cast());
                w[2 * pair] = low;
                if 2 * pair + 1 < NV {
                    w[2 * pair + 1] = high;
                }
            }
        } else {
            for (v, w) in w.iter_mut().enumerate() {
                *w = S::load(b.add(v * S::LANES));
            }
        }
        w
    }
}

/// How A lies, and the place of its [`TileSet`]: anyhow, in rows (`a_ks` is 1) or in columns (`a_rs` is 1).
pub(crate) const ANYHOW: u8 = 0;
pub(crate) const IN_ROWS: u8 = 1;
pub(crate) const IN_COLUMNS: u8 = 2;
/// As [`IN_ROWS`], and every four steps [`PANEL_LINES`] lines of memory that is read soon are asked for; only of single
/// panels.
pub(crate) const IN_ROWS_ASKING: u8 = 3;
/// As [`IN_COLUMNS`], and [`ROW_LINES`] lines.
pub(crate) const IN_COLUMNS_ASKING: u8 = 4;
/// What four steps read of a panel of two vectors, shared by two blocks of rows.
const PANEL_LINES: usize = 4;
/// A row of what is packed next.
pub(crate) const ROW_LINES: usize = 5;

/// `x`, of which the compiler knows nothing. It would make the address of each row of A from the one before, a chain as
/// long as the multiply-adds of a step.
#[inline(always)]
fn opaque(x: usize) -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut x = x;
        // SAFETY: no instruction is written.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) x, options(pure, nomem, nostack, preserves_flags));
        }
        x
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    x
}

/// `MR` rows by `P` panels of `NV` vectors, kept in registers over the whole of k; A lies as `LIES` says.
///
/// # Safety
///
/// See [`TileFn`].
#[inline(always)]
unsafe fn tile<
    S: Simd,
    const HALVES: bool,
    const LIES: u8,
    const MR: usize,
    const P: usize,
    const NV: usize,
>(
    t: &TileArgs,
) {
    let columns = |v: usize| if v + 1 == NV { t.last } else { S::LANES };
    let (rs, ks) = match LIES {
        IN_ROWS | IN_ROWS_ASKING => (t.a_rs, 1),
        IN_COLUMNS | IN_COLUMNS_ASKING => (1, t.a_ks),
        _ => (t.a_rs, t.a_ks),
    };
    // SAFETY: every address is one of those that the caller vouches for.
    unsafe {
        let mut acc = [[[S::splat(0.0); NV]; P]; MR];
        if t.accumulate {
            for (m, row) in acc.iter_mut().enumerate() {
                for (p, panel) in row.iter_mut().enumerate() {
                    for (v, x) in panel.iter_mut().enumerate() {
                        let at = t.c.add(m * t.c_rs + (p * NV + v) * S::LANES);
                        *x = S::load_first(at, columns(v));
                    }
                }
            }
        }
        // Each four rows have an address, those of a column all the same; of the rest none is read.
        let (third_row, third_step) = (opaque(3 * rs), opaque(3 * ks));
        let third_of_b = opaque(3 * t.b_ks);
        let mut a: [*const f32; MR] = std::array::from_fn(|four| match LIES {
            IN_COLUMNS | IN_COLUMNS_ASKING => t.a,
            _ => opaque(t.a.wrapping_add(4 * four * rs) as usize) as *const f32,
        });
        let of_a = |a: &[*const f32; MR], m: usize, u: usize| match (LIES, m % 4, u) {
            (IN_COLUMNS | IN_COLUMNS_ASKING, _, 3) => a[0].add(third_step).add(m),
            (IN_COLUMNS | IN_COLUMNS_ASKING, _, u) => a[0].add(u * ks).add(m),
            (_, 3, u) => a[m / 4].add(third_row).add(u * ks),
            (_, i, u) => a[m / 4].add(i * rs).add(u * ks),
        };
        let of_b = |b: *const f32, u: usize| match u {
            3 => b.add(third_of_b),
            _ => b.add(u * t.b_ks),
        };
        let mut b = t.b;
        // Steps of k from the present one on. Written out: a loop over them would leave `acc` in memory.
        macro_rules! steps {
            ($n:literal: $($u:literal)*) => {
                $({
                    let mut w = [[S::splat(0.0); NV]; P];
                    for (p, panel) in w.iter_mut().enumerate() {
                        *panel = row::<S, HALVES, NV>(of_b(b, $u).add(p * t.b_panel));
                    }
                    for (m, acc) in acc.iter_mut().enumerate() {
                        let x = S::splat(*of_a(&a, m, $u));
                        for (panel, w) in acc.iter_mut().zip(&w) {
                            for (acc, &w) in panel.iter_mut().zip(w) {
                                *acc = S::fma(x, w, *acc);
                            }
                        }
                    }
                })*
                a.iter_mut().for_each(|a| *a = a.wrapping_add($n * ks));
                b = b.wrapping_add($n * t.b_ks);
            };
        }
        let single = match LIES {
            ANYHOW => t.k,
            _ => t.k % 4,
        };
        let mut soon = t.soon;
        for _ in 0..(t.k - single) / 4 {
            if LIES == IN_ROWS_ASKING || LIES == IN_COLUMNS_ASKING {
                let lines = match LIES {
                    IN_ROWS_ASKING => PANEL_LINES,
                    _ => ROW_LINES,
                };
                (0..lines).for_each(|line| prefetch_far(soon.wrapping_add(line * LINE)));
                soon = soon.wrapping_add(t.soon_step);
            }
            steps!(4: 0 1 2 3);
        }
        for _ in 0..single {
            steps!(1: 0);
        }
        for (m, row) in acc.iter().enumerate() {
            for (p, panel) in row.iter().enumerate() {
                for (v, &x) in panel.iter().enumerate() {
                    let at = t.c.add(m * t.c_rs + (p * NV + v) * S::LANES);
                    S::store_first(at, columns(v), x);
                }
            }
        }
    }
}

/// Tiles over panels of one kind, for an A that lies one way.
#[derive(Clone, Copy)]
pub(crate) struct TileSet {
    /// `single[m - 1][v - 1]`: m rows by the first v vectors of one panel.
    pub single: &'static [&'static [TileFn]],
    /// `wide[m - 1]`: m rows by several whole panels (`last` = LANES), the most first. Few rows alone leave the
    /// multipliers waiting for their own results; more columns at once fill them without splitting k.
    pub wide: &'static [&'static [(usize, TileFn)]],
}

/// The tiles of one instruction set.
pub(crate) trait Tiles: Simd {
    /// Most rows of a tile.
    const MR: usize;
    /// Vectors of a panel.
    const NV: usize;
    /// Columns of a panel.
    const NR: usize = Self::NV * Self::LANES;
    /// Over panels of floats; by how A lies.
    const FLOATS: [TileSet; 5];
    /// Over panels of 16-bit floats.
    const HALVES: [TileSet; 5];

    /// [`pack_a`] in blocks of MR rows.
    ///
    /// # Safety
    ///
    /// As [`pack_a`].
    unsafe fn pack_rows(m: usize, k: usize, a: *const f32, a_rs: usize, a_ks: usize, to: *mut f32);

    /// [`pack_b`] in panels of NR columns.
    ///
    /// # Safety
    ///
    /// As [`pack_b`].
    unsafe fn pack_columns(
        size: (usize, usize),
        b: *const f32,
        strides: (usize, usize),
        to: *mut f32,
    );
}

/// Compiles the tiles of one instruction set: `rows` times `vectors` single-panel tiles, and the wide ones.
macro_rules! tiles {
    ($simd:ty, $compiled:ident, $($feature:literal,)? rows: [$($m:literal)*], vectors: $vectors:tt,
     panel: $nv:literal, wide: [$($wm:literal x [$($wp:literal)*]),*]) => {
        /// # Safety
        ///
        /// See [`TileFn`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $compiled<
            const HALVES: bool,
            const LIES: u8,
            const MR: usize,
            const P: usize,
            const NV: usize,
        >(
            t: &TileArgs,
        ) {
            // SAFETY: passed on from the caller.
            unsafe { tile::<$simd, HALVES, LIES, MR, P, NV>(t) }
        }

        impl Tiles for $simd {
            const MR: usize = [$($m),*].len();
            const NV: usize = $nv;
            const FLOATS: [TileSet; 5] = [
                tiles!(@set $compiled, false, ANYHOW, [$($m)*], $vectors, $nv, [$($wm x [$($wp)*])*]),
                tiles!(@set $compiled, false, IN_ROWS, [$($m)*], $vectors, $nv, [$($wm x [$($wp)*])*]),
                tiles!(@set $compiled, false, IN_COLUMNS, [$($m)*], $vectors, $nv, [$($wm x [$($wp)*])*]),
                tiles!(@set $compiled, false, IN_ROWS_ASKING, [$($m)*], $vectors, $nv, []),
                tiles!(@set $compiled, false, IN_COLUMNS_ASKING, [$($m)*], $vectors, $nv, []),
            ];
            const HALVES: [TileSet; 5] = [
                tiles!(@set $compiled, true, ANYHOW, [$($m)*], $vectors, $nv, [$($wm x [$($wp)*])*]),
                tiles!(@set $compiled, true, IN_ROWS, [$($m)*], $vectors, $nv, [$($wm x [$($wp)*])*]),
                tiles!(@set $compiled, true, IN_COLUMNS, [$($m)*], $vectors, $nv, [$($wm x [$($wp)*])*]),
                tiles!(@set $compiled, true, IN_ROWS_ASKING, [$($m)*], $vectors, $nv, []),
                tiles!(@set $compiled, true, IN_COLUMNS_ASKING, [$($m)*], $vectors, $nv, []),
            ];

            unsafe fn pack_rows(m: usize, k: usize, a: *const f32, a_rs: usize, a_ks: usize, to: *mut f32) {
                // What runs the instructions has to be compiled for them, or each is a call.
                $(#[target_feature(enable = $feature)])?
                unsafe fn compiled(m: usize, k: usize, a: *const f32, a_rs: usize, a_ks: usize, to: *mut f32) {
                    // SAFETY: passed on from the caller.
                    unsafe { pack_a::<{ [$($m),*].len() }>(m, k, a, a_rs, a_ks, to) }
                }
                // SAFETY: passed on from the caller.
                unsafe { compiled(m, k, a, a_rs, a_ks, to) }
            }

            unsafe fn pack_columns(size: (usize, usize), b: *const f32, strides: (usize, usize), to: *mut f32) {
                $(#[target_feature(enable = $feature)])?
                unsafe fn compiled(size: (usize, usize), b: *const f32, strides: (usize, usize), to: *mut f32) {
                    // SAFETY: passed on from the caller.
                    unsafe { pack_b::<$simd>(<$simd as Tiles>::NR, size, b, strides, to) }
                }
                // SAFETY: passed on from the caller.
                unsafe { compiled(size, b, strides, to) }
            }
        }
    };
    (@set $compiled:ident, $halves:literal, $lies:ident, [$($m:literal)*], $vectors:tt, $nv:literal,
     [$($wm:literal x $wp:tt)*]) => {
        TileSet {
            single: &[$(tiles!(@row $compiled, $halves, $lies, $m, $vectors)),*],
            wide: &[$(tiles!(@wide $compiled, $halves, $lies, $wm, $wp, $nv)),*],
        }
    };
    (@wide $compiled:ident, $halves:literal, $lies:ident, $m:literal, [$($p:literal)*], $nv:literal) => {
        &[$(($p, $compiled::<$halves, $lies, $m, $p, $nv>)),*]
    };
    (@row $compiled:ident, $halves:literal, $lies:ident, $m:literal, [$($v:literal)*]) => {
        &[$($compiled::<$halves, $lies, $m, 1, $v>),*]
    };
}

tiles!(Portable, tile_portable, rows: [1 2 3 4], vectors: [1 2], panel: 2, wide: [1 x [4 2], 2 x [2]]);

#[cfg(target_arch = "x86_64")]
tiles!(Avx2, tile_avx2, "avx2,fma", rows: [1 2 3 4 5 6], vectors: [1 2], panel: 2, wide: [1 x [4 2], 2 x [2], 3 x [2]]);

#[cfg(target_arch = "x86_64")]
tiles!(Avx512, tile_avx512, "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma",
       rows: [1 2 3 4 5 6 7 8 9 10 11 12], vectors: [1 2], panel: 2,
       wide: [1 x [8 4 2], 2 x [4 2], 3 x [2], 4 x [2], 5 x [2], 6 x [2]]);

#[cfg(target_arch = "aarch64")]
tiles!(Neon, tile_neon, "neon", rows: [1 2 3 4 5 6], vectors: [1 2 3 4], panel: 4, wide: [1 x [4 2], 2 x [2]]);
