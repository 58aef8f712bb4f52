//! The shaped program's parts in the words of the language: units, starts, operators, shapes.

use super::program::{Binary, Init, Unary};
use crate::ast::node::Unit;
use crate::dim::{Binding, Dim, Role};

pub(super) fn dim(role: Role, binding: &Binding, name: &str) -> String {
    match (role, binding) {
        (_, Binding::Static(Some(n))) => format!("{name}={n}"),
        (Role::Time, _) => format!("{name} time"),
        (Role::Vocabulary, _) => format!("{name} from data"),
        (Role::Batch | Role::Feature, _) => name.to_string(),
    }
}

pub(super) fn unit(u: Unit) -> &'static str {
    match u {
        Unit::Token => "token",
        Unit::Class => "class",
        Unit::Number => "number",
        Unit::Binary => "binary",
    }
}

/// As it is written after `~`.
pub(super) fn init(i: Init) -> String {
    match i {
        Init::Zeros => "zeros".into(),
        Init::Ones => "ones".into(),
        Init::Xavier => "xavier".into(),
        Init::He => "he".into(),
        Init::Orthogonal => "orthogonal".into(),
        Init::Normal(s) => format!("normal({s})"),
        Init::Uniform(a) => format!("uniform({a})"),
        Init::Constant(c) => format!("constant({c})"),
        Init::HeadOrthogonal { first: true } => "orthogonal on the state, then xavier".into(),
        Init::HeadOrthogonal { first: false } => "xavier, then orthogonal on the state".into(),
    }
}

pub(super) fn unary(op: Unary) -> &'static str {
    match op {
        Unary::Neg => "-",
        Unary::Not => "not",
        Unary::Exp => "exp",
        Unary::Log => "log",
        Unary::Sqrt => "sqrt",
        Unary::Abs => "abs",
        Unary::Tanh => "tanh",
        Unary::Sigmoid => "σ",
        Unary::Relu => "relu",
        Unary::Gelu => "gelu",
        Unary::Silu => "silu",
        Unary::Softplus => "softplus",
        Unary::Sin => "sin",
        Unary::Cos => "cos",
        Unary::Step => "step",
    }
}

/// The symbol and how tightly it binds.
pub(super) fn binary(op: Binary) -> (&'static str, u8) {
    match op {
        Binary::Or => ("or", 1),
        Binary::And => ("and", 2),
        Binary::Lt => ("<", 4),
        Binary::Le => ("<=", 4),
        Binary::Eq => ("==", 4),
        Binary::Ne => ("!=", 4),
        Binary::Gt => (">", 4),
        Binary::Ge => (">=", 4),
        Binary::Add => ("+", 5),
        Binary::Sub => ("-", 5),
        Binary::Mul => ("*", 6),
        Binary::Div => ("/", 6),
        Binary::Pow => ("^", 10),
        Binary::Min => ("min", 11),
        Binary::Max => ("max", 11),
    }
}

pub(super) fn shape(s: &[Dim]) -> String {
    match s {
        [] => "number".into(),
        s => {
            let parts: Vec<String> = s.iter().map(Dim::to_string).collect();
            format!("[{}]", parts.join(", "))
        }
    }
}
