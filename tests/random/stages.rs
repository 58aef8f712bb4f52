//! One program through every stage, and all that must hold of it.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use seqc::check::program::Model;
use seqc::ir::{Func, OpKind};
use seqc::lower::Options;
use seqc::pipeline::{Build, with_vocabularies};
use seqc::rewrite;
use seqc::schedule::program::Program;
use seqc::schedule::schedule;
use seqc::span::Sources;
use seqc::targets::cpu::exec::{self, CpuExecutable};
use seqc::targets::cpu::isa::Cpu;

use super::choice::Choice;
use super::oracle::{
    Finding, finding, finite, same_numbers, same_on_machine, sample, scheduled, slope,
};
use super::padding::{longer, padding};

pub const INPUTS: usize = 4;
const TIED: &str = "inputs left out on the machine: rounding decides what `route` keeps";

pub enum Outcome {
    Held,
    /// What the checker had against it.
    Refused(String),
    Failed(Finding),
}

/// How much was compared.
#[derive(Default)]
pub struct Seen {
    counts: BTreeMap<&'static str, u64>,
    /// Programs that have an op of this kind.
    ops: BTreeMap<String, u64>,
}

impl Seen {
    fn count(&mut self, what: &'static str, n: usize) {
        *self.counts.entry(what).or_insert(0) += n as u64;
    }

    fn ops_of(&mut self, func: &Func) {
        let name = |k: &OpKind| {
            let text = format!("{k:?}");
            let end = text.find([' ', '{', '(']).unwrap_or(text.len());
            text[..end].to_string()
        };
        let mut names: Vec<String> = func.ops.iter().map(|o| name(&o.kind)).collect();
        names.sort();
        names.dedup();
        for n in names {
            *self.ops.entry(n).or_insert(0) += 1;
        }
    }

    /// Inputs that were not compared on the machine.
    pub fn tied(&self) -> u64 {
        self.counts.get(TIED).copied().unwrap_or(0)
    }

    pub fn add(&mut self, other: &Seen) {
        for (k, n) in &other.counts {
            *self.counts.entry(k).or_insert(0) += n;
        }
        for (k, n) in &other.ops {
            *self.ops.entry(k.clone()).or_insert(0) += n;
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, n) in &self.counts {
            writeln!(f, "  {n:>8} {what}")?;
        }
        write!(f, "  programs with")?;
        for (op, n) in &self.ops {
            write!(f, " {op} {n},")?;
        }
        Ok(())
    }
}

/// The model of a program, or what is against it.
fn checked(text: &str) -> Result<Model, String> {
    let mut sources = Sources::default();
    let id = sources.add("random.seq", text);
    let file = seqc::ast::parse::parse(text, id)
        .map_err(|d| format!("{}: {}", d[0].code, d[0].message))?;
    let checked = seqc::check::check(&file, &mut sources);
    let first = checked.diagnostics.iter().find(|d| d.is_error());
    let first = first.or_else(|| checked.unavailable().next());
    match (first, checked.models.last()) {
        (None, Some(model)) => Ok(with_vocabularies(model, &|_| Some(5))),
        (Some(d), _) => Err(format!("{}: {}", d.code, d.message)),
        (None, None) => Err("no model".into()),
    }
}

/// Everything there is to say about a program; a panic is a failure too.
pub fn outcome(seed: u64, text: &str, kinks: bool, nonempty: bool, seen: &mut Seen) -> Outcome {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let model = match checked(text) {
            Ok(model) => model,
            Err(why) => return Outcome::Refused(why),
        };
        match held(seed, &model, kinks, nonempty, seen) {
            Ok(()) => Outcome::Held,
            Err(f) => Outcome::Failed(f),
        }
    }));
    tried.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Outcome::Failed(finding("panic", text.unwrap_or_default()))
    })
}

fn plan(func: &Func) -> Result<Program, Finding> {
    schedule(func).map_err(|d| finding("schedule", d.message))
}

