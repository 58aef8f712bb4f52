//! `seqc new NAME`: a starter file that trains as it is.

use std::io::Write as _;
use std::path::PathBuf;

use super::args::NewArgs;
use super::load::unwritten;
use super::{Failure, shell, stdout};
use crate::diagnostics::Diagnostic;

const STARTER: &str = include_str!("starter.seq");

pub fn run(args: &NewArgs) -> Result<u8, Failure> {
    let mut name = args.name.clone();
    if matches!(name.as_str(), "" | ".seq") || name.ends_with('/') {
        let message = format!("`{name}` is no name for a file");
        return Err(Diagnostic::error("usage::new", message).into());
    }
    if !name.ends_with(".seq") {
        name.push_str(".seq");
    }
    let path = PathBuf::from(&name);
    // Opened only where nothing has the name: nothing is overwritten.
    let file = std::fs::File::create_new(&path);
    let written =
        file.and_then(|mut f| f.write_all(STARTER.replace("FILE", &shell::path(&path)).as_bytes()));
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Diagnostic::error("usage::exists", format!("{name} is there already"))
        }
        _ => unwritten(&path, &e),
    })?;
    let file = shell::path(&path);
    stdout::line(&format!("Wrote {file}. Next: seqc train {file}"))?;
    Ok(0)
}
