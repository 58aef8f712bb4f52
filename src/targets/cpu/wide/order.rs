//! The order of one vector's instructions.
//!
//! In: instructions as the group's expressions give them, one chain of dependent ones after another. Out: the same ones,
//! chains interleaved, so that an instruction rarely waits for the one before.
//!
//! List scheduling by the longest way to the end, until as many vectors are alive as may be; from there on what ends
//! more vectors than it begins goes first (Goodman and Hsu, Code scheduling and register allocation in large basic
//! blocks, 1988). Nothing is computed otherwise than before, so no bit changes.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::code::Inst;
use super::cycles::{Pipe, latency, pipe};

/// Of the instructions that can run, so many in the group's order are compared.
const COMPARED: usize = 64;

/// Loads where their vectors are first read, which keeps fewest alive, and before anything is stored.
pub(super) fn late(insts: &[Inst], vectors: u32) -> Vec<Inst> {
    let mut waiting: Vec<Option<&Inst>> = vec![None; vectors as usize];
    let mut out = Vec::with_capacity(insts.len());
    for inst in insts {
        if let Inst::Load { to, .. } = inst {
            waiting[to.0 as usize] = Some(inst);
            continue;
        }
        if let Inst::Store { .. } = inst {
            out.extend(waiting.iter_mut().filter_map(Option::take).cloned());
        }
        for v in inst.reads() {
            out.extend(waiting[v.0 as usize].take().cloned());
        }
        out.push(inst.clone());
    }
    out
}

/// What is known of each instruction.
struct Node {
    reads: Vec<usize>,
    writes: Option<usize>,
    /// Cycles from its begin to the end of the vector, if nothing waits.
    height: u32,
    /// Vectors it reads that are not there yet.
    missing: usize,
}

struct Lister<'c> {
    insts: &'c [Inst],
    nodes: Vec<Node>,
    /// Readers of each vector.
    readers: Vec<Vec<usize>>,
    /// Reads of each vector that are still to come.
    left: Vec<usize>,
    /// When each vector is there.
    there: Vec<u32>,
    /// When each pipe takes its next instruction.
    free: [u32; Pipe::COUNT],
    now: u32,
    alive: usize,
}

/// `insts` in an order that waits less, with no more than about `most` vectors alive beside single numbers. Stores come
/// after all loads, as a row may be overwritten by what is computed of it.
pub(super) fn order(insts: &[Inst], vectors: u32, most: usize) -> Vec<Inst> {
    let mut out: Vec<Inst> = Vec::with_capacity(insts.len());
    // Numbers are made where they are needed.
    let number = |inst: &&Inst| matches!(inst, Inst::Splat { .. });
    out.extend(insts.iter().filter(number).cloned());
    let rest: Vec<Inst> = insts.iter().filter(|i| !number(i)).cloned().collect();
    let mut l = Lister::new(&rest, vectors);
    let is_store = |i: &usize| matches!(rest[*i], Inst::Store { .. });
    let is_load = |i: &usize| matches!(rest[*i], Inst::Load { .. });
    let mut loads = (0..rest.len()).filter(is_load).count();
    let can_run = |i: &usize| l.nodes[*i].missing == 0;
    // A number can be stored at once, but for what is still to be read where it goes.
    let held = |i: &usize| is_store(i) && loads > 0;
    let (mut stores, ready): (Vec<usize>, Vec<usize>) =
        (0..rest.len()).filter(can_run).partition(held);
    let mut ready = BTreeSet::from_iter(ready);
    while let Some(i) = l.best(&ready, most) {
        ready.remove(&i);
        for next in l.run(i) {
            match is_store(&next) && loads > 0 {
                true => stores.push(next),
                false => {
                    ready.insert(next);
                }
            }
        }
        if is_load(&i) {
            loads -= 1;
            if loads == 0 {
                ready.extend(stores.drain(..));
            }
        }
        out.push(rest[i].clone());
    }
    out
}

