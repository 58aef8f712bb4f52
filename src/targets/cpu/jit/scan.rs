//! Tasks to functions, and the loop over time that calls them.
//!
//! In: a program's tasks. Out: a function each; for a scan one that calls its body's functions step by step. Where no
//! task of the body mixes rows of the batch, a range of the scan is a range of rows, run over all steps without meeting
//! another worker. Where there are too few rows for that, see [`super::by_columns`].

use cranelift_codegen::ir::{InstBuilder, Value};

use super::ahead;
use super::asm::Asm;
use super::gemm::{self, Shape};
use super::loops;
use super::nest::{Nest, Ranges};
use super::panels;
use super::probe::{self, Probe};
use super::recast;
use super::step::{Function, Kind, Panel, Split, TaskFn, Work};
use super::{Generator, Pending};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, show};
use crate::schedule::program::{Effect, Gemm, GemmClass, Home, Loop, Scan, Task};

/// Nanoseconds for one instruction of a loop on one float, four at a time.
const LOOP_NS: f64 = 0.08;
/// Nanoseconds for one multiply-add of a matrix product.
const GEMM_NS: f64 = 0.025;
/// Columns that a loop's cut is a multiple of: a cache line.
const LINE: usize = 16;

/// Where a task stands.
#[derive(Clone, Debug)]
enum Around {
    Top,
    /// In a scan's body; in a top-level scan, whose turns are these, invariant operands may be packed.
    Scan {
        rows: Option<Dim>,
        turns: Option<Dim>,
    },
}

/// A task of a scan's body.
pub(super) struct Inner {
    pub(super) task: TaskFn,
    /// Where it is timed.
    pub(super) probe: Option<usize>,
}