fn machine(program: &Program, threads: usize) -> Result<CpuExecutable, Finding> {
    let options = exec::Options {
        threads,
        cpu: Cpu::detect(),
        always_divide: true,
        // Its verifier looks over every program of the other tests.
        verify: false,
        ..exec::Options::default()
    };
    exec::compile(program, &options).map_err(|d| finding("compile", d.message))
}

fn held(
    seed: u64,
    model: &Model,
    kinks: bool,
    nonempty: bool,
    seen: &mut Seen,
) -> Result<(), Finding> {
    let stages = |off: Vec<String>, options, gradients| {
        let build = Build {
            off,
            ..Build::default()
        };
        let stages = build.stages(model, options, gradients);
        stages.map_err(|e| finding("stages", e))
    };
    let names = rewrite::names();
    let all: Vec<String> = names.iter().map(|n| n.to_string()).collect();
    let one = names[seed as usize % names.len()].to_string();
    let plain = stages(all.clone(), Options::TRAIN, true)?;
    let fast = stages(Vec::new(), Options::TRAIN, true)?;
    let without = stages(vec![one], Options::TRAIN, true)?;
    seen.ops_of(&fast.optimized);
    let mut choice = Choice::new(seed, "data");
    let program = plan(&fast.optimized)?;
    let mut x = machine(&program, 1 + seed as usize % 2)?;
    seen.count("programs compiled", 1);
    for turn in 0..INPUTS {
        let data = sample(&plain.optimized, &mut choice, nonempty);
        let want = data.expected(&plain.optimized);
        if !finite(&want) {
            seen.count("inputs left out: a result is no number", 1);
            continue;
        }
        seen.count("inputs compared", 1);
        let of = (&plain.optimized, &data, want.as_slice());
        let got_fast = data.expected(&fast.optimized);
        same_numbers("optimised IR", of, (&fast.optimized, &got_fast))?;
        if turn % 2 == 0 {
            let got = data.expected(&without.optimized);
            same_numbers("a pass switched off", of, (&without.optimized, &got))?;
        }
        let fast_want = got_fast;
        if turn == seed as usize % INPUTS {
            let of = (&fast.optimized, &data, fast_want.as_slice());
            let got = scheduled(&fast.optimized, &program, &data);
            let got = got.map_err(|e| finding("scheduled program", e))?;
            same_numbers("scheduled program", of, (&fast.optimized, &got))?;
        }
        match same_on_machine("machine code", &fast.optimized, &data, &fast_want, &mut x)? {
            Some(n) => seen.count("outputs compared with what rounding does", n),
            None => seen.count(TIED, 1),
        }
    }
    // On one input of several examples and steps: what costs more.
    let sizes = super::common::machine::sizes(&plain.optimized, 3, 4);
    let data = super::oracle::sized(&plain.optimized, &mut choice, nonempty, sizes);
    let want = data.expected(&plain.optimized);
    if finite(&want) {
        padding("padding", &plain.optimized, &data, &want)?;
        longer("a longer batch", &plain.optimized, &data, &want)?;
        if !kinks && seed.is_multiple_of(4) {
            let of = (&plain.optimized, want.as_slice());
            slope(
                "central differences",
                &plain.lowered,
                &data,
                of,
                &mut choice,
            )?;
            seen.count("slopes compared", 1);
        }
    }
    if seed.is_multiple_of(5) {
        let plain = stages(all, Options::EVALUATE, false)?;
        let fast = stages(Vec::new(), Options::EVALUATE, false)?;
        let data = sample(&plain.optimized, &mut choice, nonempty);
        let want = data.expected(&plain.optimized);
        if finite(&want) {
            let got = data.expected(&fast.optimized);
            let of = (&plain.optimized, &data, want.as_slice());
            same_numbers("predictions", of, (&fast.optimized, &got))?;
            let mut x = machine(&plan(&fast.optimized)?, 1)?;
            let check = "predictions of machine code";
            match same_on_machine(check, &fast.optimized, &data, &got, &mut x)? {
                Some(_) => seen.count("predictions compared", 1),
                None => seen.count(TIED, 1),
            }
        }
    }
    Ok(())
}
