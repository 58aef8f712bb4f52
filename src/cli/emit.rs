//! `seqc emit`: any stage of the compiler as text.

use std::cell::OnceCell;
use std::path::Path;

use super::args::{Common, EmitArgs, Stage, Target};
use super::load::{load, plain};
use super::{Failure, Within, render, stdout};
use crate::check::program::Model;
use crate::diagnostics::Diagnostic;
use crate::lower::Options;
use crate::pipeline::{self, Build, Stages};
use crate::rewrite::{self, Row};
use crate::schedule::program::Program;
use crate::schedule::schedule;
use crate::settings::Recompute;
use crate::targets::cpu;
use crate::targets::cpu::emit::Texts;
use crate::targets::cpu::isa::Isa;

pub fn run(common: &Common, args: &EmitArgs) -> Result<u8, Failure> {
    for pass in &args.without {
        if !rewrite::names().contains(&pass.as_str()) {
            let d = Diagnostic::error("usage::unknown-pass", format!("no rewrite named {pass}"));
            return Err(d
                .help(format!("the rewrites are {}", rewrite::names().join(", ")))
                .into());
        }
    }
    let isa = isa(args.target)?;
    let mut loaded = load(&args.file, common)?;
    // The tree of a file is there whatever its models lack.
    if args.emit.iter().any(|stage| *stage != Stage::Ast) {
        loaded = loaded.valid()?;
        render::show(&loaded.diagnostics, &loaded.sources, common);
    }
    let model = loaded.model(args.model.as_deref());
    let mut compiled = None;
    // With `--json`, each stage's text, or the file it was written to.
    let mut object = serde_json::Map::new();
    for stage in &args.emit {
        let text = match stage {
            Stage::Ast => crate::ast::dump::dump(&loaded.file),
            Stage::Checked => model.clone()?.to_string(),
            Stage::Ir | Stage::Grad | Stage::Opt | Stage::Plan | Stage::Clif | Stage::Asm => {
                if compiled.is_none() {
                    let model = model.clone()?;
                    let recompute = loaded.experiment.recompute(&model.name);
                    let made = Compiled::new(model, &args.without, recompute, isa);
                    compiled = Some(made.within(&loaded.sources)?);
                }
                match &compiled {
                    Some(c) => c.text(*stage).within(&loaded.sources)?,
                    None => String::new(),
                }
            }
        };
        let key = extension(*stage).to_string();
        match &args.output {
            None if common.json => drop(object.insert(key, text.into())),
            None => stdout::write(&text)?,
            Some(dir) => {
                let name = model
                    .as_ref()
                    .map_or("file".to_string(), |m| m.name.to_lowercase());
                let file = format!("{name}.{key}");
                write(dir, &file, &text)?;
                object.insert(key, dir.join(file).display().to_string().into());
            }
        }
    }
    if common.json {
        stdout::line(&serde_json::Value::Object(object).to_string())?;
    }
    Ok(0)
}

/// The instruction set to show: the one asked for, or this machine's.
pub fn isa(target: Option<Target>) -> Result<Isa, Failure> {
    let isa = match target {
        None => return Ok(Isa::detect()),
        Some(Target::X86_64V3) => Isa::Avx2,
        Some(Target::X86_64V4) => Isa::Avx512,
        Some(Target::Portable) => Isa::Portable,
    };
    if isa.is_available() {
        return Ok(isa);
    }
    let message = format!("--target needs {isa}, which this machine has not");
    Err(Diagnostic::error("usage::target", message).into())
}

/// The ending of a stage's file.
pub fn extension(stage: Stage) -> &'static str {
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
pub struct Compiled {
    stages: Stages,
    program: OnceCell<Program>,
    texts: OnceCell<Texts>,
    isa: Isa,
}

impl Compiled {
    /// Lowers and rewrites, without the rewrites named; what only some stages need comes when asked for.
    pub fn new(
        model: &Model,
        without: &[String],
        recompute: Recompute,
        isa: Isa,
    ) -> Result<Compiled, Failure> {
        let build = Build {
            off: without.to_vec(),
            recompute,
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
            program: OnceCell::new(),
            texts: OnceCell::new(),
            isa,
        })
    }

    fn program(&self) -> Result<&Program, Failure> {
        if let Some(program) = self.program.get() {
            return Ok(program);
        }
        let program = schedule(&self.stages.optimized)?;
        Ok(self.program.get_or_init(|| program))
    }

    fn texts(&self) -> Result<&Texts, Failure> {
        if let Some(texts) = self.texts.get() {
            return Ok(texts);
        }
        let texts = cpu::emit::texts(self.program()?, self.isa)?;
        Ok(self.texts.get_or_init(|| texts))
    }

    /// A stage from the IR on, as text.
    pub fn text(&self, stage: Stage) -> Result<String, Failure> {
        let s = &self.stages;
        Ok(match stage {
            Stage::Ir => s.lowered.to_string(),
            Stage::Grad => s.gradient.as_ref().unwrap_or(&s.optimized).to_string(),
            Stage::Opt => format!("{}\n{}", Row::table(&s.table), s.optimized),
            Stage::Plan => format!(
                "{}\n{}\n{}",
                Row::table(&s.table),
                self.program()?,
                self.texts()?.plan
            ),
            Stage::Clif => self.texts()?.clif.clone(),
            Stage::Asm => self.texts()?.asm.clone(),
            Stage::Ast | Stage::Checked => String::new(),
        })
    }
}
