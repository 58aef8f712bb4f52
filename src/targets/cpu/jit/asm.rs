//! A function under construction: sizes, addresses and counted loops; its arithmetic is in [`super::floats`].
//!
//! In: calls from the emitters. Out: CLIF, Cranelift's instructions. Emitters are written once for both widths: a
//! [`Width`] says whether values are single floats or vectors, and every operation is the same arithmetic lane for
//! lane, so the bits of an element do not depend on where a vector starts.

use std::collections::BTreeMap;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F32X4, I32, I32X4, I64};
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, FuncRef, Inst, InstBuilder, MemFlagsData, Signature, Type, Value,
};
use cranelift_frontend::FunctionBuilder;
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module};

use super::machine::internal;
use super::row_functions::Rows;
use super::table::{Cell, Size, Table};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;

/// Lanes of a vector.
pub(crate) const LANES: usize = 4;

/// Bytes of a float.
pub(crate) const FLOAT: i64 = 4;

/// One float at a time, or [`LANES`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    One,
    Four,
}

impl Width {
    pub(crate) fn lanes(self) -> usize {
        match self {
            Width::One => 1,
            Width::Four => LANES,
        }
    }

    pub(crate) fn float(self) -> Type {
        match self {
            Width::One => F32,
            Width::Four => F32X4,
        }
    }

    pub(crate) fn int(self) -> Type {
        match self {
            Width::One => I32,
            Width::Four => I32X4,
        }
    }
}

/// The arguments of every task's function.
#[derive(Clone, Copy)]
pub(crate) struct Params {
    /// The function's slots in the worker's table.
    pub(crate) table: Value,
    /// The step's place in time.
    pub(crate) time: Value,
    /// The range along the task's split axis.
    pub(crate) lo: Value,
    pub(crate) hi: Value,
    /// A matrix product's range of columns.
    pub(crate) column_lo: Value,
    pub(crate) column_hi: Value,
}

/// The signature of every task's function: `(table, time, lo, hi, column_lo, column_hi)`.
pub(crate) fn task_signature(module: &JITModule) -> Signature {
    let mut s = module.make_signature();
    s.params.extend([AbiParam::new(I64); 6]);
    s
}

pub(crate) struct Asm<'a, 'f> {
    pub(crate) b: FunctionBuilder<'f>,
    pub(crate) module: &'a mut JITModule,
    pub(crate) table: &'a mut Table,
    pub(crate) params: Params,
    pub(crate) fma: bool,
    pub(crate) rows: &'a mut Rows,
    /// Cells read at the function's entry.
    cells: BTreeMap<usize, Value>,
    calls: BTreeMap<FuncId, FuncRef>,
    /// By size, whether a float, and bits.
    pub(super) constants: BTreeMap<(u32, bool, u32), Value>,
    pub(super) entry: Block,
}

impl<'a, 'f> Asm<'a, 'f> {
    /// Begins a task's function: its entry block, open.
    pub(crate) fn begin(
        mut b: FunctionBuilder<'f>,
        module: &'a mut JITModule,
        table: &'a mut Table,
        fma: bool,
        rows: &'a mut Rows,
    ) -> Asm<'a, 'f> {
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        let p = b.block_params(entry);
        let params = Params {
            table: p[0],
            time: p[1],
            lo: p[2],
            hi: p[3],
            column_lo: p[4],
            column_hi: p[5],
        };
        Asm {
            b,
            module,
            table,
            params,
            fma,
            rows,
            cells: BTreeMap::new(),
            calls: BTreeMap::new(),
            constants: BTreeMap::new(),
            entry,
        }
    }

    pub(crate) fn finish(mut self) {
        self.b.ins().return_(&[]);
        self.b.seal_all_blocks();
        let config = self.module.target_config();
        self.b.finalize(config);
    }

    /// What a cell of the table holds. Cells are read in the block that asks first, so ask before any loop.
    pub(crate) fn cell(&mut self, cell: Cell) -> Value {
        let index = self.table.cell(cell);
        self.cell_at(index)
    }

    fn cell_at(&mut self, index: usize) -> Value {
        if let Some(v) = self.cells.get(&index) {
            return *v;
        }
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        let offset = i32::try_from(index * 8).unwrap_or(i32::MAX);
        let v = self.b.ins().load(I64, flags, self.params.table, offset);
        self.cells.insert(index, v);
        v
    }

