//! Why training, evaluation or generation ended without a result.
//!
//! In: errors of the disk, of a checkpoint, of numbers. Out: [`Failure`], diagnostics and the class
//! that a command turns into its exit code.

use std::io;
use std::path::Path;

use crate::diagnostics::Diagnostic;

/// What kind of trouble it was; the discriminant is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The program or its data.
    Program = 1,
    /// How the command was called.
    Usage = 2,
    /// The disk, memory, or a lock held by another process.
    Resource = 3,
    /// A checkpoint that is damaged or does not fit the model.
    Checkpoint = 4,
    /// A loss, gradient or weight that is not a finite number.
    NonFinite = 5,
    /// A signal before there was anything to save; which one decides the command's exit code.
    Interrupted = 130,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub class: Class,
    pub diagnostics: Vec<Diagnostic>,
}

impl Failure {
    pub fn new(class: Class, diagnostic: Diagnostic) -> Failure {
        Failure {
            class,
            diagnostics: vec![diagnostic],
        }
    }

    /// A failure of the program or its data.
    pub fn program(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(Class::Program, Diagnostic::error(code, message))
    }

    pub fn usage(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(Class::Usage, Diagnostic::error(code, message))
    }

    pub fn checkpoint(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(Class::Checkpoint, Diagnostic::error(code, message))
    }

    /// A call of the operating system that failed on a path: `doing` reads as "cannot … PATH".
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Failure {
        let code = match error.kind() {
            io::ErrorKind::NotFound => "io::not-found",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "io::not-permitted"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "io::no-space",
            _ => "io::failed",
        };
        let name = path.file_name().unwrap_or(path.as_os_str());
        let message = format!("cannot {doing} {}: {error}", name.to_string_lossy());
        let help = format!("the path is {}", path.display());
        Failure::new(Class::Resource, Diagnostic::error(code, message).help(help))
    }

    /// An edit that would help, where there is none yet.
    pub fn help(mut self, text: impl Into<String>) -> Failure {
        if let Some(d) = self.diagnostics.first_mut() {
            d.help = Some(text.into());
        }
        self
    }

    pub fn exit_code(&self) -> u8 {
        self.class as u8
    }
}

/// An executable's own errors are about memory, or arguments that do not fit.
impl From<Diagnostic> for Failure {
    fn from(d: Diagnostic) -> Failure {
        let class = match d.code.split("::").next() {
            Some("resource" | "io") => Class::Resource,
            _ => Class::Program,
        };
        Failure::new(class, d)
    }
}
