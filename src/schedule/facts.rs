//! Who defines and who uses each value of a function, and in which region.
//!
//! In: an [`ir::Func`]. Out: [`Facts`], valid until the function is changed.

use crate::ir::{Func, OpId, OpKind, Region, Scan, ValueId};

/// The region an op stands in: the function's own, or the body of this scan.
pub type Site = Option<OpId>;

/// One use of a value. A scan's own uses are told apart, as they ask for different storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Argument of an op that is no scan, at this place.
    Arg(OpId, usize),
    SliceOf(OpId),
    InitOf(OpId, usize),
    NextOf(OpId, usize),
    StackOf(OpId, usize),
    LenOf(OpId),
    Output(usize),
}

/// What gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Def {
    Param(usize),
    Input(usize),
    /// Result of this op, at this place.
    Op(OpId, usize),
    /// Inside the scan's body.
    Slice(OpId, usize),
    CarryParam(OpId, usize),
    Valid(OpId),
    /// Results of a scan.
    Stack(OpId, usize),
    Last(OpId, usize),
    /// Nothing live.
    None,
}

pub struct Facts {
    pub def: Vec<Def>,
    /// The region where the value can first be read.
    pub site: Vec<Site>,
    pub uses: Vec<Vec<Use>>,
}

impl Facts {
    pub fn of(func: &Func) -> Facts {
        let n = func.values.len();
        let mut facts = Facts {
            def: vec![Def::None; n],
            site: vec![None; n],
            uses: vec![Vec::new(); n],
        };
        for (i, p) in func.params.iter().enumerate() {
            facts.def[p.value.0 as usize] = Def::Param(i);
        }
        for (i, p) in func.inputs.iter().enumerate() {
            facts.def[p.value.0 as usize] = Def::Input(i);
        }
        facts.region(func, &func.body, None);
        for (i, o) in func.outputs.iter().enumerate() {
            facts.used(o.value, Use::Output(i));
        }
        facts
    }

    fn region(&mut self, func: &Func, region: &Region, site: Site) {
        for &id in &region.ops {
            let op = func.op(id);
            if let OpKind::Scan(scan) = &op.kind {
                self.scan(func, id, scan, site);
                continue;
            }
            for (i, &a) in op.args.iter().enumerate() {
                self.used(a, Use::Arg(id, i));
            }
            for (i, &r) in op.results.iter().enumerate() {
                self.defined(r, Def::Op(id, i), site);
            }
        }
    }

    fn scan(&mut self, func: &Func, id: OpId, scan: &Scan, site: Site) {
        let inside = Some(id);
        for (i, s) in scan.slices.iter().enumerate() {
            self.used(s.from, Use::SliceOf(id));
            self.defined(s.to, Def::Slice(id, i), inside);
        }
        for (i, c) in scan.carries.iter().enumerate() {
            self.used(c.init, Use::InitOf(id, i));
            self.defined(c.param, Def::CarryParam(id, i), inside);
        }
        if let Some(len) = scan.len {
            self.used(len, Use::LenOf(id));
        }
        if let Some(valid) = scan.valid {
            self.defined(valid, Def::Valid(id), inside);
        }
        self.region(func, &scan.body, inside);
        for (i, c) in scan.carries.iter().enumerate() {
            self.used(c.next, Use::NextOf(id, i));
            self.defined(c.last, Def::Last(id, i), site);
        }
        for (i, s) in scan.stacks.iter().enumerate() {
            self.used(s.from, Use::StackOf(id, i));
            self.defined(s.to, Def::Stack(id, i), site);
        }
    }

    fn used(&mut self, v: ValueId, by: Use) {
        self.uses[v.0 as usize].push(by);
    }

    fn defined(&mut self, v: ValueId, def: Def, site: Site) {
        self.def[v.0 as usize] = def;
        self.site[v.0 as usize] = site;
    }

    pub fn def(&self, v: ValueId) -> Def {
        self.def[v.0 as usize]
    }

    pub fn site(&self, v: ValueId) -> Site {
        self.site[v.0 as usize]
    }

    pub fn uses(&self, v: ValueId) -> &[Use] {
        &self.uses[v.0 as usize]
    }

    /// The op that computes the value, where one does (a scan's results do not count).
    pub fn op_of(&self, v: ValueId) -> Option<OpId> {
        match self.def(v) {
            Def::Op(id, _) => Some(id),
            Def::Param(_)
            | Def::Input(_)
            | Def::Slice(..)
            | Def::CarryParam(..)
            | Def::Valid(_)
            | Def::Stack(..)
            | Def::Last(..)
            | Def::None => None,
        }
    }
}

/// The scan at `id`.
///
/// # Panics
/// Where the op is another kind: callers get `id` from a [`Def`] or [`Use`] of a scan.
pub fn scan_at(func: &Func, id: OpId) -> &Scan {
    match &func.op(id).kind {
        OpKind::Scan(s) => s,
        other => unreachable!("op {} is {other:?}, not a scan", id.0),
    }
}

/// By op, its place in the order of execution.
pub fn positions(func: &Func) -> Vec<usize> {
    fn visit(func: &Func, ops: &[OpId], next: &mut usize, out: &mut [usize]) {
        for &id in ops {
            if let OpKind::Scan(scan) = &func.op(id).kind {
                visit(func, &scan.body.ops, next, out);
            }
            out[id.0 as usize] = *next;
            *next += 1;
        }
    }
    let mut out = vec![0; func.ops.len()];
    visit(func, &func.body.ops, &mut 0, &mut out);
    out
}
