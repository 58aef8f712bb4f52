//! The table of precompiled kernels of one instruction set, as C function pointers with integer and pointer arguments:
//! an [`Isa`] in, the addresses that compiled programs call out.
//!
//! All lengths and strides are in elements. A kernel never panics and allocates nothing. The file is long because the
//! contract of every kernel stands beside its entry.

use super::gemm;
use super::isa::Isa;
use super::maps::{self, map};
use super::math;
use super::microkernel::Tiles;
use super::pack;
use super::rows;
use super::simd::{Portable, Simd};
#[cfg(target_arch = "aarch64")]
use super::simd_neon::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd_x86::{Avx2, Avx512};
use super::table_rows;

/// `(k, n, b, b_ks, b_cs, dst)`: packs B[k, n], element (p, j) at `b + p·b_ks + j·b_cs`, into panels at `dst`.
///
/// # Safety
///
/// B is readable in range, `dst` writable for [`Kernels::packed_len`] floats; no overlap.
pub type PackB = unsafe extern "C" fn(usize, usize, *const f32, usize, usize, *mut f32);

/// `(k, n, b, b_ks, b_cs, dst)`: the same in 16 bits (bfloat16), two to a word.
///
/// # Safety
///
/// As [`PackB`]; `dst` is writable for [`Kernels::packed_halves_len`] words.
pub type PackBHalves = unsafe extern "C" fn(usize, usize, *const f32, usize, usize, *mut u32);

/// `(m, n, k, a, a_rs, a_ks, packed, c, c_rs, how, read)`: C[m, n] = A·B, or += where `how` has [`gemm::ACCUMULATE`]; element
/// (i, p) of A at `a + i·a_rs + p·a_ks`, (i, j) of C at `c + i·c_rs + j`; B packed by [`PackB`], its panels read from the
/// last to the first where `how` has [`gemm::BACKWARDS`]; `read` words of panels are
/// read until these are again, the product's own at least.
///
/// # Safety
///
/// All are valid over their ranges; C overlaps neither A nor the panels. Takes 64 KiB of stack where `a_ks` is not 1.
pub type GemmPacked = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    *const f32,
    usize,
    usize,
    *const f32,
    *mut f32,
    usize,
    usize,
    usize,
);

/// `(m, n, k, a, a_rs, a_ks, b, b_ks, b_cs, c, c_rs, accumulate, scratch)`: the same with B as it lies, element (p, j)
/// at `b + p·b_ks + j·b_cs`.
///
/// # Safety
///
/// As [`GemmPacked`]; `scratch` is writable for [`Kernels::gemm_scratch_len`] floats and overlaps nothing.
pub type Gemm = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    *const f32,
    usize,
    usize,
    *const f32,
    usize,
    usize,
    *mut f32,
    usize,
    usize,
    *mut f32,
);

/// `(n, x, y)`: `y[i] = f(x[i])` for i < n.
///
/// # Safety
///
/// `x` is readable and `y` writable for n floats; they are equal or disjoint.
pub type Map = unsafe extern "C" fn(usize, *const f32, *mut f32);

/// `(n, a, b, y)`: `y[i] = f(a[i], b[i])` for i < n.
///
/// # Safety
///
/// As [`Map`]; `y` is equal to or disjoint from each of the two.
pub type Map2 = unsafe extern "C" fn(usize, *const f32, *const f32, *mut f32);

/// `(lo, hi, cols, x, x_rs, y, y_rs)`: rows lo..hi of `y` from those of `x`, `cols` wide.
///
/// # Safety
///
/// The rows are readable and writable; a copy's must not overlap, a softmax's are the same or disjoint.
pub type Rows = unsafe extern "C" fn(usize, usize, usize, *const f32, usize, *mut f32, usize);

/// `(lo, hi, cols, logits, rs, targets, loss)`: `loss[row] = ln Σ exp(logits) − logits[target]` for rows lo..hi; 0
/// where the target is negative or not below `cols`.
///
/// # Safety
///
/// Rows lo..hi of `logits` and `targets` are readable, of `loss` writable; no overlap.
pub type CrossEntropy =
    unsafe extern "C" fn(usize, usize, usize, *const f32, usize, *const i32, *mut f32);

/// `(lo, hi, cols, logits, rs, targets, g, out, out_rs)`: `out[row] = (softmax(logits) − onehot(target))·g[row]`;
/// exactly 0 where `g[row]` is 0 or the target is left out, whatever the logits are.
///
/// # Safety
///
/// As [`CrossEntropy`]; `out` and `logits` are the same rows or disjoint.
pub type CrossEntropyGrad = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    *const f32,
    usize,
    *const i32,
    *const f32,
    *mut f32,
    usize,
);

/// `(lo, hi, width, table, table_rs, rows, index, out, out_rs)`: `out[p] = table[index[p]]` for positions lo..hi; zeros
/// where the index is negative or not below `rows`.
///
/// # Safety
///
/// The table, and `index` at lo..hi, are readable, rows lo..hi of `out` writable; no overlap.
pub type Gather = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    *const f32,
    usize,
    usize,
    *const i32,
    *mut f32,
    usize,
);

