//! The rows of a stream that the next answer reads.
//!
//! In: the stream's pieces, one a row, object or block, and what each is to those after it. Out: the
//! pieces to read together, so that a row means what it means in a file: behind the rows that windows
//! and `next` look at stand those whose values `missing = previous` still carries on.

use std::collections::{BTreeSet, VecDeque};

use crate::data::{Newest, Piece};

/// A piece, and what it is to those after it.
struct Row {
    piece: Piece,
    /// `missing = drop` does not leave it out.
    kept: bool,
    /// The columns with `missing = previous` whose value it has.
    given: BTreeSet<usize>,
}

#[derive(Default)]
pub struct Near {
    /// Answered already, and looked at for the values that later rows miss.
    behind: Vec<Row>,
    /// From the first row that the next answer reads.
    rows: VecDeque<Row>,
    last: Option<Newest>,
}

impl Near {
    /// Takes a new piece, which stands for itself until [`Near::told`] says otherwise.
    pub fn push(&mut self, piece: Piece) {
        self.rows.push_back(Row {
            piece,
            kept: true,
            given: BTreeSet::new(),
        });
    }

    /// What is read together, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.behind.iter().chain(&self.rows).map(|r| &r.piece)
    }

    /// How many of the pieces have been answered.
    pub fn behind(&self) -> usize {
        self.behind.len()
    }

    /// Whether something has to be known of the newest piece.
    pub fn asks(&self) -> bool {
        self.last.as_ref().is_none_or(|n| n.gaps)
    }

    pub fn told(&mut self, newest: Newest) {
        if let Some(row) = self.rows.back_mut() {
            row.kept = newest.kept;
            row.given.clone_from(&newest.given);
        }
        if !newest.kept {
            self.drop_newest();
        }
        self.last = Some(newest);
    }

    /// A row that is left out stays for the values it carries on, in place of those before it that
    /// carry on no other.
    fn drop_newest(&mut self) {
        let Some(newest) = self.rows.pop_back() else {
            return;
        };
        if newest.given.is_empty() {
            return;
        }
        let idle = |r: &Row| !r.kept && r.given.is_subset(&newest.given);
        while self.rows.back().is_some_and(idle) {
            self.rows.pop_back();
        }
        self.rows.push_back(newest);
    }

    /// The line of the row that has its answer now.
    pub fn answered(&self) -> Option<usize> {
        let newest = self.last.as_ref().filter(|n| n.kept)?;
        let mut kept = self.rows.iter().filter(|r| r.kept);
        let row = kept.nth(newest.back)?;
        let after = kept.count();
        (after == newest.ahead).then(|| row.piece.line())
    }

    /// How many rows an answer reads.
    pub fn needed(&self) -> usize {
        let rows = |n: &Newest| n.back.saturating_add(n.ahead).saturating_add(1);
        self.last.as_ref().map_or(1, rows)
    }

    /// The first row has been read for the last time.
    pub fn pass(&mut self) {
        let first = self.rows.iter().position(|r| r.kept);
        let passed = self.rows.drain(..first.map_or(0, |i| i + 1));
        self.behind.extend(passed);
        let mut given = BTreeSet::new();
        let mut carried: Vec<Row> = Vec::new();
        for row in self.behind.drain(..).rev() {
            if !row.given.is_subset(&given) {
                given.extend(row.given.iter().copied());
                carried.push(row);
            }
        }
        carried.reverse();
        self.behind = carried;
    }
}
