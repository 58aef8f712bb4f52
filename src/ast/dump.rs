//! The tree as text, for reading: `emit --emit=ast`.
//!
//! In: a [`File`]. Out: one node a line, children indented below it, no places. Two trees have the same text exactly when
//! they are equal apart from spans and comments.

use std::fmt::Write;

use super::node::*;

/// The whole tree, one node a line.
pub fn dump(file: &File) -> String {
    let mut dump = Dump {
        text: String::new(),
        depth: 0,
    };
    for item in &file.items {
        dump.item(item);
    }
    dump.text
}

struct Dump {
    text: String,
    depth: usize,
}

impl Dump {
    fn line(&mut self, text: impl AsRef<str>) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    /// A line, and what belongs to it one step to the right.
    fn node(&mut self, text: impl AsRef<str>, children: impl FnOnce(&mut Dump)) {
        self.line(text);
        self.depth += 1;
        children(self);
        self.depth -= 1;
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Time(time) => {
                for (name, length) in &time.names {
                    self.node(format!("time {}", name.node), |d| d.maybe(length.as_ref()));
                }
            }
            Item::Dim(dim) => {
                for (name, size) in &dim.names {
                    self.node(format!("dim {}", name.node), |d| d.expr(size));
                }
            }
            Item::Def(def) => {
                let kind = match def.kind {
                    DefKind::Cell => "cell",
                    DefKind::Block => "block",
                    DefKind::Model => "model",
                };
                self.node(format!("{kind} {}", def.name.node), |d| {
                    for size in &def.sizes {
                        d.node(format!("size {}", size.name.node), |d| {
                            d.maybe(size.default.as_ref())
                        });
                    }
                    def.body.iter().for_each(|stmt| d.stmt(stmt));
                });
            }
            Item::Fn(def) => self.node(format!("fn {}", def.name.node), |d| {
                for (name, ty) in &def.params {
                    d.node(format!("parameter {}", name.node), |d| d.ty(ty.as_ref()));
                }
                match &def.body {
                    FnBody::Expr(value) => d.expr(value),
                    FnBody::Stmts(body) => body.iter().for_each(|stmt| d.stmt(stmt)),
                }
            }),
            Item::Settings(settings) => {
                let kind = match settings.kind {
                    SettingsKind::Data => "data",
                    SettingsKind::Train => "train",
                    SettingsKind::Generate => "generate",
                    SettingsKind::Tune => "tune",
                };
                let on = settings
                    .on
                    .as_ref()
                    .map_or(String::new(), |on| format!(" on {}", on.node));
                self.node(format!("{kind} {}{on}", settings.name.node), |d| {
                    settings
                        .entries
                        .iter()
                        .for_each(|setting| d.setting(setting));
                });
            }
        }
    }

    fn setting(&mut self, setting: &Setting) {
        match setting {
            Setting::Set {
                given,
                name,
                indices,
                value,
                ..
            } => {
                let given = if *given { "given " } else { "" };
                let indices = indexed(indices.as_deref());
                self.node(format!("{given}{}{indices} =", name.node), |d| {
                    d.expr(value)
                });
            }
            Setting::Params {
                selector, entries, ..
            } => {
                let selector = match &selector.node {
                    Selector::Glob(pattern) => format!("{pattern:?}"),
                    Selector::Matrices => "matrices".to_string(),
                    Selector::Vectors => "vectors".to_string(),
                };
                self.node(format!("params {selector}"), |d| {
                    entries.iter().for_each(|setting| d.setting(setting));
                });
            }
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Decl {
                kind,
                names,
                ty,
                init,
                value,
            } => {
                let kind = match kind {
                    DeclKind::Input => "input",
                    DeclKind::Context => "context",
                    DeclKind::State => "state",
                    DeclKind::Target => "target",
                    DeclKind::Param => "param",
                };
                self.node(format!("{kind} {}", joined(names)), |d| {
                    d.ty(ty.as_ref());
                    if let Some(init) = init {
                        d.node("~", |d| d.expr(init));
                    }
                    if let Some(value) = value {
                        d.node("=", |d| d.expr(value));
                    }
                });
            }
            StmtKind::Eq {
                names,
                indices,
                value,
            } => {
                let names: Vec<String> = names
                    .iter()
                    .map(|lhs| lhs.name.node.clone() + if lhs.prime { "'" } else { "" })
                    .collect();
                let indices = indexed(indices.as_deref());
                self.node(format!("{}{indices} =", names.join(", ")), |d| {
                    d.expr(value)
                });
            }
            StmtKind::Output(values) => {
                self.node("output", |d| values.iter().for_each(|e| d.expr(e)))
            }
            StmtKind::Watch(names) => self.line(format!("watch {}", joined(names))),
            StmtKind::Predict { name, value } => {
                self.node(format!("predict {} =", name.node), |d| d.expr(value));
            }
            StmtKind::Penalty { name, value } => {
                self.node(format!("penalty {} =", name.node), |d| d.expr(value));
            }
        }
    }

    fn ty(&mut self, ty: Option<&Type>) {
        let Some(ty) = ty else { return };
        let unit = match ty.unit.as_ref().map(|unit| unit.node) {
            Some(Unit::Token) => " token",
            Some(Unit::Class) => " class",
            Some(Unit::Number) => " number",
            Some(Unit::Binary) => " binary",
            None => "",
        };
        let sizes = ty.shape.as_deref().unwrap_or_default();
        let rank = ty
            .shape
            .as_ref()
            .map_or(String::new(), |shape| format!(" of {} axes", shape.len()));
        self.node(format!("type{rank}{unit}"), |d| {
            sizes.iter().for_each(|size| d.expr(size))
        });
    }

    fn maybe(&mut self, value: Option<&Expr>) {
        if let Some(value) = value {
            self.expr(value);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Number { text, .. } => self.line(text),
            ExprKind::String(text) => self.line(format!("{text:?}")),
            ExprKind::Name(name) => self.line(name),
            ExprKind::Prime(value) => self.node("next step of", |d| d.expr(value)),
            ExprKind::Field(value, name) => {
                self.node(format!("field {}", name.node), |d| d.expr(value))
            }
            ExprKind::Index(value, indices) => self.node("index", |d| {
                d.expr(value);
                indices
                    .iter()
                    .for_each(|index| d.node("at", |d| d.expr(index)));
            }),
            ExprKind::Call { callee, args } => self.node("call", |d| {
                d.expr(callee);
                args.iter().for_each(|arg| d.arg(arg));
            }),
            ExprKind::List(elements) => {
                self.node("list", |d| elements.iter().for_each(|e| d.expr(e)))
            }
            ExprKind::Paren(value) => self.node("( )", |d| d.expr(value)),
            ExprKind::Unary { op, value, .. } => {
                let op = match op {
                    UnaryOp::Neg => "negate",
                    UnaryOp::Not => "not",
                };
                self.node(op, |d| d.expr(value));
            }
            ExprKind::Binary {
                op, left, right, ..
            } => {
                let op = match op {
                    BinaryOp::Or => "or",
                    BinaryOp::And => "and",
                    BinaryOp::Add => "+",
                    BinaryOp::Sub => "-",
                    BinaryOp::Mul => "*",
                    BinaryOp::Div => "/",
                    BinaryOp::Dot => "·",
                    BinaryOp::Pow => "^",
                };
                self.node(op, |d| {
                    d.expr(left);
                    d.expr(right);
                });
            }
            ExprKind::Compare { first, rest } => self.node("compare", |d| {
                d.expr(first);
                for (op, value) in rest {
                    let op = match op.node {
                        CompareOp::Lt => "<",
                        CompareOp::Le => "<=",
                        CompareOp::Eq => "==",
                        CompareOp::Ne => "!=",
                        CompareOp::Gt => ">",
                        CompareOp::Ge => ">=",
                    };
                    d.node(op, |d| d.expr(value));
                }
            }),
            ExprKind::Over {
                value, axes, cond, ..
            } => {
                self.node(format!("over {}", joined(axes)), |d| {
                    d.expr(value);
                    if let Some(cond) = cond {
                        d.node("where", |d| d.expr(cond));
                    }
                });
            }
            ExprKind::Pipe { input, stage, .. } => self.node("|>", |d| {
                d.expr(input);
                d.stage(stage);
            }),
        }
    }

    fn arg(&mut self, arg: &Arg) {
        let mut head = arg
            .name
            .as_ref()
            .map_or("argument".to_string(), |name| format!("{} =", name.node));
        if let Some(counter) = &arg.counter {
            // Writing to a string cannot fail.
            let _ = write!(head, " as {}", counter.node);
        }
        self.node(head, |d| d.expr(&arg.value));
    }

    fn stage(&mut self, stage: &Stage) {
        let scan = match stage.scan.as_ref().map(|scan| scan.node) {
            Some(ScanDir::Forward) => "scan",
            Some(ScanDir::Reverse) => "scan reverse",
            Some(ScanDir::Both) => "scan both",
            None => "into",
        };
        let over = stage
            .over
            .as_ref()
            .map_or(String::new(), |over| format!(" over {}", over.node));
        self.node(format!("{scan}{over}"), |d| {
            d.expr(&stage.call);
            for (word, binds) in [("with", &stage.with), ("from", &stage.from)] {
                for bind in binds {
                    let path: Vec<&str> = bind.path.iter().map(|part| part.node.as_str()).collect();
                    d.node(format!("{word} {} =", path.join(".")), |d| {
                        d.expr(&bind.value)
                    });
                }
            }
        });
    }
}

fn joined(names: &[Ident]) -> String {
    names
        .iter()
        .map(|name| name.node.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn indexed(indices: Option<&[Ident]>) -> String {
    indices.map_or(String::new(), |indices| format!("[{}]", joined(indices)))
}