/// `(lo, hi, positions, width, index, grad, grad_rs, out, out_rs, accumulate)`: `out[index[p]] += grad[p]` over all
/// positions in order, for the table's rows lo..hi only, which start from 0 unless `accumulate` is not 0.
///
/// # Safety
///
/// `index` and `grad` are readable at all positions, rows lo..hi of `out` writable; no overlap.
pub type ScatterAdd = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    usize,
    *const i32,
    *const f32,
    usize,
    *mut f32,
    usize,
    usize,
);

/// The kernels of one instruction set, and the sizes that a plan needs.
///
/// A table is handed out only where its instruction set is available, so the machine is never a caller's concern.
#[derive(Debug)]
pub struct Kernels {
    pub isa: Isa,
    /// Floats of a vector.
    pub lanes: usize,
    /// Rows of the largest register tile: a split of M finer than this wastes work.
    pub mr: usize,
    /// Columns of a panel of packed B: products with packed B are split over N at its multiples.
    pub nr: usize,
    pub pack_b: PackB,
    pub gemm_packed: GemmPacked,
    pub pack_b_halves: PackBHalves,
    /// With panels of [`Kernels::pack_b_halves`]: the bits of the product with the rounded weights.
    pub gemm_packed_halves: GemmPacked,
    pub gemm: Gemm,
    pub exp: Map,
    pub log: Map,
    pub tanh: Map,
    pub sigmoid: Map,
    pub erf: Map,
    pub sin: Map,
    pub cos: Map,
    pub pow: Map2,
    /// Zeros in a row whose elements are all −∞.
    pub softmax: Rows,
    pub cross_entropy: CrossEntropy,
    pub cross_entropy_grad: CrossEntropyGrad,
    pub gather: Gather,
    pub scatter_add: ScatterAdd,
    pub copy_rows: Rows,
    scratch_len: fn(usize, usize) -> usize,
}

impl Kernels {
    /// The kernels for `isa`, if this machine can run them.
    pub fn for_isa(isa: Isa) -> Option<&'static Kernels> {
        if !isa.is_available() {
            return None;
        }
        match isa {
            Isa::Portable => Some(&portable::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Some(&avx2::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Some(&avx512::KERNELS),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => None,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Some(&neon::KERNELS),
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Neon => None,
        }
    }

    /// The kernels for the widest instruction set of this machine.
    pub fn detect() -> &'static Kernels {
        Kernels::for_isa(Isa::detect()).unwrap_or(&portable::KERNELS)
    }

    /// Floats that a packed k×n matrix takes, or `None` if the number does not fit.
    pub fn packed_len(&self, k: usize, n: usize) -> Option<usize> {
        pack::packed_len(self.nr, k, n)
    }

    /// Words that a k×n matrix takes that is packed in 16 bits, or `None` if the number does not fit.
    pub fn packed_halves_len(&self, k: usize, n: usize) -> Option<usize> {
        pack::packed_halves_len(self.nr, k, n)
    }

    /// Floats of scratch that [`Kernels::gemm`] needs for n columns and inner dimension k, whatever m is; bounded by
    /// about three quarters of a megabyte.
    pub fn gemm_scratch_len(&self, n: usize, k: usize) -> usize {
        (self.scratch_len)(n, k)
    }
}

