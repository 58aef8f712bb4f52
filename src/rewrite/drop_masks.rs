//! A mask of what is zero there already is left out.
//!
//! Attention over padded sequences masks its scores to −∞, so that their softmax is 0 at padding; the
//! sum over the same time with those weights masks padding once more.

use super::Pass;
use super::edit::{self, Map};
use super::zeros::{Outside, Zeros};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "drop-masks",
    why: "removes masks of what is zero outside their domain already",
    run,
};

fn run(func: &mut Func) {
    let makers = edit::makers(func);
    let zeros = Zeros::new(func, &makers);
    let mut map = Map::new();
    for (id, _) in edit::live_ops(func) {
        let op = func.op(id);
        let OpKind::Mask {
            domain,
            fill,
            batch,
        } = &op.kind
        else {
            continue;
        };
        let outside = Outside {
            domain: domain.clone(),
            of: &op.args[1..],
            batch: *batch,
        };
        let nothing = domain.is_everywhere();
        if nothing || (*fill == 0.0 && zeros.outside(op.args[0], &outside)) {
            map.insert(op.results[0], op.args[0]);
        }
    }
    edit::replace(func, &map);
    if !map.is_empty() {
        super::dce::run(func);
    }
}
