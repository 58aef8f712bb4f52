//! The machine that Cranelift compiles for, and the module that holds the code.
//!
//! In: an [`Isa`] and the functions to compile. Out: [`Machine`], which names a fixed level of the instruction set so
//! that the same program gives the same code on every host of that level, and [`Code`], executable memory that is given
//! back when it is dropped.

use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::JITModule;

use super::super::isa::Isa;
use crate::diagnostics::Diagnostic;

/// How hard Cranelift optimises what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Effort {
    /// Instructions stay in the order they were emitted in.
    #[default]
    Plain,
    /// Common subexpressions, code motion and folding by Cranelift.
    Speed,
}

/// An instruction set level with its Cranelift description.
pub(crate) struct Machine {
    pub(crate) isa: OwnedTargetIsa,
    /// Whether a multiplication and an addition are one instruction with one rounding.
    pub(crate) fma: bool,
}

impl Machine {
    pub(crate) fn new(isa: Isa, effort: Effort, verify: bool) -> Result<Machine, Diagnostic> {
        let mut flags = settings::builder();
        for (name, value) in [
            ("use_colocated_libcalls", "false"),
            ("is_pic", "false"),
            ("enable_verifier", if verify { "true" } else { "false" }),
            (
                "opt_level",
                match effort {
                    Effort::Plain => "none",
                    Effort::Speed => "speed",
                },
            ),
        ] {
            flags.set(name, value).map_err(|e| internal(&e))?;
        }
        let flags = settings::Flags::new(flags);
        let (preset, fma) = match isa {
            Isa::Avx512 => (Some("x86-64-v4"), true),
            Isa::Avx2 => (Some("x86-64-v3"), true),
            Isa::Neon => (None, true),
            Isa::Portable if cfg!(target_arch = "x86_64") => (portable_x86(), false),
            Isa::Portable => (None, cfg!(target_arch = "aarch64")),
        };
        let isa = match isa {
            Isa::Avx512 | Isa::Avx2 => x86(preset)?.finish(flags),
            Isa::Portable if cfg!(target_arch = "x86_64") => x86(preset)?.finish(flags),
            Isa::Neon | Isa::Portable => cranelift_native::builder()
                .map_err(|e| internal(&e))?
                .finish(flags),
        };
        Ok(Machine {
            isa: isa.map_err(|e| internal(&e))?,
            fma,
        })
    }
}

/// The level of plain code on x86-64: SSE 4.2 where the host has it, as nearly all do.
fn portable_x86() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sse4.2") {
        return Some("x86-64-v2");
    }
    None
}

fn x86(preset: Option<&str>) -> Result<isa::Builder, Diagnostic> {
    let mut builder = isa::lookup_by_name("x86_64").map_err(|e| {
        Diagnostic::error("compile::target", "this seqc cannot make x86-64 code")
            .help(format!("{e}"))
    })?;
    if let Some(preset) = preset {
        builder.enable(preset).map_err(|e| internal(&e))?;
        if preset != "x86-64-v2" {
            // Cranelift's presets of these levels leave it out.
            builder.enable("has_avx").map_err(|e| internal(&e))?;
        }
    }
    Ok(builder)
}

/// A failure of the code generator itself.
pub(crate) fn internal(e: &dyn std::fmt::Display) -> Diagnostic {
    let text: String = e.to_string().chars().filter(|c| !c.is_control()).collect();
    Diagnostic::error("compile::backend", "the code generator failed").help(text)
}

/// Executable memory. Functions found in it are valid while it lives.
pub(crate) struct Code {
    module: Option<JITModule>,
}

impl Code {
    /// Takes over a module whose definitions are finalised.
    pub(crate) fn new(module: JITModule) -> Code {
        Code {
            module: Some(module),
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: the one owner of function addresses, `CpuExecutable`, drops this with them, and runs take it by
            // exclusive reference, so none of the code is being executed.
            unsafe { module.free_memory() };
        }
    }
}
