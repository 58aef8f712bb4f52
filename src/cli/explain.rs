//! `seqc explain`: the page of an error, or the source of a library cell.
//!
//! An error's page is the file `examples/errors/<area>-<problem>.seq`: its comment explains, the
//! program below it shows the mistake.

use include_dir::{Dir, include_dir};

use super::args::ExplainArgs;
use super::{Failure, stdout};
use crate::diagnostics::{Diagnostic, nearest};
use crate::library;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/errors");

pub fn run(args: &ExplainArgs) -> Result<u8, Failure> {
    let wanted = args.name.trim().to_lowercase();
    let part = library::PARTS
        .iter()
        .find(|p| p.name.to_lowercase() == wanted);
    if let Some(part) = part {
        stdout::write(part.text)?;
        return Ok(0);
    }
    let code = args.name.trim();
    let file = format!("{}.seq", code.replace("::", "-"));
    if let Some(page) = PAGES.get_file(&file).and_then(|f| f.contents_utf8()) {
        stdout::write(page)?;
        return Ok(0);
    }
    let mut names: Vec<String> = library::PARTS.iter().map(|p| p.name.to_string()).collect();
    names.extend(codes());
    let mut d = Diagnostic::error("usage::unknown-name", format!("nothing is named {code}"));
    if let Some(near) = nearest(code, names.iter().map(String::as_str)) {
        d = d.help(format!("did you mean `{near}`?"));
    }
    Err(d.into())
}

/// Every code that has a page.
pub fn codes() -> Vec<String> {
    let stem = |f: &include_dir::File<'_>| {
        let name = f.path().file_stem()?.to_str()?;
        let (area, problem) = name.split_once('-')?;
        Some(format!("{area}::{problem}"))
    };
    PAGES.files().filter_map(stem).collect()
}
