//! Expressions as tokens.
//!
//! In: an expression. Out: its tokens at the end of a row. `+`, `-`, comparisons and words have blanks around them, `^` has
//! none, and `*`, `/` and `·` are as the author wrote them.

use super::row::{Break, Row, quote};
use crate::ast::node::*;
use crate::span::Span;

impl Row<'_> {
    /// An expression, with so many blanks before its first token.
    pub fn expr(&mut self, expr: &Expr, blanks: usize) {
        let (start, end) = (expr.span.start as usize, expr.span.end as usize);
        match &expr.kind {
            ExprKind::Number { text, .. } => {
                self.push(text.as_str(), start, end, blanks);
            }
            ExprKind::String(text) => {
                self.push(quote(text), start, end, blanks);
            }
            ExprKind::Name(name) => self.name(name, expr.span, blanks),
            ExprKind::Prime(value) => {
                self.expr(value, blanks);
                self.plain("'", 0);
            }
            ExprKind::Field(value, name) => {
                self.expr(value, blanks);
                self.plain(".", 0);
                self.name(&name.node, name.span, 0);
            }
            ExprKind::Index(value, indices) => {
                self.expr(value, blanks);
                self.bracket_open("[");
                self.list(indices);
                self.bracket_close("]");
            }
            ExprKind::Call { callee, args } => {
                self.expr(callee, blanks);
                self.bracket_open("(");
                self.args(args);
                self.bracket_close(")");
            }
            ExprKind::List(elements) => {
                self.open("[", blanks);
                self.list(elements);
                self.bracket_close("]");
            }
            ExprKind::Paren(value) => {
                self.open("(", blanks);
                self.expr(value, 0);
                self.bracket_close(")");
            }
            ExprKind::Unary { op, value, .. } => match op {
                UnaryOp::Neg => {
                    self.plain("-", blanks);
                    self.expr(value, 0);
                }
                UnaryOp::Not => {
                    self.plain("not", blanks);
                    self.expr(value, 1);
                }
            },
            ExprKind::Binary {
                op,
                op_span,
                left,
                right,
            } => {
                self.expr(left, blanks);
                let blanks = self.binary(*op, *op_span);
                self.expr(right, blanks);
            }
            ExprKind::Compare { first, rest } => {
                self.expr(first, blanks);
                for (op, value) in rest {
                    let text = match op.node {
                        CompareOp::Lt => "<",
                        CompareOp::Le => "<=",
                        CompareOp::Eq => "==",
                        CompareOp::Ne => "!=",
                        CompareOp::Gt => ">",
                        CompareOp::Ge => ">=",
                    };
                    self.plain(text, 1).may_break = Break::Maybe;
                    self.expr(value, 1);
                }
            }
            ExprKind::Over {
                value, axes, cond, ..
            } => {
                self.expr(value, blanks);
                self.word("over");
                self.commas(axes, |row, name| row.spaced_name(name));
                if let Some(cond) = cond {
                    self.plain("where", 1).may_break = Break::Maybe;
                    self.expr(cond, 1);
                }
            }
            ExprKind::Pipe { input, stage, .. } => {
                self.expr(input, blanks);
                self.plain("|>", 1).may_break = Break::Pipe;
                self.stage(stage);
            }
        }
    }

    /// The operator; the blanks that belong after it.
    fn binary(&mut self, op: BinaryOp, span: Span) -> usize {
        let (text, blanks) = match op {
            BinaryOp::Or => ("or", Some(1)),
            BinaryOp::And => ("and", Some(1)),
            BinaryOp::Add => ("+", Some(1)),
            BinaryOp::Sub => ("-", Some(1)),
            BinaryOp::Mul => ("*", None),
            BinaryOp::Div => ("/", None),
            BinaryOp::Dot => (if self.style.ascii { "@" } else { "·" }, None),
            BinaryOp::Pow => ("^", Some(0)),
        };
        let (start, end) = (span.start as usize, span.end as usize);
        let close = self.at == start && self.next(end) == end;
        let blanks = blanks.unwrap_or(usize::from(!close));
        let token = self.push(text, start, end, blanks);
        if blanks > 0 {
            token.may_break = Break::Maybe;
        }
        blanks
    }

    fn args(&mut self, args: &[Arg]) {
        self.commas(args, |row, arg| {
            let blanks = row.list_blanks();
            match &arg.name {
                Some(name) => {
                    row.name(&name.node, name.span, blanks);
                    row.value(Some(&arg.value));
                }
                None => row.expr(&arg.value, blanks),
            }
            if let Some(counter) = &arg.counter {
                row.word("as");
                row.spaced_name(counter);
            }
        });
    }

    fn stage(&mut self, stage: &Stage) {
        if let Some(scan) = &stage.scan {
            self.word("scan");
            match scan.node {
                ScanDir::Forward => {}
                ScanDir::Reverse => self.word("reverse"),
                ScanDir::Both => self.word("both"),
            }
        }
        self.expr(&stage.call, 1);
        if let Some(over) = &stage.over {
            self.word("over");
            self.spaced_name(over);
        }
        for (word, binds) in [("with", &stage.with), ("from", &stage.from)] {
            if binds.is_empty() {
                continue;
            }
            self.plain(word, 1).may_break = Break::Maybe;
            self.commas(binds, |row, bind| {
                for (n, part) in bind.path.iter().enumerate() {
                    if n > 0 {
                        row.plain(".", 0);
                    }
                    row.name(&part.node, part.span, usize::from(n == 0));
                }
                row.value(Some(&bind.value));
            });
        }
    }
}
