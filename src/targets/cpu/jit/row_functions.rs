//! The functions of rows of full width that a program has so far.
//!
//! In: a row's code. Out: the function that runs it; the same one for equal code.

use cranelift_codegen::ir::AbiParam;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::isa::CallConv;
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module};

use super::super::isa::Reciprocal;
use super::super::wide::Row;
use super::super::wide::code::Code;
use super::machine::internal;
use crate::diagnostics::Diagnostic;

/// Rows' functions so far.
#[derive(Default)]
pub(crate) struct Rows {
    /// Whether the machine runs them.
    pub(crate) on: bool,
    /// How they take reciprocals.
    pub(crate) reciprocal: Reciprocal,
    /// Whether their texts are wanted.
    pub(crate) texts: bool,
    pub(crate) all: Vec<(FuncId, String, Row)>,
}

impl Rows {
    /// A row of so many addresses, nothing computed yet.
    pub(super) fn code(&self, pointers: usize) -> Code {
        let mut code = Code::new(pointers);
        code.reciprocal = self.reciprocal;
        code
    }

    /// The function of a row.
    pub(super) fn add(&mut self, row: Row, module: &mut JITModule) -> Result<FuncId, Diagnostic> {
        if let Some((id, ..)) = self.all.iter().find(|(.., r)| r.bytes == row.bytes) {
            return Ok(*id);
        }
        let name = format!("row.{:03}", self.all.len());
        let mut signature = module.make_signature();
        signature.params.extend([AbiParam::new(I64); 2]);
        // What rows' bytes are made for, whatever the system's own is.
        signature.call_conv = CallConv::SystemV;
        let id = module
            .declare_function(&name, Linkage::Export, &signature)
            .map_err(|e| internal(&e))?;
        self.all.push((id, name, row));
        Ok(id)
    }
}
