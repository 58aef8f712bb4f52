//! Buffers that are written where the last reader of others finds those.
//!
//! In: buffers and tasks. Out: the same tasks on fewer buffers. The gates of an LSTM are stored by the loop that reads its
//! projection `p` `[T,B,4H]` for the last time, point by point, so each goes where its part of `p` was; and the gradients
//! of gates, which are stored by the last reader of the gates, go there after them. One buffer serves for all three, and
//! nothing is read from memory only to be overwritten.
//!
//! Two temporaries whose lives do not meet share memory anyway (see [`super::buffer`]). Here the last reader of one is the
//! first writer of the other. A buffer of a scan's steps may go into a part of a longer one; that is done where all parts
//! are taken, or another buffer follows in the whole: a part alone would keep the rest from being shared.

use super::access;
use super::program::{
    Axis, Buffer, BufferId, Effect, Expr, ExprId, Home, Loop, Scan, Store, Task, View,
};
use super::relocate::{inside, rewrite};
use super::size;
use super::touch::{Touch, touches};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable};

struct Reuse<'a> {
    buffers: &'a [Buffer],
    dims: &'a DimTable,
    /// Uses of each buffer, those of buffers that follow it among them.
    touches: Vec<Vec<Touch>>,
    /// For each buffer that follows another: where the whole of it goes.
    places: Vec<Option<View>>,
    /// Buffers that another may follow.
    free: Vec<bool>,
    /// Buffers that each task uses, or would if others had followed them.
    used: Vec<Vec<BufferId>>,
}

/// Lets buffers follow others in their places; those that have no place of their own any more are gone. The new number of
/// each that is left.
///
/// # Errors
/// `shape::too-large` where a size leaves 64 bits.
pub fn reuse(
    buffers: &mut Vec<Buffer>,
    tasks: &mut [Task],
    dims: &DimTable,
) -> Result<Vec<BufferId>, Diagnostic> {
    let kept = of_weights(buffers, tasks);
    let mut r = Reuse {
        touches: touches(tasks, buffers.len()),
        places: vec![None; buffers.len()],
        free: kept.iter().map(|kept| !kept).collect(),
        used: vec![Vec::new(); tasks.len()],
        buffers,
        dims,
    };
    for (b, touches) in r.touches.iter().enumerate() {
        for t in touches {
            let used = &mut r.used[t.at.0];
            if used.last() != Some(&BufferId(b as u32)) {
                used.push(BufferId(b as u32));
            }
        }
    }
    // Afterwards nothing tells a value that is read too early from the one before it.
    debug_assert!(r.in_order().iter().all(|b| {
        let first = r.touches(*b).first();
        first.is_none_or(|t| t.writes)
    }));
    for (i, task) in tasks.iter().enumerate() {
        if let Task::Scan(s) = task {
            r.parts(i, s)?;
        }
    }
    for n in r.in_order() {
        if let Some(place) = r.followed(n)? {
            r.follow(n, &place)?;
        }
    }
    let stores = r.stores();
    let places = r.places;
    rewrite(buffers, tasks, &places, stores)
}