    /// The value of a size. As [`Asm::cell`], ask before any loop.
    pub(crate) fn size(&mut self, d: &Dim) -> Result<Value, Diagnostic> {
        let d = self.table.fix(d)?;
        Ok(match self.table.size(&d) {
            Size::Known(n) => self.int(n),
            Size::Cell(i) => self.cell_at(i),
        })
    }

    /// A size counted in bytes of floats.
    pub(crate) fn bytes(&mut self, d: &Dim) -> Result<Value, Diagnostic> {
        let scaled = d
            .checked_mul(&Dim::constant(FLOAT))
            .map_err(|_| super::table::too_large(d))?;
        self.size(&scaled)
    }

    pub(crate) fn int(&mut self, n: i64) -> Value {
        self.b.ins().iconst(I64, n)
    }

    pub(crate) fn add(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().iadd(a, b)
    }

    pub(crate) fn mul(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().imul(a, b)
    }

    /// Calls a function of another task.
    pub(crate) fn call(&mut self, id: FuncId, args: &[Value]) -> Inst {
        let f = match self.calls.get(&id) {
            Some(f) => *f,
            None => {
                let f = self.module.declare_func_in_func(id, self.b.func);
                self.calls.insert(id, f);
                f
            }
        };
        self.b.ins().call(f, args)
    }

    /// The slots of another task's function, whose first is `slots` in the worker's table.
    pub(crate) fn table_of(&mut self, slots: usize) -> Value {
        let far = (slots as i64 - self.table.start() as i64) * 8;
        self.b.ins().iadd_imm_s(self.params.table, far)
    }

    /// Calls a precompiled function that takes and returns what `signature` says.
    pub(crate) fn call_symbol(
        &mut self,
        name: &str,
        signature: &Signature,
        args: &[Value],
    ) -> Result<Inst, Diagnostic> {
        let id = self
            .module
            .declare_function(name, Linkage::Import, signature)
            .map_err(|e| internal(&e))?;
        Ok(self.call(id, args))
    }

    /// Opens a loop whose counter starts at `from` and which is passed over unless that is below `to`. Gives its two
    /// blocks: inside and after. Both take the counter and the carried values.
    pub(crate) fn open(&mut self, from: Value, to: Value, carried: &[Value]) -> (Block, Block) {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        for block in [head, exit] {
            self.b.append_block_param(block, I64);
            for v in carried {
                let ty = self.b.func.dfg.value_type(*v);
                self.b.append_block_param(block, ty);
            }
        }
        let args = block_args(from, carried);
        let some = self.b.ins().icmp(IntCC::SignedLessThan, from, to);
        self.b.ins().brif(some, head, &args, exit, &args);
        (head, exit)
    }

    /// Goes on inside a block; its parameters.
    pub(crate) fn enter(&mut self, block: Block) -> Vec<Value> {
        self.b.switch_to_block(block);
        self.b.block_params(block).to_vec()
    }

    /// Closes a loop: the counter goes up by `step`, and again if it is still below `to`. Gives the counter's first
    /// value that was not run and what was carried last.
    pub(crate) fn close(
        &mut self,
        head: Block,
        exit: Block,
        counter: Value,
        to: Value,
        step: i64,
        carried: &[Value],
    ) -> Vec<Value> {
        let next = self.b.ins().iadd_imm_s(counter, step);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, to);
        let args = block_args(next, carried);
        self.b.ins().brif(more, head, &args, exit, &args);
        self.enter(exit)
    }

    /// Runs `body` with the counter from `from` up to `to`.
    pub(crate) fn count(
        &mut self,
        from: Value,
        to: Value,
        body: impl FnOnce(&mut Self, Value) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let (head, exit) = self.open(from, to, &[]);
        let counter = self.enter(head)[0];
        body(self, counter)?;
        self.close(head, exit, counter, to, 1, &[]);
        Ok(())
    }
}

fn block_args(counter: Value, carried: &[Value]) -> Vec<BlockArg> {
    let all = [counter].into_iter().chain(carried.iter().copied());
    all.map(BlockArg::from).collect()
}
