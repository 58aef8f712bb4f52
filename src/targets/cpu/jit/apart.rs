//! Whether the rows of a batch may run a scan apart.
//!
//! In: a scan. Out: the size of the axis that a range of it counts, or nothing where some task mixes rows.

use super::{Generator, routine};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{Effect, Scan, Task};

impl Generator<'_> {
    /// The batch's size, if every task of the body, also in scans within, works row by row along it.
    pub(super) fn common_rows(&self, s: &Scan) -> Result<Option<Dim>, Diagnostic> {
        if !s.rows_independent {
            return Ok(None);
        }
        let mut rows = None;
        Ok(if self.agree(&s.body, &mut rows)? {
            rows
        } else {
            None
        })
    }

    fn agree(&self, tasks: &[Task], rows: &mut Option<Dim>) -> Result<bool, Diagnostic> {
        for task in tasks {
            let own = match task {
                Task::Loop(l) => {
                    let folds = l.effects.iter().any(|e| matches!(e, Effect::Fold { .. }));
                    let kept = !folds || l.reduced.first() == Some(&false);
                    l.space.first().filter(|_| kept)
                }
                Task::Gemm(g) => g.batch.first().or(g.m.first()).map(|a| &a.size),
                Task::Routine { routine, .. } => routine::rows(routine),
                Task::Scan(s) => {
                    if !s.rows_independent || !self.agree(&s.body, rows)? {
                        return Ok(false);
                    }
                    continue;
                }
            };
            let Some(own) = own else { return Ok(false) };
            let own = self.table.fix(own)?;
            match rows {
                None => *rows = Some(own),
                Some(all) if *all == own => {}
                Some(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}
