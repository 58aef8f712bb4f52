//! `seqc emit`: any stage of the compiler as text.

use std::fmt::Write as _;
use std::path::Path;

use super::args::{Common, EmitArgs, Stage};
use super::load::{load, plain};
use super::{Failure, render, stdout};
use crate::check::program::Model;
use crate::diagnostics::Diagnostic;
use crate::lower::Options;
use crate::pipeline::{self, Build, Stages};
use crate::rewrite::{self, Row};

pub fn run(common: &Common, args: &EmitArgs) -> Result<u8, Failure> {
    for pass in &args.without {
        if !rewrite::names().contains(&pass.as_str()) {
            let d = Diagnostic::error("usage::unknown-pass", format!("no rewrite named {pass}"));
            return Err(d
                .help(format!("the rewrites are {}", rewrite::names().join(", ")))
                .into());
        }
    }
    let loaded = load(&args.file, common)?.valid()?;
    render::show(&loaded.diagnostics, &loaded.sources, common);
    let model = loaded.model(args.model.as_deref());
    let mut compiled = None;
    for stage in &args.emit {
        let text = match stage {
            Stage::Ast => crate::ast::dump::dump(&loaded.file),
            Stage::Checked => model.clone()?.to_string(),
            Stage::Ir | Stage::Grad | Stage::Opt | Stage::Plan | Stage::Clif | Stage::Asm => {
                if compiled.is_none() {
                    compiled = Some(Compiled::new(model.clone()?, args)?);
                }
                match &compiled {
                    Some(c) => c.text(*stage)?,
                    None => String::new(),
                }
            }
        };
        match &args.output {
            None => stdout::write(&text)?,
            Some(dir) => {
                let name = model
                    .as_ref()
                    .map_or("file".to_string(), |m| m.name.to_lowercase());
                write(dir, &format!("{name}.{}", extension(*stage)), &text)?;
            }
        }
    }
    Ok(0)
}

fn extension(stage: Stage) -> &'static str {
    match stage {
        Stage::Ast => "ast",
        Stage::Checked => "checked",
        Stage::Ir => "ir",
        Stage::Grad => "grad",
        Stage::Opt => "opt",
        Stage::Plan => "plan",
        Stage::Clif => "clif",
        Stage::Asm => "asm",
    }
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, text));
    written.map_err(|e| {
        let message = format!("{} cannot be written: {}", path.display(), plain(&e));
        Diagnostic::error("io::write", message).into()
    })
}

/// The training function of a model through all stages.
struct Compiled {
    stages: Stages,
    target: Option<String>,
}

impl Compiled {
    fn new(model: &Model, args: &EmitArgs) -> Result<Compiled, Failure> {
        let build = Build {
            off: args.without.clone(),
            ..Build::default()
        };
        let trains = !model.predicts.is_empty();
        let options = if trains {
            Options::TRAIN
        } else {
            Options::PREDICT
        };
        let model = &pipeline::with_stand_in_sizes(model);
        let stages = build
            .stages(model, options, trains)
            .map_err(pipeline::internal)?;
        Ok(Compiled {
            stages,
            target: args.target.clone(),
        })
    }

    fn text(&self, stage: Stage) -> Result<String, Failure> {
        let s = &self.stages;
        Ok(match stage {
            Stage::Ir => s.lowered.to_string(),
            Stage::Grad => s.gradient.as_ref().unwrap_or(&s.optimized).to_string(),
            Stage::Opt => {
                let mut text = Row::table(&s.table);
                let _ = write!(text, "\n{}", s.optimized);
                text
            }
            Stage::Plan => crate::schedule::schedule(&s.optimized)?.to_string(),
            Stage::Clif | Stage::Asm => {
                format!("{:#?}\n", crate::schedule::schedule(&s.optimized)?)
            }
            Stage::Ast | Stage::Checked => String::new(),
        })
    }
}