/// Compiles every kernel for one instruction set.
macro_rules! kernels {
    ($module:ident, $simd:ty, $isa:expr $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            type S = $simd;

            pub(super) static KERNELS: Kernels = Kernels {
                isa: $isa,
                lanes: <S as Simd>::LANES,
                mr: <S as Tiles>::MR,
                nr: <S as Tiles>::NR,
                pack_b,
                gemm_packed,
                pack_b_halves,
                gemm_packed_halves,
                gemm,
                exp,
                log,
                tanh,
                sigmoid,
                erf,
                sin,
                cos,
                pow,
                softmax,
                cross_entropy,
                cross_entropy_grad,
                gather,
                scatter_add,
                copy_rows,
                scratch_len: gemm::scratch_len::<S>,
            };

            kernels! { @each [$($feature)?]
                fn pack_b(k: usize, n: usize, b: *const f32, b_ks: usize, b_cs: usize, dst: *mut f32) {
                    pack::pack_b::<S>(<S as Tiles>::NR, (k, n), b, (b_ks, b_cs), dst)
                }
                fn gemm_packed(
                    m: usize, n: usize, k: usize, a: *const f32, a_rs: usize, a_ks: usize, packed: *const f32,
                    c: *mut f32, c_rs: usize, how: usize, read: usize
                ) {
                    gemm::gemm_packed::<S, false>(m, n, k, a, a_rs, a_ks, packed, c, c_rs, how, read)
                }
                fn pack_b_halves(
                    k: usize, n: usize, b: *const f32, b_ks: usize, b_cs: usize, dst: *mut u32
                ) {
                    pack::pack_b_halves::<{ <S as Simd>::LANES }>(
                        <S as Tiles>::NR, (k, n), b, (b_ks, b_cs), dst,
                    )
                }
                fn gemm_packed_halves(
                    m: usize, n: usize, k: usize, a: *const f32, a_rs: usize, a_ks: usize, packed: *const f32,
                    c: *mut f32, c_rs: usize, how: usize, read: usize
                ) {
                    gemm::gemm_packed::<S, true>(m, n, k, a, a_rs, a_ks, packed, c, c_rs, how, read)
                }
                fn gemm(
                    m: usize, n: usize, k: usize, a: *const f32, a_rs: usize, a_ks: usize, b: *const f32, b_ks: usize,
                    b_cs: usize, c: *mut f32, c_rs: usize, accumulate: usize, scratch: *mut f32
                ) {
                    gemm::gemm::<S>(m, n, k, a, a_rs, a_ks, b, b_ks, b_cs, c, c_rs, accumulate != 0, scratch)
                }
                fn exp(n: usize, x: *const f32, y: *mut f32) {
                    map!(S, n, x, y, v => math::exp::<S>(v))
                }
                fn log(n: usize, x: *const f32, y: *mut f32) {
                    map!(S, n, x, y, v => math::log::<S>(v))
                }
                fn tanh(n: usize, x: *const f32, y: *mut f32) {
                    map!(S, n, x, y, v => math::tanh::<S>(v))
                }
                fn sigmoid(n: usize, x: *const f32, y: *mut f32) {
                    map!(S, n, x, y, v => math::sigmoid::<S>(v))
                }
                fn erf(n: usize, x: *const f32, y: *mut f32) {
                    map!(S, n, x, y, v => math::erf::<S>(v))
                }
                fn sin(n: usize, x: *const f32, y: *mut f32) {
                    maps::map_f64(n, x, y, f64::sin)
                }
                fn cos(n: usize, x: *const f32, y: *mut f32) {
                    maps::map_f64(n, x, y, f64::cos)
                }
                fn pow(n: usize, a: *const f32, b: *const f32, y: *mut f32) {
                    maps::map_pow(n, a, b, y)
                }
                fn softmax(
                    lo: usize, hi: usize, cols: usize, x: *const f32, x_rs: usize, y: *mut f32, y_rs: usize
                ) {
                    rows::softmax::<S>(lo, hi, cols, x, x_rs, y, y_rs)
                }
                fn cross_entropy(
                    lo: usize, hi: usize, cols: usize, logits: *const f32, rs: usize, targets: *const i32,
                    loss: *mut f32
                ) {
                    rows::cross_entropy::<S>(lo, hi, cols, logits, rs, targets, loss)
                }
                fn cross_entropy_grad(
                    lo: usize, hi: usize, cols: usize, logits: *const f32, rs: usize, targets: *const i32,
                    g: *const f32, out: *mut f32, out_rs: usize
                ) {
                    rows::cross_entropy_grad::<S>(lo, hi, cols, logits, rs, targets, g, out, out_rs)
                }
                fn gather(
                    lo: usize, hi: usize, width: usize, table: *const f32, table_rs: usize, rows: usize,
                    index: *const i32, out: *mut f32, out_rs: usize
                ) {
                    table_rows::gather(lo, hi, width, table, table_rs, rows, index, out, out_rs)
                }
                fn scatter_add(
                    lo: usize, hi: usize, positions: usize, width: usize, index: *const i32, grad: *const f32,
                    grad_rs: usize, out: *mut f32, out_rs: usize, accumulate: usize
                ) {
                    table_rows::scatter_add::<S>(
                        lo, hi, positions, width, index, grad, grad_rs, out, out_rs, accumulate != 0,
                    )
                }
                fn copy_rows(
                    lo: usize, hi: usize, cols: usize, src: *const f32, src_rs: usize, dst: *mut f32, dst_rs: usize
                ) {
                    table_rows::copy_rows(lo, hi, cols, src, src_rs, dst, dst_rs)
                }
            }
        }
    };
    (@each $feature:tt $(fn $name:ident($($arg:ident: $type:ty),*) { $call:expr })*) => {
        $(kernels! { @one $feature fn $name($($arg: $type),*) { $call } })*
    };
    (@one [$($feature:literal)?] fn $name:ident($($arg:ident: $type:ty),*) { $call:expr }) => {
        /// # Safety
        ///
        /// See the type of the table's field of this name.
        $(#[target_feature(enable = $feature)])?
        #[allow(clippy::too_many_arguments)]
        unsafe extern "C" fn $name($($arg: $type),*) {
            // SAFETY: passed on from the caller; the table is handed out where the instruction set is available.
            unsafe { $call }
        }
    };
}

kernels!(portable, Portable, Isa::Portable);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, Isa::Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(
    avx512,
    Avx512,
    Isa::Avx512,
    "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"
);
#[cfg(target_arch = "aarch64")]
kernels!(neon, Neon, Isa::Neon, "neon");
