//! `seqc check`: everything that can be known before running.
//!
//! In: files, and the data they name. Out: diagnostics on stderr, and on stdout what was asked for: the resolved program, the
//! cost, or with `--json` one object with the keys `ok`, `files` (those without errors), `diagnostics`
//! and, with `--cost`, `cost` by file and model.

use std::collections::BTreeMap;
use std::path::Path;

use super::args::{CheckArgs, Common};
use super::costs;
use super::filled::filled;
use super::fix;
use super::load::{Loaded, base, load};
use super::{Failure, first_exit_code, ready, render, session, stdout};
use crate::data::spec::SourceKind;
use crate::data::{DataSpec, LoadOptions, is_small, probe};
use crate::diagnostics::Diagnostic;
use crate::span::Sources;

pub fn run(common: &Common, args: &CheckArgs) -> Result<u8, Failure> {
    let bindings = session::bindings(common)?;
    let mut code = 0;
    let mut files = Vec::new();
    let mut all = Vec::new();
    let mut cost = serde_json::Map::new();
    for path in &args.files {
        let fixed = match args.fix {
            true => fix::fix(path, common)?,
            false => 0,
        };
        if fixed > 0 && !common.quiet {
            let plural = if fixed == 1 { "" } else { "s" };
            eprintln!("{}: {fixed} edit{plural} made", path.display());
        }
        let mut partly = false;
        let mut told = Vec::new();
        let (loaded, exit) = match load(path, common) {
            Ok(mut loaded) => {
                session::known_bindings(&loaded, &bindings)?;
                let against = against_data(&mut loaded, path, &bindings);
                loaded.diagnostics.extend(against.found);
                partly = against.partly;
                told = against.told;
                (Ok(loaded), None)
            }
            Err(failure) => {
                let exit = failure.exit;
                (Err(failure), exit)
            }
        };
        let (diagnostics, sources): (&[Diagnostic], &Sources) = match &loaded {
            Ok(l) => (&l.diagnostics, &l.sources),
            Err(f) => (&f.diagnostics, &f.sources),
        };
        match common.json {
            true => all.extend(diagnostics.iter().map(|d| render::json(d, sources))),
            false => render::show(diagnostics, sources, common),
        }
        if let Some(own) = first_exit_code(diagnostics, sources) {
            code = code.max(exit.unwrap_or(own));
            continue;
        }
        let Ok(loaded) = loaded else { continue };
        if !common.quiet && !common.json {
            told.iter().for_each(|text| eprintln!("{text}"));
        }
        let name = path.display().to_string();
        if args.resolved && !common.json {
            stdout::write(&filled(&loaded))?;
        }
        if args.cost {
            let models = costs::all(&loaded)?;
            let pool = session::pool(common);
            match common.json {
                true => drop(cost.insert(name.clone(), costs::json(&loaded, &models, &pool)?)),
                false => stdout::write(&costs::text(&loaded, &models, &pool)?)?,
            }
        }
        if !common.quiet && !args.resolved && !args.cost && !common.json {
            let n = loaded.models.len();
            let plural = if n == 1 { "" } else { "s" };
            let of = if partly {
                " in the beginning of its data"
            } else {
                ""
            };
            stdout::line(&format!("{name}: {n} model{plural}, no errors{of}"))?;
        }
        files.push(name);
    }
    if common.json {
        let mut o = serde_json::json!({ "ok": code == 0, "files": files, "diagnostics": all });
        if args.cost {
            o["cost"] = cost.into();
        }
        stdout::line(&o.to_string())?;
    }
    Ok(code)
}

/// What was found in the data.
struct Against {
    found: Vec<Diagnostic>,
    /// Only the beginning of some was read.
    partly: bool,
    /// What is to be told of data that is sound.
    told: Vec<String>,
}

/// What the data files show, for blocks that are sound by themselves: those that are read in no time as
/// training reads them, of larger ones the beginning.
fn against_data(
    loaded: &mut Loaded,
    path: &Path,
    bindings: &BTreeMap<String, std::path::PathBuf>,
) -> Against {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut partly = false;
    let mut told = Vec::new();
    if loaded.diagnostics.iter().any(Diagnostic::is_error) {
        return Against {
            found,
            partly,
            told,
        };
    }
    let base = base(path);
    let options = LoadOptions {
        bindings: bindings.clone(),
        ..LoadOptions::new(&base)
    };
    let mut specs: BTreeMap<&str, DataSpec> = BTreeMap::new();
    for block in &loaded.experiment.trains {
        let Some(data) = loaded.experiment.data(&block.settings.data) else {
            continue;
        };
        let sources = &mut loaded.sources;
        let spec = specs
            .entry(&data.spec.name.node)
            .or_insert_with(|| ready::bound(&data.spec, &options, sources));
        let mut new = probe(spec, &block.wanted, &options);
        new.extend(session::leaks(loaded, block, &options));
        // A file that is not there, or a step that is not built, was told.
        if new.is_empty() && block.unavailable.is_empty() {
            match is_small(spec, &options) {
                true => match ready::loaded_as(spec, block, &options) {
                    Ok(dataset) => {
                        new.extend(ready::doubtful(loaded, block, &dataset));
                        let left = dataset.left_out();
                        let left = left.map(|l| format!("{} are left out: {}", l.share(), l.why()));
                        told.extend(left.filter(|text| !told.contains(text)));
                    }
                    Err(wrong) => new.extend(wrong),
                },
                false => partly |= !matches!(spec.source.kind, SourceKind::Rows { .. }),
            }
        }
        // Two blocks on the same data say the same of it, and the settings may have said it already.
        for d in new {
            let known = found.iter().chain(&loaded.diagnostics);
            if !known
                .into_iter()
                .any(|k| (k.code, &k.labels) == (d.code, &d.labels))
            {
                found.push(d);
            }
        }
    }
    Against {
        found,
        partly,
        told,
    }
}
