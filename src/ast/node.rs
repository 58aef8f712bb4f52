//! The syntax tree: what the grammar of `grammar/seq.pest` says, nothing resolved.
//!
//! In: nothing. Out: the node types shared by the parser, the formatter and the checker. Every node
//! knows its span; binary nodes also know their operator's, because diagnostics point at it.

use crate::span::{FileId, Span, Spanned};

/// A name in Unicode's composed form. Of the names with two spellings the tree has one: `σ` for
/// `sigmoid`, `α` for `alpha`.
pub type Ident = Spanned<String>;

/// A whole `.seq` file. Comments are kept beside the tree, in order, for the formatter.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub id: FileId,
    pub items: Vec<Item>,
    pub comments: Vec<Comment>,
}

/// A `#` comment to the end of its line; `text` includes the `#`, without trailing space.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `time T` or `time D = 30`, several separated by commas.
    Time(TimeDecl),
    /// `dim E = 256, D = E/N`.
    Dim(DimDecl),
    Def(Def),
    Fn(FnDef),
    Settings(Settings),
}

#[derive(Clone, Debug, PartialEq)]
pub struct TimeDecl {
    pub names: Vec<(Ident, Option<Expr>)>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DimDecl {
    pub names: Vec<(Ident, Expr)>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefKind {
    Cell,
    Block,
    Model,
}

/// A `cell`, `block` or `model`.
#[derive(Clone, Debug, PartialEq)]
pub struct Def {
    pub kind: DefKind,
    pub name: Ident,
    pub sizes: Vec<SizeParam>,
    pub body: Vec<Stmt>,
    pub span: Span,
}

/// A size in a definition's head: `H`, or `dilation = 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeParam {
    pub name: Ident,
    pub default: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FnDef {
    pub name: Ident,
    pub params: Vec<(Ident, Option<Type>)>,
    pub body: FnBody,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FnBody {
    Expr(Expr),
    Stmts(Vec<Stmt>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclKind {
    Input,
    Context,
    State,
    Target,
    Param,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `input x : [X]`, `state h, c : [H] = h0`, `param bf : [H] ~ ones`.
    Decl {
        kind: DeclKind,
        names: Vec<Ident>,
        ty: Option<Type>,
        init: Option<Expr>,
        value: Option<Expr>,
    },
    /// `h' = …`, `w[t, s] = …`, `i, f, o, g = …`.
    Eq {
        names: Vec<Lhs>,
        indices: Option<Vec<Ident>>,
        value: Expr,
    },
    /// `output h'`, `output hs, cs` in a model.
    Output(Vec<Expr>),
    Watch(Vec<Ident>),
    Predict {
        name: Ident,
        value: Expr,
    },
    Penalty {
        name: Ident,
        value: Expr,
    },
}

/// A name on the left of an equation; `prime` for `h'`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lhs {
    pub name: Ident,
    pub prime: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// The sizes in brackets; `None` where only a unit is written.
    pub shape: Option<Vec<Expr>>,
    pub unit: Option<Spanned<Unit>>,
    pub span: Span,
}

/// What a value counts or names; decides the loss of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    Token,
    Class,
    Number,
    Binary,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// The text is kept as written (`2e-3`).
    Number {
        value: f64,
        text: String,
    },
    /// Unescaped contents of a quoted string.
    String(String),
    Name(String),
    /// `h'` or `gru.h'`: the state at the next step.
    Prime(Box<Expr>),
    Field(Box<Expr>, Ident),
    Index(Box<Expr>, Vec<Expr>),
    /// `f(x)`, `LSTM(64)`, `adam(lr = 1e-3)`; the callee is a `Name` or a `Field`.
    Call {
        callee: Box<Expr>,
        args: Vec<Arg>,
    },
    /// `[h, x]`.
    List(Vec<Expr>),
    Paren(Box<Expr>),
    Unary {
        op: UnaryOp,
        op_span: Span,
        value: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        op_span: Span,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `a <= b < c`, chained as in mathematics.
    Compare {
        first: Box<Expr>,
        rest: Vec<(Spanned<CompareOp>, Expr)>,
    },
    /// `sum(…) over s, k where cond`.
    Over {
        value: Box<Expr>,
        over_span: Span,
        axes: Vec<Ident>,
        cond: Option<Box<Expr>>,
    },
    Pipe {
        input: Box<Expr>,
        pipe_span: Span,
        stage: Box<Stage>,
    },
}

/// What stands on the right of `|>`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub scan: Option<Spanned<ScanDir>>,
    /// A `Name`, `Field` or `Call`.
    pub call: Expr,
    pub over: Option<Ident>,
    pub with: Vec<Bind>,
    pub from: Vec<Bind>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanDir {
    Forward,
    Reverse,
    Both,
}

/// `enc = e` after `with`, `h = e` or `lstm.h = e` after `from`: the path's parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    pub path: Vec<Ident>,
    pub value: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    pub name: Option<Ident>,
    pub value: Expr,
    /// `i` in `Repeat(8 as i, …)`.
    pub counter: Option<Ident>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Or,
    And,
    Add,
    Sub,
    Mul,
    Div,
    /// `·` or `@`.
    Dot,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Lt,
    Le,
    Eq,
    Ne,
    Gt,
    Ge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettingsKind {
    Data,
    Train,
    Generate,
    Tune,
}

/// `data d { … }`, `train M on d { … }`, `generate M { … }`, `tune M { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub kind: SettingsKind,
    pub name: Ident,
    pub on: Option<Ident>,
    pub entries: Vec<Setting>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `batch = 32`, `given lang = "Hindi"`, `m[t] = …` in data. A name may have dots: `loss.stars`.
    Set {
        given: bool,
        name: Ident,
        indices: Option<Vec<Ident>>,
        value: Expr,
        span: Span,
    },
    /// `params "rnn.U*" { lr = 5e-4 }`.
    Params {
        selector: Spanned<Selector>,
        entries: Vec<Setting>,
        span: Span,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    Glob(String),
    Matrices,
    Vectors,
}
