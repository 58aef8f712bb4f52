//! `seqc emit`: any stage of the compiler as text.
//!
//! In: a file, stages, and which function of a model: the one that trains, that predicts, or that writes. Out: texts on
//! stdout or in files. Sizes that data would give are stand-ins.

use std::cell::OnceCell;
use std::path::Path;

use super::args::{Common, EmitArgs, Stage, Target};
use super::load::{Loaded, load, unwritten};
use super::{Failure, Within, render, session, stdout};
use crate::check::program::Model;
use crate::check::settings::{apply_adapters, apply_losses};
use crate::diagnostics::Diagnostic;
use crate::lower::Options;
use crate::pipeline::{self, Build, Stages};
use crate::rewrite::{self, Row};
use crate::schedule::program::Program;
use crate::schedule::schedule;
use crate::targets::cpu;
use crate::targets::cpu::emit::Texts;
use crate::targets::cpu::isa::{Cpu, Isa};

pub fn run(common: &Common, args: &EmitArgs) -> Result<u8, Failure> {
    for pass in &args.without {
        if !rewrite::names().contains(&pass.as_str()) {
            let d = Diagnostic::error("usage::unknown-pass", format!("no rewrite named {pass}"));
            return Err(d
                .help(format!("the rewrites are {}", rewrite::names().join(", ")))
                .into());
        }
    }
    let of = Of::new(args);
    if of != Of::Train && args.emit.contains(&Stage::Grad) {
        let message = "`grad` is a stage of training; what predicts has no gradients";
        return Err(Diagnostic::error("usage::no-gradients", message).into());
    }
    let cpu = generates_for(args.target)?;
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
                    let made = Compiled::new(&loaded, model, of, &args.without, cpu);
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
                let file = format!("{name}.{}{key}", of.infix());
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

/// What to show code for: any machine with the instructions asked for, or this one.
pub fn generates_for(target: Option<Target>) -> Result<Cpu, Failure> {
    let isa = match target {
        None => return Ok(Cpu::detect()),
        Some(Target::X86_64V3) => Isa::Avx2,
        Some(Target::X86_64V4) => Isa::Avx512,
        Some(Target::Portable) => Isa::Portable,
    };
    if isa.is_available() {
        return Ok(isa.into());
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
    written.map_err(|e| unwritten(&path, &e).into())
}

/// Which of a model's functions is shown, in the words of `seqc bench`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A step of training.
    Train,
    /// Predicting for a batch.
    Infer,
    /// Writing a symbol; before it, where there is one, what is made once a text.
    Generate,
}

impl Of {
    fn new(args: &EmitArgs) -> Of {
        match (args.infer, args.generate) {
            (true, _) => Of::Infer,
            (false, true) => Of::Generate,
            (false, false) => Of::Train,
        }
    }

    /// What stands in the names of its files, before the stage.
    fn infix(self) -> &'static str {
        match self {
            Of::Train => "",
            Of::Infer => "infer.",
            Of::Generate => "generate.",
        }
    }
}

/// What a model is compiled to for one use, through all stages: one function, or for writing up to two.
pub struct Compiled {
    functions: Vec<Function>,
    cpu: Cpu,
}

struct Function {
    stages: Stages,
    program: OnceCell<Program>,
    texts: OnceCell<Texts>,
}

impl Compiled {
    /// Lowers and rewrites as the settings of the file have it run, without the rewrites named; what only some stages
    /// need comes when asked for.
    ///
    /// Errors: a model that writes nothing, or cannot step by step, is asked for what writes.
    pub fn new(
        loaded: &Loaded,
        model: &Model,
        of: Of,
        without: &[String],
        cpu: Cpu,
    ) -> Result<Compiled, Failure> {
        let mut model = pipeline::with_stand_in_sizes(model);
        let mut build = Build {
            off: without.to_vec(),
            recompute: loaded.experiment.recompute(&model.name),
            ..Build::default()
        };
        if let Some(block) = loaded.experiment.train(Some(&model.name)) {
            let settings = &block.settings;
            apply_losses(settings, &mut model);
            apply_adapters(settings, &mut model);
            build.frozen = session::frozen(&model, settings);
            build.precision = settings.precision;
        }
        let whole = |options, gradients| Ok(vec![build.stages(&model, options, gradients)?]);
        let all = match of {
            Of::Train if model.predicts.is_empty() => whole(Options::PREDICT, false),
            Of::Train => whole(Options::TRAIN, true),
            Of::Infer => whole(Options::PREDICT, false),
            Of::Generate => {
                let target = session::own_target(&model)?;
                let one = pipeline::generate::one_step(&model, &target)?;
                let functions = one.setup.into_iter().chain([one.step]);
                functions.map(|func| build.held(func)).collect()
            }
        };
        let function = |stages| Function {
            stages,
            program: OnceCell::new(),
            texts: OnceCell::new(),
        };
        let all: Vec<Stages> = all.map_err(pipeline::internal)?;
        Ok(Compiled {
            functions: all.into_iter().map(function).collect(),
            cpu,
        })
    }

    /// A stage from the IR on, as text.
    pub fn text(&self, stage: Stage) -> Result<String, Failure> {
        let texts = self.functions.iter().map(|f| f.text(stage, self.cpu));
        Ok(texts.collect::<Result<Vec<String>, Failure>>()?.join("\n"))
    }
}

impl Function {
    fn program(&self) -> Result<&Program, Failure> {
        if let Some(program) = self.program.get() {
            return Ok(program);
        }
        let program = schedule(&self.stages.optimized)?;
        Ok(self.program.get_or_init(|| program))
    }

    fn texts(&self, cpu: Cpu) -> Result<&Texts, Failure> {
        if let Some(texts) = self.texts.get() {
            return Ok(texts);
        }
        let texts = cpu::emit::texts(self.program()?, cpu)?;
        Ok(self.texts.get_or_init(|| texts))
    }

    fn text(&self, stage: Stage, cpu: Cpu) -> Result<String, Failure> {
        let s = &self.stages;
        Ok(match stage {
            Stage::Ir => s.lowered.to_string(),
            Stage::Grad => s.gradient.as_ref().unwrap_or(&s.optimized).to_string(),
            Stage::Opt => format!("{}\n{}", Row::table(&s.table), s.optimized),
            Stage::Plan => format!(
                "{}\n{}\n{}",
                Row::table(&s.table),
                self.program()?,
                self.texts(cpu)?.plan
            ),
            Stage::Clif => self.texts(cpu)?.clif.clone(),
            Stage::Asm => self.texts(cpu)?.asm.clone(),
            Stage::Ast | Stage::Checked => String::new(),
        })
    }
}
