//! The command line: one file a verb, and what the verbs share.
//!
//! In: the process's arguments. Out: results on stdout, everything else on stderr, and an exit code:
//! 0 done; 1 a mistake in the program or data; 2 in the command; 3 files or memory; 4 a bad checkpoint;
//! 5 a number that is not finite; 130 and 143 interrupted after saving.

mod args;
mod costs;
mod events;
mod filled;
mod fix;
mod interrupt;
pub mod load;
mod opened;
mod plotted;
mod progress;
mod ready;
pub mod render;
mod resumed;
mod room;
mod session;
mod shell;
mod snapfile;
mod stdout;
mod told;
mod trial;

mod bench;
mod check;
mod doctor;
mod emit;
mod eval;
mod explain;
mod fmt;
mod generate;
mod given;
mod import;
mod new;
mod predict;
mod snapshot;
mod train;

use std::process::ExitCode;

use crate::diagnostics::Diagnostic;
use crate::span::Sources;
use args::{Args, Verb};

/// Why a verb ended early. Diagnostics have been made but not yet shown.
pub struct Failure {
    pub diagnostics: Vec<Diagnostic>,
    pub sources: Sources,
    /// `None`: by the first error's code.
    pub exit: Option<u8>,
}

impl Failure {
    pub fn new(diagnostics: Vec<Diagnostic>, sources: Sources) -> Failure {
        Failure {
            diagnostics,
            sources,
            exit: None,
        }
    }

    /// A failure that points at no source text.
    pub fn plain(diagnostic: Diagnostic) -> Failure {
        Failure::new(vec![diagnostic], Sources::default())
    }
}

impl From<Diagnostic> for Failure {
    fn from(d: Diagnostic) -> Failure {
        Failure::plain(d)
    }
}

impl From<crate::train::failure::Failure> for Failure {
    fn from(f: crate::train::failure::Failure) -> Failure {
        from_training(f)
    }
}

/// Says into which texts an error points, where it was made without them.
pub trait Within<T> {
    fn within(self, sources: &Sources) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Within<T> for Result<T, E> {
    fn within(self, sources: &Sources) -> Result<T, Failure> {
        self.map_err(|e| {
            let mut failure = e.into();
            if failure.sources.is_empty() {
                failure.sources = sources.clone();
            }
            failure
        })
    }
}

/// A failure of training, evaluation or generation, with the exit code it asks for.
fn from_training(f: crate::train::failure::Failure) -> Failure {
    let exit = Some(f.exit_code());
    Failure {
        exit,
        ..Failure::new(f.diagnostics, Sources::default())
    }
}

/// The exit code of an error, by the area that its code names.
pub fn exit_code(d: &Diagnostic) -> u8 {
    match d.code.split("::").next().unwrap_or("") {
        "usage" => 2,
        "io" | "resource" | "run" => 3,
        "checkpoint" => 4,
        "numeric" => 5,
        _ => 1,
    }
}

/// The exit code of the first error; one in a `--set` is a mistake in the command.
fn first_exit_code(diagnostics: &[Diagnostic], sources: &Sources) -> Option<u8> {
    let first = diagnostics.iter().find(|d| d.is_error())?;
    let place = first.labels.first().and_then(|l| sources.find(l.span.file));
    Some(match place {
        Some(source) if source.name == "--set" => 2,
        _ => exit_code(first),
    })
}

pub fn main() -> ExitCode {
    std::sync::LazyLock::force(&train::STARTED);
    let args = match args::parse() {
        Ok(args) => args,
        Err(e) => {
            // Help and version are results; everything else is a mistake in the command.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    std::panic::set_hook(Box::new(report_panic));
    share_heap();
    // Passes walk trees recursively: nesting is limited, and this is ample for the limit.
    let worker = std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(move || run(args));
    let code = match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The panic hook has printed what went wrong.
        Ok(Err(_)) => 101,
        Err(_) => 3,
    };
    ExitCode::from(code)
}

/// One heap for all threads. Beside the first thread's, glibc makes heaps that grow by a page and a system call at a
/// time, and nearly all is done on the thread that [`main`] makes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_heap() {
    // SAFETY: a setting of the allocator, which takes it at any time. A refusal costs speed only.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_heap() {}

/// One line for what is always a fault of ours.
fn report_panic(info: &std::panic::PanicHookInfo<'_>) {
    use std::io::Write as _;
    if crate::data::guarded::is_guarded() {
        return;
    }
    let message = info.payload_as_str().unwrap_or("no message");
    let first = message.lines().next().unwrap_or_default();
    let place = info
        .location()
        .map_or(String::new(), |l| format!(" at {l}"));
    // Nothing can be done about a stderr that is closed.
    let _ = writeln!(
        std::io::stderr(),
        "seqc has a fault, please report it: {}{place}",
        render::printable(first)
    );
}

fn run(args: Args) -> u8 {
    let common = args.common.clone();
    let outcome = match &args.verb {
        Verb::Check(a) => check::run(&common, a),
        Verb::Train(a) => train::run(&common, a),
        Verb::Eval(a) => eval::run(&common, a),
        Verb::Generate(a) => generate::run(&common, a),
        Verb::Predict(a) => predict::run(&common, a),
        Verb::Import(a) => import::run(&common, a),
        Verb::Bench(a) => bench::run(&common, a),
        Verb::Emit(a) => emit::run(&common, a),
        Verb::Snapshot(a) => snapshot::run(&common, a),
        Verb::Explain(a) => explain::run(&common, a),
        Verb::Fmt(a) => fmt::run(a),
        Verb::Doctor => doctor::run(&common),
        Verb::New(a) => new::run(a),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            let by_code = || first_exit_code(&failure.diagnostics, &failure.sources);
            let exit = failure.exit.or_else(by_code);
            render::show(&failure.diagnostics, &failure.sources, &common);
            exit.unwrap_or(1)
        }
    }
}
