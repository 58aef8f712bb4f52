//! `seqc import pytorch`: weights of PyTorch modules for a model of ours.
//!
//! In: a state dict as safetensors, a `.seq` file. Out: on stdout which of their tensors went into
//! which weight, or without a `.seq` file the layers that were found; the weights where `-o` says.

use super::args::{Common, ImportArgs};
use super::load::load;
use super::{Failure, Within, from_training, stdout};
use crate::check::program::Model;
use crate::diagnostics::Diagnostic;
use crate::train::failure::Class;
use crate::train::pytorch::{self, Ours, Size};
use crate::train::weights::{self, Named, Origin};

pub fn run(common: &Common, args: &ImportArgs) -> Result<u8, Failure> {
    let bytes = std::fs::read(&args.file).map_err(|e| {
        let message = format!(
            "{} cannot be read: {}",
            args.file.display(),
            super::load::plain(&e)
        );
        Diagnostic::error("io::read", message)
    })?;
    let name = args.file.display().to_string();
    let origin = Origin {
        file: &name,
        class: Class::Program,
    };
    let tensors = weights::decode(&bytes, origin).map_err(from_training)?;
    let layers = pytorch::layers(&tensors).map_err(from_training)?;
    let Some(program) = &args.program else {
        if args.output.is_some() {
            let message = "`-o` needs a program, whose weights are written";
            return Err(Diagnostic::error("usage::import", message).into());
        }
        for layer in &layers {
            stdout::line(&format!("{}  {}", layer.name, pytorch::described(layer)))?;
        }
        return Ok(0);
    };
    let loaded = load(program, common)?.valid()?;
    let model = loaded
        .model(args.model.as_deref())
        .within(&loaded.sources)?;
    let map = pairs(&args.map)?;
    let found = pytorch::import(&layers, &ours(model), &map).map_err(from_training)?;
    if let Some(output) = &args.output {
        let tensors: Vec<Named<'_>> = found.iter().map(named).collect();
        let bytes = weights::encode(&tensors).map_err(from_training)?;
        std::fs::write(output, bytes).map_err(|e| {
            let message = format!("{} cannot be written: {e}", output.display());
            Diagnostic::error("io::write", message)
        })?;
    }
    if common.json {
        let from = found
            .iter()
            .map(|w| (w.path.clone(), w.from.clone().into()));
        let from: serde_json::Map<String, serde_json::Value> = from.collect();
        stdout::line(&serde_json::json!({ "weights": from }).to_string())?;
        return Ok(0);
    }
    let width = |f: &dyn Fn(&pytorch::Imported) -> usize| found.iter().map(f).max().unwrap_or(0);
    let shape = |w: &pytorch::Imported| format!("{:?}", w.shape);
    let (path, shapes) = (width(&|w| w.path.len()), width(&|w| shape(w).len()));
    for w in &found {
        stdout::line(&format!(
            "{:<path$}  {:<shapes$}  {}",
            w.path,
            shape(w),
            w.from
        ))?;
    }
    Ok(0)
}

fn named(w: &pytorch::Imported) -> Named<'_> {
    Named {
        name: w.path.clone(),
        shape: w.shape.clone(),
        values: &w.values,
    }
}

/// The weights of a model, with the sizes that are known before its data is.
fn ours(model: &Model) -> Vec<Ours> {
    let size = |d: &crate::dim::Dim| {
        let known = model
            .dims
            .eval_static(d)
            .and_then(|n| usize::try_from(n).ok());
        known.map_or_else(|| Size::Open(d.to_string()), Size::Known)
    };
    let one = |p: &crate::check::program::Param| Ours {
        path: p.path.clone(),
        shape: p.shape.iter().map(size).collect(),
    };
    model.params.iter().map(one).collect()
}

/// `THEIRS=OURS`.
fn pairs(map: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let one = |text: &String| match text.split_once('=') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok((a.to_string(), b.to_string())),
        _ => {
            let message = format!("--map {text}: expected THEIRS=OURS");
            Err(Diagnostic::error("usage::map", message).into())
        }
    };
    map.iter().map(one).collect()
}
