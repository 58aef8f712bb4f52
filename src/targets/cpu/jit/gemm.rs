//! Code for a matrix product: loops over the indices that the kernels do not take, addresses, and calls.
//!
//! In: a [`Gemm`]. Out: one function that runs a range of rows (or of batch indices) and a range of columns, and for a
//! product with packed panels another that packs a range of columns.
//!
//! A kernel wants the columns of its result side by side. Where the rows lie so instead, the product is turned: Cᵀ = BᵀAᵀ,
//! which adds the same products in the same order. Of several row, column or contracted indices one goes to the kernel;
//! loops run over the others, contracted ones innermost and adding up.

use cranelift_codegen::ir::{InstBuilder, Value};

use super::address::base;
use super::asm::Asm;
use super::calls::{self, call_kernel};
use super::nest::{Walk, fixed_walk};
use super::panels::Panels;
use super::table::{Cell, Table};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{Gemm, GemmAxis, GemmClass};
use crate::targets::cpu::gemm::{ACCUMULATE, BACKWARDS};

/// An index of the product as the kernel's operands see it.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) size: Dim,
    /// Strides in A, B and C.
    strides: [Dim; 3],
    range: Range,
}

/// Which of a function's ranges bounds an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Rows,
    Columns,
}

/// How a product is computed.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The kernel's A is the product's right operand.
    pub(crate) turned: bool,
    batch: Vec<Index>,
    /// The kernel's own index last.
    m: Vec<Index>,
    n: Vec<Index>,
    k: Vec<Index>,
    /// A, B, C.
    walks: [Walk; 3],
    /// What a range of rows counts.
    pub(crate) rows: Option<Dim>,
    /// What a range of columns counts.
    pub(crate) columns: Dim,
    /// Panels of the right operand, by index, where it is packed before use.
    pub(crate) panel: Option<usize>,
    /// Whether its elements are 16-bit floats, so that the panels are.
    pub(crate) halves: bool,
}

impl Shape {
    /// `panel` where the right operand may be packed ahead, with the panels' index.
    pub(crate) fn new(g: &Gemm, table: &Table, panel: Option<usize>) -> Result<Shape, Diagnostic> {
        let mut batch = indices(&g.batch, table)?;
        let mut m = indices(&g.m, table)?;
        let mut n = indices(&g.n, table)?;
        let k = indices(&g.k, table)?;
        match (batch.first_mut(), m.first_mut()) {
            (Some(b), _) => b.range = Range::Rows,
            (None, Some(m)) => m.range = Range::Rows,
            (None, None) => {}
        }
        let rows = batch.first().or(m.first()).map(|i| i.size.clone());
        let unit = |i: &Index| i.strides[2].as_const() == Some(1);
        let one = |i: &Index| i.size.as_const() == Some(1);
        m.retain(|i| !one(i) || i.range == Range::Rows);
        n.retain(|i| !one(i));
        let turned = !n.is_empty() && !n.iter().any(unit) && m.iter().any(unit);
        let mut walks = [
            fixed_walk(&g.lhs, table)?,
            fixed_walk(&g.rhs, table)?,
            fixed_walk(&g.out, table)?,
        ];
        let mut k = k;
        if turned {
            std::mem::swap(&mut m, &mut n);
            walks.swap(0, 1);
            for i in batch.iter_mut().chain(&mut m).chain(&mut n).chain(&mut k) {
                i.strides.swap(0, 1);
            }
        }
        // The kernel's columns lie side by side; without such an index it gets one column at a time.
        match n.iter().position(unit) {
            Some(i) => n[i..].rotate_left(1),
            None if n.is_empty() => {}
            None => n.push(Index::one()),
        }
        for list in [&mut m, &mut n, &mut k] {
            if list.is_empty() {
                list.push(Index::one());
            }
        }
        // Columns are divided where rows are not, on the product's other side.
        let other = if turned { &mut m } else { &mut n };
        let last = other.len() - 1;
        let mut columns = Dim::constant(1);
        if other[last].range == Range::Whole {
            other[last].range = Range::Columns;
            columns = other[last].size.clone();
        }
        let fixed = batch.iter().all(|b| b.strides[1].as_const() == Some(0));
        let panel = panel.filter(|_| g.class == GemmClass::PackedWeight && !turned && fixed);
        Ok(Shape {
            turned,
            batch,
            m,
            n,
            k,
            walks,
            rows,
            columns,
            panel,
            halves: false,
        })
    }

    /// Sizes of the kernel's own product.
    pub(crate) fn kernel(&self) -> [&Dim; 3] {
        [last(&self.m), last(&self.n), last(&self.k)].map(|i| &i.size)
    }

