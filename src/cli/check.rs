//! `seqc check`: everything that can be known before running.

use super::args::{CheckArgs, Common};
use super::load::{Loaded, load};
use super::{Failure, render, stdout};
use crate::check::settings::resolved;
use crate::diagnostics::Diagnostic;

pub fn run(common: &Common, args: &CheckArgs) -> Result<u8, Failure> {
    let mut code = 0;
    let mut files = Vec::new();
    for path in &args.files {
        let loaded = match load(path, common) {
            Ok(loaded) => loaded,
            Err(failure) => {
                render::show(&failure.diagnostics, &failure.sources, common);
                let first = failure.diagnostics.iter().find(|d| d.is_error());
                code = code.max(failure.exit.or(first.map(super::exit_code)).unwrap_or(1));
                continue;
            }
        };
        render::show(&loaded.diagnostics, &loaded.sources, common);
        if loaded.diagnostics.iter().any(Diagnostic::is_error) {
            code = code.max(1);
            continue;
        }
        if args.resolved {
            stdout::write(&text(&loaded))?;
        }
        files.push(path.display().to_string());
        if !common.quiet && !args.resolved && !args.cost && !common.json {
            let n = loaded.models.len();
            let plural = if n == 1 { "" } else { "s" };
            stdout::line(&format!("{}: {n} model{plural}, no errors", path.display()))?;
        }
    }
    if common.json {
        let ok = serde_json::json!({ "ok": code == 0, "files": files });
        stdout::line(&ok.to_string())?;
    }
    Ok(code)
}

/// Models with every weight, then the settings with every default.
fn text(loaded: &Loaded) -> String {
    let mut out = String::new();
    for model in &loaded.models {
        out.push_str(&format!("{model}\n"));
    }
    out.push_str(&resolved(&loaded.experiment));
    out
}
