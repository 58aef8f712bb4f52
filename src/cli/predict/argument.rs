//! The argument of `seqc predict` that names the input.
//!
//! In: a run and the arguments. Out: the command line as a source that errors point into; refusals of
//! what cannot be read or must not be written.

use std::collections::BTreeSet;
use std::path::Path;

use super::args::{Format, PredictArgs};
use crate::cli::Failure;
use crate::cli::args::Common;
use crate::cli::opened::Opened;
use crate::cli::shell;
use crate::data::spec::SourceKind;
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// The command line as a source, so that errors about the input point at what was given. Returned is the
/// place of the input's name.
pub fn place(opened: &mut Opened, args: &PredictArgs) -> Span {
    let before = format!("seqc predict {} ", args.run.display());
    let text = format!("{before}{}", args.input.display());
    let (start, end) = (before.len(), text.len());
    let id = opened.loaded.sources.add("command line", text);
    Span::new(id, start, end)
}

/// Refuses a folder, where one file is read, and to write the answers over what is read.
pub fn refuse(opened: &Opened, args: &PredictArgs, span: Span) -> Result<(), Failure> {
    let of = |d: Diagnostic| Failure::new(vec![d], opened.loaded.sources.clone());
    let name = args.input.display();
    let data = opened.loaded.experiment.data(&opened.block.settings.data);
    let several = data.is_some_and(|d| matches!(d.spec.source.kind, SourceKind::Idx { .. }));
    if args.input.is_dir() && !several {
        let d = Diagnostic::error("data::not-a-file", format!("`{name}` is a folder"));
        return Err(of(d.label(span, "one file is read")));
    }
    let real = |p: &Path| p.canonicalize().ok();
    if let Some(output) = &args.output
        && let (Some(from), Some(to)) = (real(&args.input), real(output))
        && from == to
    {
        let message = format!("`{name}` would be written over by its own answers");
        let d = Diagnostic::error("usage::same-file", message);
        return Err(of(d.label(span, "read here").help("give -o another name")));
    }
    Ok(())
}

/// Refuses a file whose ending stands for another form than the one that is asked for.
pub fn refuse_form(common: &Common, args: &PredictArgs) -> Result<(), Failure> {
    let form = if common.json {
        Some(Format::Jsonl)
    } else {
        args.to
    };
    let (Some(to), Some(ending), Some(path)) = (form, args.ending(), &args.output) else {
        return Ok(());
    };
    if to == ending || common.json && ending == Format::Csv {
        return Ok(());
    }
    let [to, ending] = [to, ending].map(|f| format!("{f:?}").to_lowercase());
    let message = format!(
        "`{}` would hold {to}, its ending says {ending}",
        path.display()
    );
    let d = Diagnostic::error("usage::output-form", message);
    let other = shell::path(&path.with_extension(&to));
    Err(d.help(format!("-o {other}; or --to {ending}")).into())
}

/// Refuses lines of the input in what has no text, or beside a result that is called `line` itself.
pub fn refuse_lines(opened: &Opened, common: &Common, args: &PredictArgs) -> Result<(), Failure> {
    if !args.lines {
        return Ok(());
    }
    if !common.json && !matches!(args.form(), Format::Csv | Format::Jsonl) {
        let message = "--lines is of csv and jsonl; arrays have no place for it";
        return Err(Diagnostic::error("usage::no-lines", message).into());
    }
    match results(opened).any(|name| name == "line") {
        true => {
            let message = "--lines gives `line`, and the model has a result of that name";
            Err(Diagnostic::error("usage::no-lines", message).into())
        }
        false => Ok(()),
    }
}

/// Refuses probabilities of what has none. `written`: the target that the model writes itself.
pub fn refuse_probabilities(
    opened: &Opened,
    args: &PredictArgs,
    written: Option<&str>,
) -> Result<(), Failure> {
    let labels = |name: &str| {
        opened
            .record
            .field(name)
            .is_some_and(|f| f.vocabulary.is_some())
    };
    let message = match written {
        _ if !args.probabilities => return Ok(()),
        Some(_) => "--probabilities: the model writes its answer, a text without them",
        None if predicted(opened).any(labels) => return Ok(()),
        None => "--probabilities is of classes and tokens; the model predicts none",
    };
    Err(Diagnostic::error("usage::no-probabilities", message).into())
}

/// Refuses what would give two columns of csv, or two keys of one object, the same name: a result that
/// is called as the column that counts examples, a label `p` beside the probability `y.p`. `written`:
/// the target that the model writes itself, which has no probabilities.
pub fn refuse_names(
    opened: &Opened,
    common: &Common,
    args: &PredictArgs,
    written: Option<&str>,
) -> Result<(), Failure> {
    let csv = !common.json && args.form() == Format::Csv;
    let refuse = |message: String, help: &str| -> Result<(), Failure> {
        let d = Diagnostic::error("usage::same-column", message);
        Err(d.help(help).into())
    };
    if csv && results(opened).any(|name| name == "example") {
        let message = "csv counts in `example`, and the model has a result of that name";
        return refuse(message.to_string(), "--to jsonl has results alone");
    }
    let lines = csv || common.json || args.form() == Format::Jsonl;
    if !args.probabilities || !lines || written.is_some() {
        return Ok(());
    }
    for name in predicted(opened) {
        let field = opened.record.field(name);
        let Some(labels) = field.and_then(|f| f.vocabulary.as_ref()) else {
            continue;
        };
        let each = (0..labels.len()).map(|k| labels.symbol(k as i32));
        let mut known: BTreeSet<&str> = csv.then_some("p").into_iter().collect();
        for label in each {
            if known.insert(label) {
                continue;
            }
            let message = match label {
                "p" => format!("`{name}` has a label `p`, and `{name}.p` is the likeliest's"),
                _ => format!("`{name}` has two labels that are written `{label}`"),
            };
            let help = match label {
                "p" => "--to jsonl has the labels in an object of their own",
                _ => "--to npz has the probabilities in the labels' order",
            };
            return refuse(message, help);
        }
    }
    Ok(())
}

/// The names of the predictions.
fn predicted(opened: &Opened) -> impl Iterator<Item = &str> {
    let model = &opened.model;
    let names = model.predicts.iter().map(|p| model.var(p.target));
    names.map(|var| var.name.as_str())
}

/// The names of all that the model returns.
fn results(opened: &Opened) -> impl Iterator<Item = &str> {
    let named = opened.model.outputs.iter().map(|(name, _)| name.as_str());
    predicted(opened).chain(named)
}

/// The error for an input without lines.
pub fn no_lines(span: Span) -> Diagnostic {
    let message = "--lines: each answer is for an example that has no line";
    Diagnostic::error("usage::no-lines", message).label(span, "tensors, pictures or one long text")
}