    /// All sizes whose product is the number of multiply-adds.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = &Dim> {
        let lists = [&self.batch, &self.m, &self.n, &self.k];
        lists.into_iter().flatten().map(|i| &i.size)
    }

    /// Rows of the result, the batch included.
    pub(crate) fn row_sizes(&self) -> Vec<Dim> {
        self.batch
            .iter()
            .chain(&self.m)
            .map(|i| i.size.clone())
            .collect()
    }

    /// Equal for two right operands with the same elements in the same order.
    pub(crate) fn right_key(&self) -> String {
        let index = |i: &Index| format!("{} by {}", i.size, i.strides[1]);
        let list = |l: &[Index]| l.iter().map(index).collect::<Vec<_>>().join(", ");
        let w = &self.walks[1];
        let (n, k) = (list(&self.n), list(&self.k));
        format!("{:?} at {} + {}t: {n}; {k}", w.buffer, w.offset, w.step)
    }

    /// How many packed matrices lie side by side among the panels.
    pub(crate) fn blocks(&self) -> Vec<Dim> {
        let outer = |l: &[Index]| l[..l.len() - 1].iter().map(|i| i.size.clone()).collect();
        let mut all: Vec<Dim> = outer(&self.n);
        all.extend::<Vec<Dim>>(outer(&self.k));
        all
    }
}

impl Index {
    fn one() -> Index {
        Index {
            size: Dim::constant(1),
            strides: [Dim::constant(0), Dim::constant(0), Dim::constant(0)],
            range: Range::Whole,
        }
    }
}

fn last(list: &[Index]) -> &Index {
    &list[list.len() - 1]
}

fn indices(axes: &[GemmAxis], table: &Table) -> Result<Vec<Index>, Diagnostic> {
    let one = |a: &GemmAxis| {
        Ok(Index {
            size: table.fix(&a.size)?,
            strides: [table.fix(&a.lhs)?, table.fix(&a.rhs)?, table.fix(&a.out)?],
            range: Range::Whole,
        })
    };
    axes.iter().map(one).collect()
}

/// An index with its size and strides as values, bytes for addresses.
#[derive(Clone, Copy)]
struct Live {
    from: Value,
    to: Value,
    size: Value,
    elements: [Value; 3],
    bytes: [Value; 3],
}

struct Emitter<'a, 'x, 'f> {
    asm: &'a mut Asm<'x, 'f>,
    panels: Option<Panels>,
    scratch: Value,
}

fn live(asm: &mut Asm<'_, '_>, i: &Index) -> Result<Live, Diagnostic> {
    let size = asm.size(&i.size)?;
    let (from, to) = match i.range {
        Range::Whole => (asm.int(0), size),
        Range::Rows => (asm.params.lo, asm.params.hi),
        Range::Columns => (asm.params.column_lo, asm.params.column_hi),
    };
    let [a, b, c] = &i.strides;
    Ok(Live {
        from,
        to,
        size,
        elements: [asm.size(a)?, asm.size(b)?, asm.size(c)?],
        bytes: [asm.bytes(a)?, asm.bytes(b)?, asm.bytes(c)?],
    })
}

fn all_live(asm: &mut Asm<'_, '_>, list: &[Index]) -> Result<Vec<Live>, Diagnostic> {
    list.iter().map(|i| live(asm, i)).collect()
}

/// The product's function.
pub(crate) fn emit(asm: &mut Asm<'_, '_>, s: &Shape) -> Result<(), Diagnostic> {
    let [a, b, c] = &s.walks;
    let at = [base(asm, a)?, base(asm, b)?, base(asm, c)?];
    let batch = all_live(asm, &s.batch)?;
    let [m, n, k] = [
        all_live(asm, &s.m)?,
        all_live(asm, &s.n)?,
        all_live(asm, &s.k)?,
    ];
    let panels = Panels::new(asm, s.panel, s.halves);
    let scratch = asm.cell(Cell::Scratch);
    let mut e = Emitter {
        asm,
        panels,
        scratch,
    };
    let zero = e.asm.int(0);
    e.around(&batch, at, zero, &mut |e, at, block| {
        e.around(&m[..m.len() - 1], at, block, &mut |e, at, block| {
            e.blocks(&n[..n.len() - 1], at, block, &mut |e, at, block| {
                let kernel = [m[m.len() - 1], n[n.len() - 1], k[k.len() - 1]];
                if k.len() == 1 {
                    return e.call(kernel, at, block, 0);
                }
                // A product over nothing sets the result to zero, also where a loop runs no turn.
                let mut none = kernel;
                none[2].to = e.asm.int(0);
                e.call(none, at, block, 0)?;
                e.blocks(&k[..k.len() - 1], at, block, &mut |e, at, block| {
                    e.call(kernel, at, block, 1)
                })
            })
        })
    })
}

type Inner<'i, 'a, 'x, 'f> =
    &'i mut dyn FnMut(&mut Emitter<'a, 'x, 'f>, [Value; 3], Value) -> Result<(), Diagnostic>;

impl<'a, 'x, 'f> Emitter<'a, 'x, 'f> {
    /// Loops over `list`, with the three addresses advanced.
    fn around(
        &mut self,
        list: &[Live],
        at: [Value; 3],
        block: Value,
        inner: Inner<'_, 'a, 'x, 'f>,
    ) -> Result<(), Diagnostic> {
        let Some((first, rest)) = list.split_first() else {
            return inner(self, at, block);
        };
        let (head, exit) = self.asm.open(first.from, first.to, &[]);
        let i = self.asm.enter(head)[0];
        let at = self.moved(first, at, i);
        self.around(rest, at, block, inner)?;
        self.asm.close(head, exit, i, first.to, 1, &[]);
        Ok(())
    }