impl Reuse<'_> {
    fn shape(&self, b: BufferId) -> &[Dim] {
        &self.buffers[b.0 as usize].shape
    }

    /// What stores each buffer that follows another.
    fn stores(&self) -> Vec<Vec<Store>> {
        let follows = self.touches.iter().zip(&self.places);
        let stores = follows.enumerate().map(|(b, (touches, place))| {
            let own = touches.iter().filter(|t| t.view.buffer.0 as usize == b);
            let writes = own.filter(|t| t.writes && place.is_some());
            let store = |t: &Touch| Store {
                by: t.at,
                to: t.view.clone(),
            };
            writes.map(store).collect()
        });
        stores.collect()
    }

    fn touches(&self, b: BufferId) -> &[Touch] {
        &self.touches[b.0 as usize]
    }

    /// Whether it is a temporary with a place of its own.
    fn is_own(&self, b: BufferId) -> bool {
        let temporary = matches!(self.buffers[b.0 as usize].home, Home::Temp(_));
        temporary && self.places[b.0 as usize].is_none()
    }

    /// Temporaries in order of their first use.
    fn in_order(&self) -> Vec<BufferId> {
        let all = (0..self.buffers.len() as u32).map(BufferId);
        let mut own: Vec<BufferId> = all.filter(|b| self.is_own(*b)).collect();
        own.sort_by_key(|b| self.touches(*b).first().map(|t| t.at));
        own
    }

    /// Buffers that the task uses, each once.
    fn used_by(&self, task: usize) -> Vec<BufferId> {
        let used = self.used[task].iter().copied();
        used.filter(|b| self.touches(*b).iter().any(|t| t.at.0 == task))
            .collect()
    }

    /// The place of the first buffer that the whole of `n` can follow.
    fn followed(&self, n: BufferId) -> Result<Option<View>, Diagnostic> {
        let Some(first) = self.touches(n).first() else {
            return Ok(None);
        };
        for old in self.used_by(first.at.0) {
            if old != n && self.shape(old) == self.shape(n) {
                let place = View::whole(old, self.shape(old))?;
                if self.can_follow(n, &place)?.is_some() {
                    return Ok(Some(place));
                }
            }
        }
        Ok(None)
    }

    /// The uses of `n` with this place, if nothing that is there is used later.
    fn can_follow(&self, n: BufferId, place: &View) -> Result<Option<Vec<Touch>>, Diagnostic> {
        let old = place.buffer;
        let elem = |b: BufferId| self.buffers[b.0 as usize].elem;
        let begins = self.touches(n).first().is_some_and(|t| t.writes);
        let alike = elem(old) == elem(n) && place.shape() == self.shape(n);
        let fits = begins && alike && self.free[old.0 as usize];
        if !(fits && self.is_own(old) && self.is_own(n)) {
            return Ok(None);
        }
        let whole = View::whole(n, self.shape(n))?;
        let mut moved = Vec::new();
        for t in self.touches(n) {
            let Some(view) = inside(&t.view, &whole, place) else {
                return Ok(None);
            };
            let t = t.moved(view);
            for before in self.touches(old) {
                if !before.may_precede(&t, self.dims)? {
                    return Ok(None);
                }
            }
            moved.push(t);
        }
        Ok(Some(moved))
    }

    /// Gives `n` this place, where it can have it.
    fn follow(&mut self, n: BufferId, place: &View) -> Result<bool, Diagnostic> {
        let Some(moved) = self.can_follow(n, place)? else {
            return Ok(false);
        };
        let old = place.buffer;
        for t in &moved {
            let used = &mut self.used[t.at.0];
            if !used.contains(&old) {
                used.push(old);
            }
        }
        self.touches[old.0 as usize].extend(moved);
        self.places[n.0 as usize] = Some(place.clone());
        Ok(true)
    }

    /// Lets what the scan stores follow parts of what it reads.
    fn parts(&mut self, task: usize, scan: &Scan) -> Result<(), Diagnostic> {
        let stored = stored(scan);
        for old in self.used_by(task) {
            let regions = self.regions(old, task)?;
            let before = self.touches(old).len();
            let mut taken: Vec<(usize, BufferId)> = Vec::new();
            // What is computed from a part goes there first of all.
            for of_part in [true, false] {
                for (n, reads) in &stored {
                    for (at, region) in regions.iter().enumerate() {
                        let empty = taken.iter().all(|(t, b)| *t != at && b != n);
                        // What depends on the part was tried before the rest.
                        let due = reads.contains(&region.0) == of_part;
                        if empty && due && self.follow(*n, &region.1)? {
                            taken.push((at, *n));
                        }
                    }
                }
            }
            let parts: Vec<&View> = taken.iter().map(|(at, _)| &regions[*at].1).collect();
            if !(self.fill(&parts, old)? || self.has_follower(old)?) {
                self.touches[old.0 as usize].truncate(before);
                for (_, n) in taken {
                    self.places[n.0 as usize] = None;
                }
            }
        }
        Ok(())
    }

    /// The parts of a step that a scan's loops read of a buffer it does not write: as they are read, and in the buffer.
    fn regions(&self, old: BufferId, task: usize) -> Result<Vec<(View, View)>, Diagnostic> {
        let mut out: Vec<(View, View)> = Vec::new();
        if !self.is_own(old) || !self.free[old.0 as usize] {
            return Ok(out);
        }
        let here = self.touches(old).iter().filter(|t| t.at.0 == task);
        for t in here {
            let (Some(step), true, false) = (&t.view.step, t.pointwise, t.writes) else {
                return Ok(Vec::new());
            };
            if out.iter().any(|(v, _)| *v == t.view) {
                continue;
            }
            if !t.is_part_of_step(self.dims)? {
                return Ok(Vec::new());
            }
            let time = Axis {
                size: self.shape(old)[0].clone(),
                stride: step.clone(),
            };
            let whole = View {
                axes: [&[time][..], &t.view.axes].concat(),
                step: None,
                ..t.view.clone()
            };
            if whole.axes.len() == self.shape(old).len() {
                out.push((t.view.clone(), whole));
            }
        }
        Ok(out)
    }

    /// Whether these parts, side by side along the last axis, are all of a buffer.
    fn fill(&self, parts: &[&View], of: BufferId) -> Result<bool, Diagnostic> {
        let Some((last, others)) = self.shape(of).split_last() else {
            return Ok(false);
        };
        let mut columns = size::zero();
        for part in parts {
            match part.shape().split_last() {
                Some((width, same)) if same == others => columns = size::add(&columns, width)?,
                _ => return Ok(false),
            }
        }
        Ok(columns == *last)
    }

    /// Whether the whole of another buffer can follow this one.
    fn has_follower(&self, old: BufferId) -> Result<bool, Diagnostic> {
        let place = View::whole(old, self.shape(old))?;
        for t in self.touches(old) {
            for n in self.used_by(t.at.0) {
                let other = n != old && self.shape(n) == self.shape(old);
                if other && self.can_follow(n, &place)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// What a scan's loops store, in order, each with the loads that it is computed from.
fn stored(scan: &Scan) -> Vec<(BufferId, Vec<View>)> {
    let mut out = Vec::new();
    for task in &scan.body {
        let Task::Loop(l) = task else { continue };
        for e in &l.effects {
            if let Effect::Store { value, to } = e {
                out.push((to.buffer, loads(l, *value)));
            }
        }
    }
    out
}

fn loads(l: &Loop, value: ExprId) -> Vec<View> {
    let needed = l.needed(value);
    let exprs = l.exprs.iter().zip(&needed).filter(|(_, needed)| **needed);
    let load = |(e, _): (&Expr, _)| match e {
        Expr::Load(at) => Some(l.loads[*at].clone()),
        _ => None,
    };
    exprs.filter_map(load).collect()
}

/// Buffers that are made of weights alone: they stay where weights are held from call to call, if nothing follows them.
fn of_weights(buffers: &[Buffer], tasks: &[Task]) -> Vec<bool> {
    let weight = |b: &Buffer| matches!(b.home, Home::Param(_));
    let mut kept: Vec<bool> = buffers.iter().map(weight).collect();
    for task in tasks {
        let touched = access::of(task);
        let mut reads = touched.reads.iter();
        let fixed = !matches!(task, Task::Scan(_)) && reads.all(|v| kept[v.buffer.0 as usize]);
        for v in touched.writes {
            kept[v.buffer.0 as usize] = fixed;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dim::{Binding, Role, Sym};
    use crate::schedule::program::{Binary, Elem, FoldOp, Program};

    /// Lengths known at launch.
    fn dims() -> DimTable {
        let mut dims = DimTable::default();
        for (name, role) in [("T", Role::Time), ("B", Role::Batch)] {
            dims.declare(Sym::new(name), role, Binding::Launch);
        }
        dims
    }

    /// Temporaries `[T,B,columns]` of steps.
    fn buffers(columns: &[i64]) -> Vec<Buffer> {
        let buffer = |(i, n): (usize, &i64)| Buffer {
            name: format!("b{i}"),
            elem: Elem::F32,
            shape: vec![Dim::named("T"), Dim::named("B"), Dim::constant(*n)],
            home: Home::Temp(0),
            life: (0, 0),
            then: Vec::new(),
        };
        columns.iter().enumerate().map(buffer).collect()
    }

    /// Columns `from..from + 2` of a step of a buffer.
    fn part(buffers: &[Buffer], buffer: usize, from: i64) -> View {
        let whole = View::whole(BufferId(buffer as u32), &buffers[buffer].shape);
        let step = whole.unwrap().per_step(0).unwrap();
        step.narrow(1, &Dim::constant(from), &Dim::constant(2))
            .unwrap()
    }

    /// A loop that stores the sum of what it loads.
    fn sum(loads: Vec<View>, to: Vec<View>) -> Task {
        let mut exprs: Vec<Expr> = (0..loads.len()).map(Expr::Load).collect();
        for i in 1..loads.len() as u32 {
            let before = exprs.len() as u32 - 1;
            let before = if i == 1 { 0 } else { before };
            exprs.push(Expr::Binary(Binary::Add, ExprId(before), ExprId(i)));
        }
        if loads.is_empty() {
            exprs.push(Expr::Const(0.0));
        }
        let value = ExprId(exprs.len() as u32 - 1);
        Task::Loop(Loop {
            name: "sum".to_string(),
            space: to[0].shape(),
            reduced: vec![false; to[0].axes.len()],
            loads,
            exprs,
            effects: (to.into_iter().map(|to| Effect::Store { value, to })).collect(),
            epilogue_of: None,
            spans: Vec::new(),
        })
    }

    fn scan(body: Vec<Task>) -> Task {
        Task::Scan(Scan {
            name: "scan".to_string(),
            extent: Dim::named("T"),
            reverse: false,
            body,
            rows_independent: true,
            carries: Vec::new(),
            spans: Vec::new(),
        })
    }

    /// What follows in each buffer that is left.
    fn followed(mut buffers: Vec<Buffer>, mut tasks: Vec<Task>) -> Vec<(String, Vec<String>)> {
        reuse(&mut buffers, &mut tasks, &dims()).unwrap();
        let names = |b: &Buffer| b.then.iter().map(|t| t.name.clone()).collect();
        buffers.iter().map(|b| (b.name.clone(), names(b))).collect()
    }

    fn alone(n: usize) -> Vec<(String, Vec<String>)> {
        (0..n).map(|i| (format!("b{i}"), Vec::new())).collect()
    }

    /// A buffer, two parts stored from its parts, and what is made of them.
    fn gates(b: &[Buffer]) -> [Task; 3] {
        let stored = |i, from| sum(vec![part(b, 0, from)], vec![part(b, i, 0)]);
        [
            scan(vec![sum(vec![], vec![part(b, 0, 0), part(b, 0, 2)])]),
            scan(vec![stored(1, 0), stored(2, 2)]),
            scan(vec![sum(
                vec![part(b, 1, 0), part(b, 2, 0)],
                vec![part(b, 3, 0), part(b, 3, 2)],
            )]),
        ]
    }

    #[test]
    fn parts_follow_in_parts_and_a_whole_after_them() {
        let b = buffers(&[4, 2, 2, 4]);
        let tasks = gates(&b).to_vec();
        let then = ["b1", "b2", "b3"].map(str::to_string).to_vec();
        assert_eq!(followed(b, tasks), [("b0".to_string(), then)]);
    }

    #[test]
    fn what_is_read_later_keeps_its_place() {
        let b = buffers(&[4, 2, 2, 4, 2]);
        let read = |v| scan(vec![sum(vec![v], vec![part(&b, 4, 0)])]);
        // The buffer that is read first is still needed: nothing goes into its parts, nor after them.
        let mut tasks = gates(&b).to_vec();
        tasks.push(read(part(&b, 0, 0)));
        let want = alone(5);
        assert_eq!(followed(b.clone(), tasks), want);
        // One part is needed after the step that gradients are stored at: parts follow, the whole does not.
        let mut tasks = gates(&b).to_vec();
        tasks.push(read(part(&b, 1, 0)));
        let got = followed(b.clone(), tasks);
        assert_eq!(got[0].1, ["b1", "b2"]);
        assert_eq!(got[1].0, "b3");
    }

    #[test]
    fn each_part_is_called_by_what_is_in_it() {
        let mut b = buffers(&[4, 2, 2, 4]);
        let [make, store, _] = gates(&b);
        // The second half is replaced before the first one is read.
        let late = sum(vec![part(&b, 2, 0)], vec![part(&b, 3, 2)]);
        let early = sum(vec![part(&b, 1, 0)], vec![part(&b, 3, 0)]);
        let mut tasks = vec![make, store, scan(vec![late, early])];
        reuse(&mut b, &mut tasks, &dims()).unwrap();
        assert_eq!(b.len(), 1);
        let program = Program {
            name: "halves".to_string(),
            dims: dims(),
            buffers: b,
            slots: Vec::new(),
            params: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            tasks,
            begun: Vec::new(),
        };
        let text = program.to_string();
        for line in ["b3[t]@2 = b2[t]", "b3[t] = b1[t]"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("in b0@2 from task 1.1"), "{text}");
    }

    #[test]
    fn what_is_read_repeatedly_is_no_place() {
        let b = buffers(&[4, 2, 2, 4]);
        let [make, _, last] = gates(&b);
        let first = part(&b, 0, 0);
        // One column for both.
        let mut repeated = first.clone();
        repeated.axes[1].stride = Dim::constant(0);
        for (load, follows) in [(first, true), (repeated, false)] {
            let other = sum(vec![part(&b, 0, 2)], vec![part(&b, 2, 0)]);
            let body = vec![sum(vec![load], vec![part(&b, 1, 0)]), other];
            let got = followed(b.clone(), vec![make.clone(), scan(body), last.clone()]);
            assert_eq!(got[0].1.contains(&"b1".to_string()), follows);
        }
    }

    #[test]
    fn a_part_alone_stays_where_it_is() {
        let b = buffers(&[4, 2]);
        let [make, ..] = gates(&buffers(&[4, 2, 2, 4]));
        let tasks = vec![
            make,
            scan(vec![sum(
                vec![part(&b, 0, 0), part(&b, 0, 2)],
                vec![part(&b, 1, 0)],
            )]),
        ];
        assert_eq!(followed(b, tasks), alone(2));
    }

    #[test]
    fn other_points_and_sums_do_not_follow() {
        let b = buffers(&[4, 4]);
        let [make, ..] = gates(&buffers(&[4, 2, 2, 4]));
        // Crosswise: at a point another one is read.
        let cross = sum(vec![part(&b, 0, 2)], vec![part(&b, 1, 0)]);
        let across = sum(vec![part(&b, 0, 0)], vec![part(&b, 1, 2)]);
        let body = vec![cross, across];
        assert_eq!(
            followed(b.clone(), vec![make.clone(), scan(body)]),
            alone(2)
        );
        // A sum is written before all of what it is made of is read.
        let step = |i| View::whole(BufferId(i), &b[0].shape).unwrap();
        let mut fold = match sum(vec![step(0)], vec![step(1)]) {
            Task::Loop(l) => l,
            _ => unreachable!("a loop"),
        };
        let same = Task::Loop(fold.clone());
        assert_eq!(followed(b.clone(), vec![make.clone(), same])[0].1, ["b1"]);
        fold.effects = vec![Effect::Fold {
            op: FoldOp::Sum,
            value: ExprId(0),
            to: step(1),
        }];
        assert_eq!(followed(b, vec![make, Task::Loop(fold)]), alone(2));
    }
}
