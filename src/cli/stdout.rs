//! Results go through here, so that a reader that stops listening (`seqc … | head`) ends us quietly.

use std::io::{self, IsTerminal, Write};

use super::Failure;
use crate::diagnostics::Diagnostic;

/// Writes text to stdout. A closed pipe ends the process with success: nobody wants the rest.
pub fn write(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// The same for results that are no text.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => {
            let message = format!("standard output cannot be written: {e}");
            Err(Diagnostic::error("io::write", message).into())
        }
    }
}

/// A line of what a model or data wrote: its control characters never reach a terminal raw.
pub fn foreign(text: &str) -> Result<(), Failure> {
    match io::stdout().is_terminal() {
        true => line(&super::render::printable(text)),
        false => line(text),
    }
}

/// Text and a newline.
pub fn line(text: &str) -> Result<(), Failure> {
    write(&format!("{text}\n"))
}