    /// As [`Emitter::around`], counting which packed block the panels are in.
    fn blocks(
        &mut self,
        list: &[Live],
        at: [Value; 3],
        block: Value,
        inner: Inner<'_, 'a, 'x, 'f>,
    ) -> Result<(), Diagnostic> {
        let Some((first, rest)) = list.split_first() else {
            return inner(self, at, block);
        };
        let (head, exit) = self.asm.open(first.from, first.to, &[]);
        let i = self.asm.enter(head)[0];
        let at = self.moved(first, at, i);
        let block = self.asm.mul(block, first.to);
        let block = self.asm.add(block, i);
        self.blocks(rest, at, block, inner)?;
        self.asm.close(head, exit, i, first.to, 1, &[]);
        Ok(())
    }

    fn moved(&mut self, index: &Live, at: [Value; 3], i: Value) -> [Value; 3] {
        let mut out = at;
        for (p, stride) in out.iter_mut().zip(index.bytes) {
            let far = self.asm.mul(i, stride);
            *p = self.asm.add(*p, far);
        }
        out
    }

    /// One kernel's product: `[m, n, k]` at addresses A, B, C.
    fn call(
        &mut self,
        [m, n, k]: [Live; 3],
        at: [Value; 3],
        block: Value,
        accumulate: i64,
    ) -> Result<(), Diagnostic> {
        let at = self.moved(&m, at, m.from);
        let [a, b, c] = self.moved(&n, at, n.from);
        let asm = &mut *self.asm;
        let rows = asm.b.ins().isub(m.to, m.from);
        let columns = asm.b.ins().isub(n.to, n.from);
        let (how, accumulate) = (accumulate, asm.int(accumulate));
        let left = [rows, columns, k.to, a, m.elements[0], k.elements[0]];
        let out = [c, m.elements[2], accumulate];
        let direct = [b, k.elements[1], n.elements[1]];
        let straight: Vec<Value> = [&left[..], &direct, &out, &[self.scratch]].concat();
        let Some(panels) = self.panels else {
            return call_kernel(asm, calls::GEMM, &straight);
        };
        let (packed, plain, done) = (
            asm.b.create_block(),
            asm.b.create_block(),
            asm.b.create_block(),
        );
        asm.b.ins().brif(panels.used, packed, &[], plain, &[]);
        asm.b.switch_to_block(packed);
        // Every other step of a scan goes through the panels backwards, as long as a cache has the last of them.
        let odd = asm.b.ins().band_imm_s(asm.params.time, 1);
        let back = asm.b.ins().imul_imm_s(odd, BACKWARDS as i64);
        let how = asm.b.ins().iadd_imm_s(back, how * ACCUMULATE as i64);
        let read = panels.read(asm, [columns, n.size]);
        let turned = [c, m.elements[2], how, read];
        let kernels = [calls::GEMM_PACKED, calls::GEMM_PACKED_HALVES];
        panels.call(asm, [block, n.from, k.to], kernels, &|at| {
            [&left[..], &[at], &turned].concat()
        })?;
        asm.b.ins().jump(done, &[]);
        asm.b.switch_to_block(plain);
        call_kernel(asm, calls::GEMM, &straight)?;
        asm.b.ins().jump(done, &[]);
        asm.b.switch_to_block(done);
        Ok(())
    }
}

/// A function that packs columns `lo..hi` of the right operand into its panels.
pub(crate) fn emit_pack(asm: &mut Asm<'_, '_>, s: &Shape) -> Result<(), Diagnostic> {
    let Some(panels) = Panels::new(asm, s.panel, s.halves) else {
        return Ok(());
    };
    let b = base(asm, &s.walks[1])?;
    let (mut n, k) = (all_live(asm, &s.n)?, all_live(asm, &s.k)?);
    let kernel_n = n.len() - 1;
    (n[kernel_n].from, n[kernel_n].to) = (asm.params.lo, asm.params.hi);
    let mut e = Emitter {
        asm,
        panels: None,
        scratch: b,
    };
    let zero = e.asm.int(0);
    e.blocks(&n[..kernel_n], [b; 3], zero, &mut |e, at, block| {
        e.blocks(&k[..k.len() - 1], at, block, &mut |e, at, block| {
            let (n, k) = (n[kernel_n], k[k.len() - 1]);
            let at = e.moved(&n, at, n.from);
            let columns = e.asm.b.ins().isub(n.to, n.from);
            let from = [k.to, columns, at[1], k.elements[1], n.elements[1]];
            let kernels = [calls::PACK_B, calls::PACK_B_HALVES];
            panels.call(e.asm, [block, n.from, k.to], kernels, &|to| {
                [&from[..], &[to]].concat()
            })
        })
    })
}
