//! The pass table: how many ops and products each pass left, in all and inside scans.

use std::fmt::Write;

use crate::ir::*;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub pass: &'static str,
    pub ops: usize,
    pub contracts: usize,
    /// Ops inside scans, and products among them.
    pub in_scan: usize,
    pub contracts_in_scan: usize,
}

impl Row {
    pub fn of(pass: &'static str, func: &Func) -> Row {
        let mut row = Row {
            pass,
            ops: 0,
            contracts: 0,
            in_scan: 0,
            contracts_in_scan: 0,
        };
        row.count(func, &func.body, false);
        row
    }

    fn count(&mut self, func: &Func, region: &Region, inside: bool) {
        for id in &region.ops {
            let kind = &func.op(*id).kind;
            let product = usize::from(matches!(kind, OpKind::Contract { .. }));
            self.ops += 1;
            self.contracts += product;
            if inside {
                self.in_scan += 1;
                self.contracts_in_scan += product;
            }
            if let OpKind::Scan(scan) = kind {
                self.count(func, &scan.body, true);
            }
        }
    }

    /// The table as text, one row a pass; rows that changed nothing are left out but the first and
    /// last.
    pub fn table(rows: &[Row]) -> String {
        let mut out =
            String::from("pass                 ops  contracts  in-scan  contracts in-scan\n");
        let same = |a: &Row, b: &Row| {
            (a.ops, a.contracts, a.in_scan, a.contracts_in_scan)
                == (b.ops, b.contracts, b.in_scan, b.contracts_in_scan)
        };
        for (i, r) in rows.iter().enumerate() {
            if i > 0 && i + 1 < rows.len() && same(r, &rows[i - 1]) {
                continue;
            }
            let _ = writeln!(
                out,
                "{:<19} {:>4}  {:>9}  {:>7}  {:>17}",
                r.pass, r.ops, r.contracts, r.in_scan, r.contracts_in_scan
            );
        }
        out
    }
}
