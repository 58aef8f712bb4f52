//! A data block as text.
//!
//! In: a [`DataSpec`]. Out: a `data` block in `.seq` that reads back as the same spec, with its
//! source's and its split's defaults written out.

use crate::data::spec::{
    Binary, ColumnExpr, ColumnKind, ColumnRef, DataSpec, Missing, PartFile, Reduce, SourceKind,
    Split, SplitBy, Step, Table, Unary,
};
use crate::settings::checked::escape;

pub fn data(spec: &DataSpec) -> String {
    let mut lines = vec![("from".to_string(), source(&spec.source.kind))];
    for c in &spec.columns {
        let name = match c.indices.as_slice() {
            [] => c.name.node.clone(),
            indices => {
                let indices: Vec<&str> = indices.iter().map(|i| i.node.as_str()).collect();
                format!("{}[{}]", c.name.node, indices.join(", "))
            }
        };
        lines.push((name, expr(&c.value, LOOSEST)));
    }
    if let Some(keep) = &spec.keep {
        lines.push(("keep".into(), expr(keep, LOOSEST)));
    }
    lines.push(("split".into(), split(&spec.split)));
    format!("data {} {{\n{}}}\n", spec.name.node, aligned(&lines))
}

/// `  name = value`, the equal signs one below the other.
pub fn aligned(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(n, _)| n.chars().count()).max();
    let width = width.unwrap_or(0);
    lines
        .iter()
        .map(|(name, value)| format!("  {name:<width$} = {value}\n"))
        .collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

fn source(kind: &SourceKind) -> String {
    match kind {
        SourceKind::Text(path) => format!("text({})", quoted(&path.node)),
        SourceKind::Lines(path) => format!("lines({})", quoted(&path.node)),
        SourceKind::Csv(t) => table("csv", t),
        SourceKind::Tsv(t) => table("tsv", t),
        SourceKind::Jsonl(path) => format!("jsonl({})", quoted(&path.node)),
        SourceKind::Idx { images, labels } => {
            let labels = labels.as_ref().map(|l| quoted(&l.node));
            let labels = labels.map_or(String::new(), |l| format!(", labels = {l}"));
            format!("idx(images = {}{labels})", quoted(&images.node))
        }
        SourceKind::Rows { count, seed } => format!("rows({count}, seed = {seed})"),
        SourceKind::Tensors(path) => format!("tensors({})", quoted(&path.node)),
    }
}

fn table(name: &str, t: &Table) -> String {
    let yes = |b: bool| if b { "yes" } else { "no" };
    let sort = t
        .sort
        .as_ref()
        .map_or_else(String::new, |s| format!(", sort = {}", reference(&s.node)));
    format!(
        "{name}({}, header = {}{sort}, blocks = {})",
        quoted(&t.path.node),
        yes(t.header),
        if t.blocks { "blank_line" } else { "no" }
    )
}

/// A name is quoted, so that any column's name reads back.
fn reference(r: &ColumnRef) -> String {
    match r {
        ColumnRef::Named(name) => quoted(name),
        ColumnRef::At(n) => n.to_string(),
    }
}

fn split(s: &Split) -> String {
    match s {
        Split::Parts { shares, by, .. } => {
            let [train, valid, test] = shares;
            let by = match by {
                SplitBy::Shuffle => String::new(),
                SplitBy::Time => ", by = time".into(),
                SplitBy::Stratify(column) => format!(", stratify = {}", column.node),
            };
            format!("parts({train}, {valid}, {test}{by})")
        }
        Split::Files { valid, test, .. } => {
            let part = |name: &str, file: &Option<PartFile>| {
                file.as_ref().map(|f| match &f.labels {
                    None => format!("{name} = {}", quoted(&f.path.node)),
                    Some(labels) => format!(
                        "{name} = idx(images = {}, labels = {})",
                        quoted(&f.path.node),
                        quoted(&labels.node)
                    ),
                })
            };
            let parts: Vec<String> = [part("valid", valid), part("test", test)]
                .into_iter()
                .flatten()
                .collect();
            format!("files({})", parts.join(", "))
        }
    }
}

/// How tightly the place of an expression binds; what is looser gets parentheses.
type Tightness = u8;
const LOOSEST: Tightness = 0;
const TIGHTEST: Tightness = 9;

fn expr(e: &ColumnExpr, place: Tightness) -> String {
    let (text, own) = bare(e);
    if own < place {
        format!("({text})")
    } else {
        text
    }
}

