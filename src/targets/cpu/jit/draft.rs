//! Functions in CLIF to executable memory, side by side on the pool.
//!
//! In: [`Draft`]s. Out: their definitions in a module, made executable at once, in the order of the drafts whatever the
//! number of workers; and their texts, where they are asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::TargetIsa;
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Module, ModuleReloc};

use super::super::pool::Pool;
use super::super::wide::Row;
use super::machine::internal;
use crate::diagnostics::Diagnostic;

/// Rows stand at multiples of a cache line, and so do their constants.
const ROW_ALIGN: u64 = 64;

/// A function's CLIF as it was emitted and its assembly.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) clif: String,
    pub(crate) asm: String,
}

/// A function that is emitted and not compiled yet.
pub(super) struct Draft {
    pub(super) id: FuncId,
    pub(super) name: String,
    pub(super) context: Context,
    /// Its CLIF, where texts are asked for.
    pub(super) clif: Option<String>,
}

/// Compiles all drafts and makes them executable.
pub(super) fn define(
    drafts: Vec<Draft>,
    rows: Vec<(FuncId, String, Row)>,
    module: &mut JITModule,
    isa: &dyn TargetIsa,
    pool: &Pool,
) -> Result<Vec<Text>, Diagnostic> {
    let drafts: Vec<Mutex<Draft>> = drafts.into_iter().map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Diagnostic>> = Mutex::new(None);
    pool.run(&|_, _| {
        while let Some(draft) = drafts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut draft = draft.lock().unwrap_or_else(PoisonError::into_inner);
            let Draft {
                name,
                context,
                clif,
                ..
            } = &mut *draft;
            context.set_disasm(clif.is_some());
            if let Err(e) = context.compile(isa, &mut ControlPlane::default()) {
                let error = internal(&format!("{name}: {:?}", e.inner));
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(error);
            }
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut texts = Vec::new();
    for draft in drafts {
        let draft = draft.into_inner().unwrap_or_else(PoisonError::into_inner);
        let func = &draft.context.func;
        let code = draft.context.compiled_code();
        let code = code.ok_or_else(|| internal(&"a function without code"))?;
        let relocs: Vec<ModuleReloc> = code
            .buffer
            .relocs()
            .iter()
            .map(|r| ModuleReloc::from_mach_reloc(r, func, draft.id))
            .collect();
        let align = u64::from(code.buffer.alignment)
            .max(u64::from(isa.function_alignment().minimum))
            .max(isa.symbol_alignment());
        module
            .define_function_bytes(draft.id, align, code.code_buffer(), &relocs)
            .map_err(|e| internal(&e))?;
        if let Some(clif) = &draft.clif {
            let asm = code.vcode.as_deref().unwrap_or_default();
            texts.push(Text {
                clif: named(module, func, clif),
                asm: named(module, func, asm),
                name: draft.name,
            });
        }
    }
    let shown = !texts.is_empty();
    for (id, name, row) in rows {
        module
            .define_function_bytes(id, ROW_ALIGN, &row.bytes, &[])
            .map_err(|e| internal(&e))?;
        if shown {
            texts.push(Text {
                name,
                clif: String::new(),
                asm: row.text,
            });
        }
    }
    module.finalize_definitions().map_err(|e| internal(&e))?;
    Ok(texts)
}

/// The text of a function with called functions by name.
fn named(module: &JITModule, f: &Function, text: &str) -> String {
    let mut out = text.to_string();
    // From the last, so that one number is not taken for the start of another.
    let all: Vec<_> = f.params.user_named_funcs().iter().collect();
    for (reference, external) in all.into_iter().rev() {
        let id = FuncId::from_u32(external.index);
        let name = module.declarations().get_function_decl(id).linkage_name(id);
        let number = format!("u{}:{}", external.namespace, external.index);
        out = out.replace(&format!("{number} "), &format!("%{name} "));
        out = out.replace(&format!("{number}\n"), &format!("%{name}\n"));
        out = out.replace(&format!("{reference}+"), &format!("%{name}+"));
    }
    out
}
