//! A block of a product: tiles over rows of A and panels of B.
//!
//! In: A as it lies or packed, panels of B, and C. Out: the block's part of C. Panels are the outer loop, so that one stays
//! in the first-level cache while rows of A go by it.

use super::microkernel::{
    ANYHOW, IN_COLUMNS, IN_COLUMNS_ASKING, IN_ROWS, IN_ROWS_ASKING, ROW_LINES, TileArgs, TileFn,
    TileSet, Tiles,
};
use super::prefetch::{Soon, prefetch};

/// A in the order that tiles take it.
#[derive(Clone, Copy)]
pub(super) enum Left {
    /// As it lies: element (m, k) is at `ptr + m·rs + k·ks`.
    Strided {
        ptr: *const f32,
        rs: usize,
        ks: usize,
    },
    /// Packed in blocks of MR rows.
    Blocks { ptr: *const f32 },
}

/// Panels of B: row k of panel p is at `ptr + p·panel + k·ks`, and what multiplies with panels of this kind.
#[derive(Clone, Copy)]
pub(super) struct Right {
    pub(super) ptr: *const f32,
    pub(super) panel: usize,
    pub(super) ks: usize,
    /// By how A lies.
    pub(super) tiles: &'static [TileSet; 5],
    /// The last panel comes first.
    pub(super) back: bool,
    /// Whether no second-level cache holds the panels.
    pub(super) far: bool,
}

/// C and how to begin it.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub(super) ptr: *mut f32,
    pub(super) rs: usize,
    pub(super) accumulate: bool,
}

/// Tiles of one width, side by side.
#[derive(Clone, Copy, Default)]
struct Span {
    /// Columns before the first of them.
    from: usize,
    /// Columns of each.
    step: usize,
    turns: usize,
    /// Where a tile takes several panels, which are whole then.
    tile: Option<TileFn>,
}

/// The most widths of several panels that a number of rows has tiles for.
const MOST_WIDTHS: usize = 3;

/// Words of far panels that a tile may go through at once, though two panels at least: what it reads first is not lost
/// when it ends.
const TURN: usize = 256 * 1024;

/// Tiles of a block.
pub(super) fn tiles<T: Tiles>(m: usize, n: usize) -> usize {
    m.div_ceil(T::MR) * n.div_ceil(T::NR)
}

/// One block: all row blocks over all panels, panels outside. Before every tile of one panel goes a turn of
/// `soon`; short rows of the first are asked for within it, where A lies in columns.
///
/// # Safety
///
/// The machine has the instructions of `T`; `a`, `b` and `c` are valid for m, n, k in the sense of [`TileFn`], whole
/// panels of B included; m, n, k > 0.
pub(super) unsafe fn block<T: Tiles>(
    (m, n, k): (usize, usize, usize),
    a: Left,
    b: Right,
    c: Out,
    soon: &mut [Soon; 2],
) {
    let tile_args = |row: usize, rows: usize, column: usize, width: usize| {
        let (ptr, a_rs, a_ks) = match a {
            Left::Strided { ptr, rs, ks } => (ptr.wrapping_add(row * rs), rs, ks),
            Left::Blocks { ptr } => (ptr.wrapping_add(row * k), 1, rows),
        };
        TileArgs {
            k,
            a: ptr,
            a_rs,
            a_ks,
            b: b.ptr.wrapping_add(column / T::NR * b.panel),
            b_ks: b.ks,
            b_panel: b.panel,
            c: c.ptr.wrapping_add(row * c.rs + column),
            c_rs: c.rs,
            last: width - (width - 1) / T::LANES * T::LANES,
            accumulate: c.accumulate,
            soon: b.ptr,
            soon_step: 0,
        }
    };
    let lies = match a {
        Left::Strided { ks: 1, .. } => IN_ROWS,
        Left::Strided { rs: 1, .. } | Left::Blocks { .. } => IN_COLUMNS,
        Left::Strided { .. } => ANYHOW,
    };
    let tiles = b.tiles[usize::from(lies)];
    // Wide tiles take several panels each, from the first on, the widest first; single ones take those that are left.
    let wides = tiles.wide.get(m - 1).copied().unwrap_or(&[]);
    debug_assert!(wides.len() <= MOST_WIDTHS);
    let mut spans = [Span::default(); MOST_WIDTHS + 1];
    let (mut from, mut turns) = (0, 0);
    let fits = |(panels, _): &&(usize, TileFn)| !b.far || *panels <= 2 || panels * b.panel <= TURN;
    let wides = wides.iter().filter(fits);
    for (span, wide) in spans.iter_mut().zip(wides.map(Some).chain([None])) {
        let step = wide.map_or(1, |(panels, _)| *panels) * T::NR;
        *span = Span {
            from,
            step,
            turns: if wide.is_some() {
                (n - from) / step
            } else {
                (n - from).div_ceil(step)
            },
            tile: wide.map(|(_, tile)| *tile),
        };
        from += span.turns * step;
        turns += span.turns;
    }
    let place = |nth: usize| {
        let mut left = if b.back { turns - 1 - nth } else { nth };
        for s in &spans {
            if left < s.turns {
                return (s.from + left * s.step, s.tile);
            }
            left -= s.turns;
        }
        (n, None)
    };
    // Equal row blocks where the place of a block is free; packed blocks are MR rows each.
    let blocks = m.div_ceil(T::MR);
    let start = |i: usize| match a {
        Left::Strided { .. } => m * i / blocks,
        Left::Blocks { .. } => m.min(i * T::MR),
    };
    for nth in 0..turns {
        let (at, wide) = place(nth);
        if let Some(wide) = wide {
            // SAFETY: rows 0..m and columns at..at + step, whole panels, are in range.
            unsafe { wide(&tile_args(0, m, at, T::NR)) };
            continue;
        }
        let width = T::NR.min(n - at);
        let vectors = width.div_ceil(T::LANES);
        for i in 0..blocks {
            let (row, end) = (start(i), start(i + 1));
            // What to ask for within the tile, and what before it.
            let asked = match lies {
                // The next panel, each block of rows its part.
                IN_ROWS if b.far && blocks > 1 && nth + 1 < turns => {
                    soon[0].ask();
                    let next = place(nth + 1).0 / T::NR * b.panel + k * i / blocks * b.ks;
                    let step = (4 * b.ks).div_ceil(blocks);
                    Some((IN_ROWS_ASKING, b.ptr.wrapping_add(next), step))
                }
                IN_COLUMNS if let Some((from, step)) = soon[0].rows(k / 4, ROW_LINES) => {
                    Some((IN_COLUMNS_ASKING, from, step))
                }
                _ => {
                    soon[0].ask();
                    None
                }
            };
            soon[1].ask();
            if c.accumulate {
                // A tile's chains wait for what C holds.
                let next = match i + 1 < blocks {
                    true => Some((i + 1, at)),
                    false => (nth + 1 < turns).then(|| (0, place(nth + 1).0)),
                };
                if let Some((next, at)) = next {
                    for row in start(next)..start(next + 1) {
                        let first = c.ptr.wrapping_add(row * c.rs + at);
                        (0..T::NV).for_each(|v| prefetch(first.wrapping_add(v * T::LANES)));
                    }
                }
            }
            let mut args = tile_args(row, end - row, at, width);
            let mut set = lies;
            if let Some(asked) = asked {
                (set, args.soon, args.soon_step) = asked;
            }
            let tile: TileFn = b.tiles[usize::from(set)].single[end - row - 1][vectors - 1];
            // SAFETY: rows row..end and columns at..at + width are in range.
            unsafe { tile(&args) };
        }
    }
}