impl Lister<'_> {
    fn new(insts: &[Inst], vectors: u32) -> Lister<'_> {
        let mut written = vec![false; vectors as usize];
        for v in insts.iter().filter_map(Inst::writes) {
            written[v.0 as usize] = true;
        }
        let mut readers = vec![Vec::new(); vectors as usize];
        let mut nodes = Vec::with_capacity(insts.len());
        for (i, inst) in insts.iter().enumerate() {
            let mut reads: Vec<usize> = inst.reads().iter().map(|v| v.0 as usize).collect();
            reads.retain(|v| written[*v]);
            reads.sort_unstable();
            reads.dedup();
            for v in &reads {
                readers[*v].push(i);
            }
            nodes.push(Node {
                missing: reads.len(),
                reads,
                writes: inst.writes().map(|v| v.0 as usize),
                height: 0,
            });
        }
        for i in (0..insts.len()).rev() {
            let users = nodes[i].writes.map_or(&[][..], |v| &readers[v]);
            let highest = users.iter().map(|u| nodes[*u].height).max();
            nodes[i].height = latency(&insts[i]) + highest.unwrap_or(0);
        }
        Lister {
            insts,
            nodes,
            left: readers.iter().map(Vec::len).collect(),
            there: vec![0; vectors as usize],
            readers,
            free: [0; Pipe::COUNT],
            now: 0,
            alive: 0,
        }
    }

    /// When instruction `i` can begin.
    fn begin(&self, i: usize) -> u32 {
        let reads = self.nodes[i].reads.iter().map(|v| self.there[*v]);
        let free = self.free[pipe(&self.insts[i]) as usize];
        reads.max().unwrap_or(0).max(free).max(self.now)
    }

    /// Vectors that end with instruction `i`.
    fn ends(&self, i: usize) -> usize {
        let reads = self.nodes[i].reads.iter();
        reads.filter(|v| self.left[**v] == 1).count()
    }

    /// The instruction to go next.
    fn best(&self, ready: &BTreeSet<usize>, most: usize) -> Option<usize> {
        let full = self.alive >= most;
        let key = |i: &usize| {
            let begins = usize::from(self.nodes[*i].writes.is_some());
            let (node, ends) = (&self.nodes[*i], self.ends(*i));
            match full && begins > ends {
                // In the group's order where all would begin vectors.
                true => (true, 0, Reverse(0), *i),
                false => (false, self.begin(*i), Reverse(node.height), *i),
            }
        };
        ready.iter().take(COMPARED).copied().min_by_key(key)
    }

    /// Runs `i`; what can run after it.
    fn run(&mut self, i: usize) -> Vec<usize> {
        let begin = self.begin(i);
        self.now = begin;
        let (inst, node) = (&self.insts[i], &self.nodes[i]);
        self.free[pipe(inst) as usize] = begin + 1;
        for v in &node.reads {
            self.left[*v] -= 1;
            self.alive -= usize::from(self.left[*v] == 0);
        }
        let Some(v) = node.writes else {
            return Vec::new();
        };
        self.there[v] = begin + latency(inst);
        self.alive += 1;
        let mut next = Vec::new();
        for reader in &self.readers[v] {
            self.nodes[*reader].missing -= 1;
            if self.nodes[*reader].missing == 0 {
                next.push(*reader);
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::{Code, Src, Two, V};
    use super::super::math::float;
    use super::*;

    /// Gates of a cell and what is made of them, stored where the first was read.
    fn cell(gates: usize) -> Code {
        let mut code = Code::new(gates);
        let mut values = Vec::new();
        for pointer in 0..gates {
            let x = code.load(pointer, 0, false);
            values.push(code.sigmoid(x));
        }
        let mut sum = values[0];
        for v in &values[1..] {
            let t = code.tanh(sum);
            sum = code.two(Two::Mul, Src::Reg(t), Src::Reg(*v));
        }
        for (pointer, v) in values.into_iter().enumerate() {
            code.store(v, pointer, 0);
        }
        code.store(sum, 0, 64);
        let zero = code.reg(float(0.0));
        code.store(zero, gates - 1, 0);
        code
    }

    /// The most vectors alive at once, beside single numbers.
    fn most_alive(insts: &[Inst]) -> usize {
        let made = |v: &V| {
            let makes = |i: &Inst| !matches!(i, Inst::Splat { .. }) && i.writes() == Some(*v);
            insts.iter().position(makes)
        };
        let reads = |i: usize| insts[i].reads().into_iter().filter_map(|v| made(&v));
        let lasts = (0..insts.len()).flat_map(|i| reads(i).map(move |v| (v, i)));
        let mut ends = vec![0; insts.len()];
        lasts.for_each(|(v, i)| ends[v] = i.max(ends[v]));
        let alive = |i: usize| (0..=i).filter(|v| ends[*v] > i).count();
        (0..insts.len()).map(alive).max().unwrap_or(0)
    }

    /// Neighbours of which the second waits for the first.
    fn waits(insts: &[Inst]) -> usize {
        let pairs = insts.windows(2);
        let next = pairs.filter(|w| w[0].writes().is_some_and(|v| w[1].reads().contains(&v)));
        next.filter(|w| latency(&w[0]) > 1).count()
    }

    #[test]
    fn chains_are_interleaved_and_nothing_is_read_too_early() {
        let code = cell(4);
        let got = order(&code.insts, code.vectors, 24);
        assert_eq!(got.len(), code.insts.len());
        let mut written = vec![false; code.vectors as usize];
        let mut stored = false;
        for inst in &got {
            assert!(inst.reads().iter().all(|v| written[v.0 as usize]));
            if let Some(v) = inst.writes() {
                assert!(!std::mem::replace(&mut written[v.0 as usize], true));
            }
            stored |= matches!(inst, Inst::Store { .. });
            assert!(!(stored && matches!(inst, Inst::Load { .. })));
        }
        assert!(written.iter().all(|w| *w));
        let (before, after) = (waits(&code.insts), waits(&got));
        assert!(3 * after < 2 * before, "{after} of {before}");
    }

    #[test]
    fn no_more_vectors_are_alive_than_asked_for() {
        let code = cell(12);
        let given = most_alive(&late(&code.insts, code.vectors));
        let wide = most_alive(&order(&code.insts, code.vectors, 100));
        assert!(wide > given, "{wide} and {given}");
        for most in [given, given + 4] {
            let got = most_alive(&order(&code.insts, code.vectors, most));
            assert!(got <= most + 3, "{got} instead of {most}");
        }
    }
}
