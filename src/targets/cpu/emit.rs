//! The plan, the CLIF and the assembly of a program as text, for a kind of machine.
//!
//! In: a [`Program`] and a [`Cpu`]. Out: [`Texts`]. They depend on nothing else of the host, so those for any machine with
//! an instruction set are equal wherever that can be compiled for.

use std::fmt::Write;

use super::isa::Cpu;
use super::jit::machine::Effort;
use super::jit::step::{Kind, Split, Step};
use super::jit::{self, Compiled, Request};
use super::kernels::Kernels;
use super::pool::Pool;
use crate::diagnostics::Diagnostic;
use crate::schedule::program::Program;

/// Three views of a compiled program.
#[derive(Clone, Debug)]
pub struct Texts {
    /// What each step runs, how its operands are packed and how it is divided among workers.
    pub plan: String,
    /// Cranelift's instructions, as they were emitted.
    pub clif: String,
    /// Machine instructions.
    pub asm: String,
}

/// Compiles a program for `cpu` without running it, and prints it.
///
/// # Errors
///
/// As [`super::exec::compile`].
pub fn texts(program: &Program, cpu: Cpu) -> Result<Texts, Diagnostic> {
    let isa = cpu.isa;
    let kernels = Kernels::for_isa(isa).ok_or_else(|| {
        Diagnostic::error(
            "compile::target",
            format!("this machine has no {isa} instructions"),
        )
    })?;
    let request = Request {
        cpu,
        effort: Effort::default(),
        verify: cfg!(debug_assertions),
        texts: true,
        profile: false,
        by_columns: true,
    };
    let compiled = jit::compile(program, request, kernels, &Pool::new(1))?;
    let all = |text: fn(&jit::Text) -> &str| {
        let parts: Vec<String> = compiled
            .texts
            .iter()
            .map(|t| format!("; {}\n{}\n", t.name, text(t).trim_end()))
            .collect();
        parts.join("\n")
    };
    Ok(Texts {
        plan: plan(program, &compiled, kernels, cpu),
        clif: all(|t| &t.clif),
        asm: all(|t| &t.asm),
    })
}

fn plan(program: &Program, compiled: &Compiled, kernels: &Kernels, cpu: Cpu) -> String {
    let mut out = String::new();
    let launch: Vec<String> = program
        .dims
        .launch_syms()
        .iter()
        .map(ToString::to_string)
        .collect();
    let sizes = if launch.is_empty() {
        "all sizes known".to_string()
    } else {
        format!("{} known at each call", launch.join(" "))
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "plan {} on {cpu}: {sizes}", program.name);
    let _ = writeln!(
        out,
        "     loops of 4 lanes, tiles of {} rows, panels of {} columns",
        kernels.mr, kernels.nr
    );
    for (i, step) in compiled.steps.iter().enumerate() {
        let lines = &step.task.lines;
        let _ = writeln!(out, "{i:>3}  {}; {}", lines[0], division(step));
        for line in &lines[1..] {
            let _ = writeln!(out, "     {line}");
        }
    }
    out
}

/// Along what a step may be divided among workers.
fn division(step: &Step) -> String {
    let along = |what: &str, s: &Option<Split>| {
        let s = s.as_ref().filter(|s| s.extent.as_const() != Some(1))?;
        Some(match s.grain {
            1 => format!("{}{what}", s.extent),
            grain => format!("{}{what} by {grain}", s.extent),
        })
    };
    let two = step.task.columns.is_some();
    let within = match &step.kind {
        Kind::Scan(Some(s)) => {
            let meets = s.parts.iter().filter(|p| p.meet).count();
            Some(format!("columns by {}, meeting {meets}× a step", s.grain))
        }
        Kind::Scan(None) | Kind::Loop | Kind::Gemm | Kind::Pack(_) | Kind::Routine => None,
    };
    let ways: Vec<String> = [
        along(if two { " rows" } else { "" }, &step.task.rows),
        along(" columns", &step.task.columns),
        within,
    ]
    .into_iter()
    .flatten()
    .collect();
    if ways.is_empty() {
        "one worker".to_string()
    } else {
        format!("divide {}", ways.join(" or "))
    }
}