fn bare(e: &ColumnExpr) -> (String, Tightness) {
    let call = |name: &str, args: &[&ColumnExpr]| {
        let args: Vec<String> = args.iter().map(|a| expr(a, LOOSEST)).collect();
        format!("{name}({})", args.join(", "))
    };
    let over = |text: String, over: &Option<crate::span::Spanned<String>>| match over {
        // As an operand it needs parentheses: `over` would take what follows.
        Some(axis) => (format!("{text} over {}", axis.node), 1),
        None => (text, TIGHTEST),
    };
    match &e.kind {
        ColumnKind::Number(n) if *n < 0.0 => (n.to_string(), 7),
        ColumnKind::Number(n) => (n.to_string(), TIGHTEST),
        ColumnKind::Text(t) => (quoted(t), TIGHTEST),
        ColumnKind::Name(n) => (n.clone(), TIGHTEST),
        // Only ever below a step, which then has no input.
        ColumnKind::Whole => (String::new(), TIGHTEST),
        ColumnKind::Column(r) => (format!("column({})", reference(r)), TIGHTEST),
        ColumnKind::Columns(all) => {
            let all: Vec<String> = all.iter().map(reference).collect();
            (format!("columns({})", all.join(", ")), TIGHTEST)
        }
        ColumnKind::Step { input, step } => match input.kind {
            ColumnKind::Whole => (self::step(step), TIGHTEST),
            ColumnKind::Step { .. } => (
                format!("{} |> {}", expr(input, LOOSEST), self::step(step)),
                0,
            ),
            _ => (
                format!("{} |> {}", expr(input, TIGHTEST), self::step(step)),
                0,
            ),
        },
        ColumnKind::Filled { columns, missing } => {
            let inner = bare(columns).0;
            let inner = inner.strip_suffix(')').unwrap_or(&inner);
            let missing = match missing {
                Missing::Drop => "drop".into(),
                Missing::Previous => "previous".into(),
                Missing::Mean => "mean".into(),
                Missing::Number(n) => n.to_string(),
                Missing::Text(t) => quoted(t),
            };
            (format!("{inner}, missing = {missing})"), TIGHTEST)
        }
        ColumnKind::Next(v, 1) => (call("next", &[v]), TIGHTEST),
        ColumnKind::Next(v, k) => (format!("next({}, {k})", expr(v, LOOSEST)), TIGHTEST),
        ColumnKind::Length(v) => (call("length", &[v]), TIGHTEST),
        ColumnKind::Unary(op, v) => match unary(*op) {
            "-" => (format!("-{}", expr(v, 8)), 7),
            "not" => (format!("not {}", expr(v, 4)), 3),
            name => (call(name, &[v]), TIGHTEST),
        },
        ColumnKind::Binary(op, a, b) => match binary(*op) {
            (name, TIGHTEST) => (call(name, &[a, b]), TIGHTEST),
            // Left-associative but for the power; comparisons chain, so both sides bind tighter.
            (sign, own) => {
                let (left, right) = match op {
                    Binary::Pow => (own + 1, own),
                    Binary::Lt | Binary::Le | Binary::Eq | Binary::Ne | Binary::Gt | Binary::Ge => {
                        (own + 1, own + 1)
                    }
                    Binary::Add
                    | Binary::Sub
                    | Binary::Mul
                    | Binary::Div
                    | Binary::Min
                    | Binary::Max
                    | Binary::Mod
                    | Binary::And
                    | Binary::Or => (own, own + 1),
                };
                let text = format!("{} {sign} {}", expr(a, left), expr(b, right));
                (text, own)
            }
        },
        ColumnKind::Choose(a, b, c) => (call("choose", &[a, b, c]), TIGHTEST),
        ColumnKind::Uniform {
            low,
            high,
            over: axis,
        } => over(call("uniform", &[low, high]), axis),
        ColumnKind::Randint { n, over: axis } => over(call("randint", &[n]), axis),
        ColumnKind::List(parts) => {
            let parts: Vec<String> = parts.iter().map(|p| expr(p, LOOSEST)).collect();
            (format!("[{}]", parts.join(", ")), TIGHTEST)
        }
        ColumnKind::Reduce {
            op,
            value,
            over: axis,
        } => {
            let name = match op {
                Reduce::Sum => "sum",
                Reduce::Mean => "mean",
                Reduce::Max => "max",
                Reduce::Min => "min",
            };
            over(call(name, &[value]), axis)
        }
        ColumnKind::Index(v, index) => (format!("{}[{}]", expr(v, TIGHTEST), index.node), TIGHTEST),
    }
}

fn step(s: &Step) -> String {
    match s {
        Step::Chars => "chars()".into(),
        Step::Labels => "labels()".into(),
        Step::LabelsBut(none) => format!("labels(none = {})", quoted(none)),
        Step::Lower => "lower()".into(),
        Step::Nfc => "nfc()".into(),
        Step::Log => "log()".into(),
        Step::Scale { low, high } => format!("scale({low}, {high})"),
        Step::Zscore => "zscore(fit = train)".into(),
        Step::Window(n) => format!("window({n})"),
        Step::Multihot(n) => format!("multihot({n})"),
        Step::Split(separator) => format!("split({})", quoted(separator)),
        Step::Words {
            min_count,
            max,
            apart,
        } => {
            let max = max.map_or(String::new(), |max| format!(", max = {max}"));
            let apart = if *apart { "apart" } else { "attached" };
            format!("words(min_count = {min_count}{max}, punctuation = {apart})")
        }
        Step::Tokenizer { file, end } => match end {
            Some(end) => format!("tokenizer({}, end = {})", quoted(&file.node), quoted(end)),
            None => format!("tokenizer({})", quoted(&file.node)),
        },
        Step::Bpe(n) => format!("bpe({n})"),
        Step::Pixels => "pixels()".into(),
        Step::Steps(n) => format!("steps({n})"),
        Step::First => "first()".to_string(),
        Step::Last => "last()".to_string(),
    }
}

fn unary(op: Unary) -> &'static str {
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
        Unary::Sin => "sin",
        Unary::Cos => "cos",
        Unary::Step => "step",
        Unary::Floor => "floor",
    }
}

/// The sign and how tightly it binds; `TIGHTEST` for what is written as a call.
fn binary(op: Binary) -> (&'static str, Tightness) {
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
        Binary::Pow => ("^", 8),
        Binary::Min => ("min", TIGHTEST),
        Binary::Max => ("max", TIGHTEST),
        Binary::Mod => ("mod", TIGHTEST),
    }
}
