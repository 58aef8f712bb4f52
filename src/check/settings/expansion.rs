//! How large the columns of a data block are, each written out where another names it.
//!
//! In: a [`DataSpec`] without a cycle. Out: `limit::expansion` for the first column that is too
//! large. Columns are followed and computed through their names, so forty lines that each name the
//! one before twice would never end.

use std::collections::BTreeMap;

use crate::data::spec::{ColumnExpr, ColumnKind, DataSpec};
use crate::diagnostics::Diagnostic;
use crate::settings::read::clip;

/// The most expressions of one column, those of the columns it names among them.
const MOST: u64 = 100_000;

/// The first column past the limit, in the order of the file.
pub fn too_large(spec: &DataSpec) -> Option<Diagnostic> {
    let mut known = BTreeMap::new();
    let large = (spec.columns.iter()).find(|c| named(spec, &c.name.node, &mut known) > MOST)?;
    let name = &large.name;
    let message = format!(
        "written out, column `{}` has more than {MOST} expressions",
        clip(&name.node)
    );
    let d = Diagnostic::error("limit::expansion", message);
    Some(d.label(name.span, "by the columns that it names"))
}

/// The size of a column, or 1 for a name that is none.
fn named<'s>(spec: &'s DataSpec, name: &'s str, known: &mut BTreeMap<&'s str, u64>) -> u64 {
    if let Some(size) = known.get(name) {
        return *size;
    }
    let Some(column) = spec.columns.iter().find(|c| c.name.node == name) else {
        return 1;
    };
    let size = expr(spec, &column.value, known);
    known.insert(name, size);
    size
}

fn expr<'s>(spec: &'s DataSpec, e: &'s ColumnExpr, known: &mut BTreeMap<&'s str, u64>) -> u64 {
    let own = match &e.kind {
        ColumnKind::Name(name) => named(spec, name, known),
        _ => 1,
    };
    let parts = e.parts().into_iter().map(|p| expr(spec, p, known));
    parts.fold(own, u64::saturating_add)
}
