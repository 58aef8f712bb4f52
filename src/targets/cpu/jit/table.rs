//! What compiled code reads of a call: one table of 64-bit slots a worker.
//!
//! In: the sizes and buffers that tasks ask for while they are compiled. Out: [`Table`], from which a launch fills the
//! slots. Every function has slots of its own, in the order in which it asked: functions that differ only in their
//! buffers, as the layers of a stack do, are then one piece of code. Sizes known when compiling become constants in the code and have no cell; polynomials of launch sizes are
//! evaluated once a call, with checked arithmetic, and read from their cell. So one compile serves every batch size.

use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable};
use crate::schedule::program::BufferId;

/// What one slot of the table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// The key of random draws: two words, the first in the low half.
    Key,
    /// The step of random draws.
    Step,
    /// The worker's own scratch memory, for matrix products that pack as they go.
    Scratch,
    /// The address of the worker's own counters, in code that is profiled.
    Counters,
    /// Address of a buffer's first element.
    Buffer(BufferId),
    /// Address of the packed panels of this index.
    Panel(usize),
    /// 1 where the panels of this index are packed in this call, else 0.
    Packed(usize),
    /// Words of one packed matrix among the panels of this index.
    PanelBlock(usize),
    /// Those of them that each worker reads in a step where scans are divided by columns; 0 where none is.
    PanelShare(usize),
    /// A polynomial of launch sizes.
    Size(Dim),
    /// The address of the worker's own word that holds where step 0 of this one of [`Table::windowed`] would be.
    Window(usize),
    /// Steps for which the products of this index are made at a time (see [`super::ahead`]); 0 where all were before.
    Ahead(usize),
}

/// A size as compiled code sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Known(i64),
    /// In this one of the function's slots.
    Cell(usize),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    dims: DimTable,
    /// What is read by any function, each once.
    cells: Vec<Cell>,
    /// The cell in each slot, function after function.
    slots: Vec<usize>,
    /// The first slot of the function under construction.
    start: usize,
    /// Buffers of which a few steps at a time may be in memory, one after another in the same place.
    pub(crate) windowed: Vec<BufferId>,
}

impl Table {
    pub(crate) fn new(dims: &DimTable) -> Table {
        Table {
            dims: dims.clone(),
            cells: Vec::new(),
            slots: Vec::new(),
            start: 0,
            windowed: Vec::new(),
        }
    }

    /// Begins the slots of a function; gives the first.
    pub(crate) fn begin(&mut self) -> usize {
        self.start = self.slots.len();
        self.start
    }

    /// The first slot of the function under construction.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The cell in each slot.
    pub(crate) fn slots(&self) -> &[usize] {
        &self.slots
    }

    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The place of a cell among the slots of the function under construction.
    pub(crate) fn cell(&mut self, cell: Cell) -> usize {
        let known = self.cells.iter().position(|c| *c == cell);
        let cell = known.unwrap_or_else(|| {
            self.cells.push(cell);
            self.cells.len() - 1
        });
        let own = &self.slots[self.start..];
        own.iter().position(|c| *c == cell).unwrap_or_else(|| {
            self.slots.push(cell);
            self.slots.len() - 1 - self.start
        })
    }

    /// The polynomial with static symbols replaced by their values.
    pub(crate) fn fix(&self, d: &Dim) -> Result<Dim, Diagnostic> {
        d.subst(&|s| self.dims.static_value(s).map(Dim::constant))
            .map_err(|_| too_large(d))
    }

    /// The size as a constant or the cell that will hold it; `d` is fixed.
    pub(crate) fn size(&mut self, d: &Dim) -> Size {
        match d.as_const() {
            Some(n) => Size::Known(n),
            None => Size::Cell(self.cell(Cell::Size(d.clone()))),
        }
    }
}

pub(crate) fn too_large(d: &Dim) -> Diagnostic {
    Diagnostic::error(
        "resource::size",
        format!("the size {d} is too large to address"),
    )
}
