//! `seqc fmt`: files rewritten in the one style, or compared with it.

use super::args::FmtArgs;
use super::load::{parse_file, unwritten};
use super::{Failure, stdout};
use crate::ast::print::{Style, format};

pub fn run(args: &FmtArgs) -> Result<u8, Failure> {
    let mut different = false;
    for path in &args.files {
        let (file, sources) = parse_file(path)?;
        let text = &sources.get(file.id).text;
        let formatted = format(&file, text, Style { ascii: args.ascii });
        if formatted == **text {
            continue;
        }
        different = true;
        if args.check {
            stdout::line(&format!("{} is not formatted", path.display()))?;
        } else {
            replace(path, &formatted).map_err(|e| unwritten(path, &e))?;
        }
    }
    Ok(u8::from(args.check && different))
}

/// Writes beside the file and renames, so that a full disk leaves the old text whole.
pub fn replace(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".seqc-tmp");
    let beside = path.with_file_name(name);
    let written = std::fs::write(&beside, text)
        .and_then(|()| match std::fs::metadata(path) {
            Ok(old) => std::fs::set_permissions(&beside, old.permissions()),
            // There is no old text.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        })
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}
