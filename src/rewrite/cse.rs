//! One op instead of several that compute the same.

use std::collections::HashMap;

use super::Pass;
use super::edit::{self, Map};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "cse",
    why: "computes equal values once",
    run,
};

fn run(func: &mut Func) {
    let mut map = Map::new();
    let mut seen = HashMap::new();
    let body = func.body.clone();
    region(func, &body, 0, &mut seen, &mut map);
    edit::replace(func, &map);
    if !map.is_empty() {
        super::dce::run(func);
    }
}

/// A value that a region around computes serves the regions inside, never the other way.
fn region(
    func: &Func,
    region: &Region,
    depth: usize,
    seen: &mut HashMap<String, Vec<ValueId>>,
    map: &mut Map,
) {
    let mut added = Vec::new();
    for id in &region.ops {
        let op = func.op(*id);
        if let OpKind::Scan(scan) = &op.kind {
            self::region(func, &scan.body, depth + 1, seen, map);
            continue;
        }
        let args: Vec<ValueId> = op.args.iter().map(|a| edit::resolve(map, *a)).collect();
        // Constants and repetitions cost nothing where they are used: not shared across regions.
        let free = matches!(op.kind, OpKind::Const(_) | OpKind::Expand { .. });
        let place = if free { depth } else { 0 };
        let key = format!("{place} {:?} {args:?}", op.kind);
        match seen.get(&key) {
            Some(results) => {
                map.extend(op.results.iter().copied().zip(results.iter().copied()));
            }
            None => {
                seen.insert(key.clone(), op.results.clone());
                added.push(key);
            }
        }
    }
    for key in added {
        seen.remove(&key);
    }
}