impl Generator<'_> {
    /// All top-level tasks, with what is packed before them.
    pub(super) fn steps(&mut self) -> Result<Vec<Pending>, Diagnostic> {
        let program = self.program;
        let mut steps = Vec::new();
        self.find_ahead()?;
        for (place, task) in program.tasks.iter().enumerate() {
            let mut packs = Vec::new();
            self.place = vec![place];
            let mut by_columns = None;
            let compiled = match task {
                Task::Scan(s) => {
                    let (task, body) = self.scan(s, &Around::Top, &mut packs)?;
                    by_columns = self.by_columns(s, &task, &body)?.map(Box::new);
                    task
                }
                Task::Gemm(_) | Task::Loop(_) | Task::Routine { .. } => {
                    self.task(task, &Around::Top, &mut packs)?
                }
            };
            let kind = match task {
                Task::Gemm(_) => Kind::Gemm,
                Task::Loop(_) => Kind::Loop,
                Task::Scan(_) => Kind::Scan(by_columns),
                Task::Routine { .. } => Kind::Routine,
            };
            let task = compiled;
            for (panel, task) in packs {
                let kind = Kind::Pack(panel);
                steps.push(Pending { task, kind, place });
            }
            self.note_ahead(place, &task);
            steps.push(Pending { task, kind, place });
        }
        Ok(steps)
    }

    fn task(
        &mut self,
        task: &Task,
        around: &Around,
        packs: &mut Vec<(usize, TaskFn)>,
    ) -> Result<TaskFn, Diagnostic> {
        match task {
            Task::Loop(l) => self.fused(l, around),
            Task::Gemm(g) => self.product(g, around, packs),
            Task::Scan(s) => Ok(self.scan(s, around, packs)?.0),
            Task::Routine {
                name,
                routine,
                spans: _,
            } => {
                let rows = matches!(around, Around::Scan { rows: Some(_), .. });
                self.routine(name, routine, rows)
            }
        }
    }

    fn fused(&mut self, l: &Loop, around: &Around) -> Result<TaskFn, Diagnostic> {
        let rows = matches!(around, Around::Scan { rows: Some(_), .. });
        let (code, nest) = self.group(l, if rows { Ranges::Rows } else { Ranges::Outer })?;
        let sizes: Vec<&Dim> = nest.axes.iter().map(|a| &a.size).collect();
        let weight: usize = l.exprs.iter().map(super::points::weight).sum();
        let per_point = LOOP_NS * (weight + l.loads.len() + l.effects.len()) as f64;
        let grain = if nest.split_is_vector() && !rows {
            LINE
        } else {
            1
        };
        let rows = nest.split.as_ref().map(|extent| Split {
            extent: extent.clone(),
            grain,
        });
        let folds = l.effects.iter().any(|e| matches!(e, Effect::Fold { .. }));
        let columns = folds && nest.vector.is_some_and(|v| v < nest.first_reduced);
        let line = format!(
            "loop {:<14} {} {}, {} exprs, {} vectors",
            short(&l.name),
            show(&l.space),
            match (folds, columns) {
                (false, _) => "map",
                (true, true) => "fold columns",
                (true, false) => "fold lanes",
            },
            l.exprs.len(),
            loops::unroll(l, columns),
        );
        Ok(TaskFn {
            code,
            lines: vec![line],
            rows,
            columns: None,
            work: Work::of(per_point, sizes),
        })
    }

    /// A group's function over such ranges.
    pub(super) fn group(
        &mut self,
        l: &Loop,
        ranges: Ranges,
    ) -> Result<(Function, Nest), Diagnostic> {
        let nest = Nest::new(l, &self.table, ranges)?;
        let mut parts = Vec::new();
        for part in recast::apart(l) {
            let own = Nest::new(&part, &self.table, ranges)?;
            let elems = part.loads.iter().map(|v| self.elem(v)).collect();
            parts.push((part, own, elems));
        }
        // All parts take the same range.
        if parts.iter().any(|(_, own, _)| !own.divides_as(&nest)) {
            let elems = l.loads.iter().map(|v| self.elem(v)).collect();
            parts = vec![(l.clone(), nest.clone(), elems)];
        }
        let code = self.function("loop", &l.name, |asm| {
            for (l, nest, elems) in parts {
                loops::emit(asm, &l, &nest, elems)?;
            }
            Ok(())
        })?;
        Ok((code, nest))
    }

    fn product(
        &mut self,
        g: &Gemm,
        around: &Around,
        packs: &mut Vec<(usize, TaskFn)>,
    ) -> Result<TaskFn, Diagnostic> {
        if let Some(l) = recast::dot(g, &self.table)? {
            self.direct.insert(g.rhs.buffer);
            return self.fused(&l, around);
        }
        let uses = match around {
            Around::Top => Some(Vec::new()),
            Around::Scan { turns, .. } if g.rhs_invariant => turns.clone().map(|t| vec![t]),
            Around::Scan { .. } => None,
        };
        let mut shape = Shape::new(g, &self.table, uses.is_some().then_some(self.panels.len()))?;
        if let (Some(_), Some(mut uses)) = (shape.panel, uses) {
            uses.extend(shape.row_sizes());
            shape.halves = self.halves.contains(&g.rhs.buffer);
            let (panel, pack) = self.panel(g, &shape, uses)?;
            shape.panel = Some(panel);
            packs.extend(pack.map(|task| (panel, task)));
        }
        if shape.panel.is_none() {
            self.direct.insert(g.rhs.buffer);
        }
        let code = self.function("gemm", &g.name, |asm| gemm::emit(asm, &shape))?;
        let [m, n, k] = shape.kernel();
        self.products.push([n.clone(), k.clone()]);
        let (mr, nr) = (self.kernels.mr, self.kernels.nr);
        let (row_grain, column_grain) = if !g.batch.is_empty() {
            (1, nr)
        } else if shape.turned {
            (nr, mr)
        } else {
            (mr, nr)
        };
        let split = |extent: &Dim, grain: usize| Split {
            extent: extent.clone(),
            grain,
        };
        let line = format!(
            "gemm {:<14} {m} x {n} x {k}, {}{}",
            g.name,
            match (shape.panel, g.class) {
                (Some(p), _) => format!("panels {p}{}", panels::note(shape.halves)),
                (None, GemmClass::PackedWeight) => "packed each time".to_string(),
                (None, GemmClass::OneShot) => "packed by blocks".to_string(),
            },
            if shape.turned { ", turned" } else { "" },
        );
        Ok(TaskFn {
            code,
            lines: vec![line],
            rows: shape.rows.as_ref().map(|d| split(d, row_grain)),
            columns: Some(split(&shape.columns, column_grain)),
            work: Work::of(GEMM_NS, shape.sizes()),
        })
    }

    /// The panels of a product's right operand: those of an equal earlier one where it is a weight, else new ones with
    /// the function that fills them.
    fn panel(
        &mut self,
        g: &Gemm,
        shape: &Shape,
        uses: Vec<Dim>,
    ) -> Result<(usize, Option<TaskFn>), Diagnostic> {
        let key = shape.right_key();
        let weight = matches!(self.program.buffer(g.rhs.buffer).home, Home::Param(_));
        if weight && let Some(i) = self.panels.iter().position(|p| p.key == key) {
            self.panels[i].uses.push(uses);
            return Ok((i, None));
        }
        let panel = self.panels.len();
        let [_, n, k] = shape.kernel();
        let blocks = shape.blocks();
        self.panels.push(Panel {
            n: n.clone(),
            k: k.clone(),
            blocks: blocks.clone(),
            uses: vec![uses],
            halves: shape.halves,
            key,
            source: g.rhs.buffer,
        });
        let code = self.function("pack", &g.name, |asm| gemm::emit_pack(asm, shape))?;
        let rhs = &self.program.buffer(g.rhs.buffer).name;
        let sizes: Vec<&Dim> = [n, k].into_iter().chain(&blocks).collect();
        let task = TaskFn {
            code,
            lines: vec![format!(
                "pack {rhs:<14} {k} x {n} into panels {panel}{}",
                panels::note(shape.halves)
            )],
            rows: Some(Split {
                extent: n.clone(),
                grain: self.kernels.nr,
            }),
            columns: None,
            work: Work::of(0.3, sizes),
        };
        Ok((panel, Some(task)))
    }

    /// A scan, and its body's tasks.
    fn scan(
        &mut self,
        s: &Scan,
        around: &Around,
        packs: &mut Vec<(usize, TaskFn)>,
    ) -> Result<(TaskFn, Vec<Inner>), Diagnostic> {
        let extent = self.table.fix(&s.extent)?;
        let (rows, turns) = match around {
            Around::Top => (self.common_rows(s)?, Some(extent.clone())),
            Around::Scan { rows, .. } => (rows.clone(), None),
        };
        let inside = Around::Scan {
            rows: rows.clone(),
            turns,
        };
        let mut body = Vec::new();
        for (place, task) in s.body.iter().enumerate() {
            self.place.push(place);
            let task = self.task(task, &inside, packs)?;
            let probe = self.probes.as_mut().map(|all| {
                all.push(Probe {
                    place: self.place.clone(),
                    within: self.place[0],
                    line: task.lines[0].clone(),
                });
                all.len() - 1
            });
            self.place.pop();
            body.push(Inner { task, probe });
        }
        let extents = |Inner { task: t, .. }: &Inner| {
            let extent = |s: &Option<Split>| s.as_ref().map(|s| s.extent.clone());
            (t.code, extent(&t.rows), extent(&t.columns))
        };
        let calls: Vec<(Function, Option<Dim>, Option<Dim>)> = body.iter().map(extents).collect();
        let probes: Vec<usize> = body.iter().filter_map(|t| t.probe).collect();
        let (reverse, by_rows) = (s.reverse, rows.is_some());
        let ahead = match around {
            Around::Top => self.ahead.iter().position(|a| a.scan == self.place[0]),
            Around::Scan { .. } => None,
        };
        let ahead = ahead.map(|i| (i, self.ahead[i].clone()));
        let made_ahead = ahead.as_ref().map_or(String::new(), |(_, a)| a.note());
        let first_probe = ahead.as_ref().and_then(|(_, a)| self.probe_ahead(a));
        let code = self.function("scan", &s.name, |asm| {
            let turns = asm.size(&extent)?;
            let (zero, one) = (asm.int(0), asm.int(1));
            let mut ranges = Vec::new();
            for (code, rows, columns) in &calls {
                let hi = match rows {
                    Some(d) => asm.size(d)?,
                    None => one,
                };
                let (lo, hi) = if by_rows {
                    (asm.params.lo, asm.params.hi)
                } else {
                    (zero, hi)
                };
                let columns = match columns {
                    Some(d) => asm.size(d)?,
                    None => zero,
                };
                let table = asm.table_of(code.slots);
                ranges.push((code.id, table, lo, hi, columns));
            }
            let last = asm.b.ins().iadd_imm_s(turns, -1);
            if !probes.is_empty() {
                probe::emit(asm, None)?;
            }
            let step = &mut |asm: &mut Asm<'_, '_>, i: Value| {
                let t = if reverse {
                    asm.b.ins().isub(last, i)
                } else {
                    i
                };
                for (i, (id, table, lo, hi, columns)) in ranges.iter().enumerate() {
                    asm.call(*id, &[*table, t, *lo, *hi, zero, *columns]);
                    if let Some(probe) = probes.get(i) {
                        probe::emit(asm, Some(*probe))?;
                    }
                }
                Ok(())
            };
            match &ahead {
                None => asm.count(zero, turns, step),
                Some((i, a)) => ahead::emit(asm, (*i, a), turns, reverse, first_probe, step),
            }
        })?;
        let mut work = Work::default();
        let mut lines = vec![format!(
            "scan {:<14} {} steps{}, {}{}",
            short(&s.name),
            s.extent,
            if s.reverse { " backwards" } else { "" },
            match &rows {
                Some(rows) => format!("each worker its rows of {rows}"),
                None => "one worker".to_string(),
            },
            made_ahead,
        )];
        for Inner { task: t, .. } in &body {
            work.add(&t.work);
            lines.extend(t.lines.iter().map(|l| format!("  {l}")));
        }
        let task = TaskFn {
            code,
            lines,
            rows: rows.map(|extent| Split { extent, grain: 1 }),
            columns: None,
            work: work.times(&extent),
        };
        Ok((task, body))
    }
}

/// The first of a group's names and how many more there are.
fn short(names: &str) -> String {
    match names.split_once(", ") {
        Some((first, rest)) => format!("{first} +{}", rest.split(", ").count()),
        None => names.to_string(),
    }
}
