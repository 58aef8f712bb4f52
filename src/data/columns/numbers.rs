//! Arithmetic on the numbers of one example.
//!
//! In: [`Numbers`], of one step or many, of one feature or many. Out: the same, or a diagnostic where
//! shapes do not agree.

use super::super::source::text::shown;
use super::super::spec::{Binary, Reduce, Unary};
use super::plan::Node;
use crate::diagnostics::Diagnostic;

/// `[steps, width]`, or `[width]` where there are no steps; row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    pub data: Vec<f64>,
    pub steps: Option<usize>,
    pub width: usize,
}

impl Numbers {
    pub fn one(v: f64) -> Numbers {
        Numbers {
            data: vec![v],
            steps: None,
            width: 1,
        }
    }

    fn at(&self, step: usize, feature: usize) -> f64 {
        let step = if self.steps.is_some() { step } else { 0 };
        let feature = if self.width == 1 { 0 } else { feature };
        self.data[step * self.width + feature]
    }
}

/// What is said of a cell's text where a number is needed.
pub fn not_a_number(text: &str) -> String {
    match text.trim() {
        "" => "an empty cell where a number is needed".to_string(),
        _ => format!("`{}` is not a number", shown(text, 30)),
    }
}

/// What reads a cell's text as a number, where it seems to mean one: a yes or no, a decimal comma.
/// `column`: as `column(…)` names it; `binary`: 0 or 1 is needed, so that any text may be meant.
pub fn meant(text: &str, column: &str, binary: bool) -> Option<String> {
    const PAIRS: [(&str, &str); 4] = [("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f")];
    let text = text.trim();
    let lower = text.to_lowercase();
    let pair = PAIRS.iter().find(|(yes, no)| lower == *yes || lower == *no);
    let one = match pair {
        Some((yes, _)) if lower == *yes => text.to_string(),
        // Written as its opposite is: `No`, `NO`, `no`.
        Some((yes, _)) if text.chars().all(char::is_uppercase) && text.len() > 1 => {
            yes.to_uppercase()
        }
        Some((yes, _)) if text.starts_with(char::is_uppercase) => {
            yes[..1].to_uppercase() + &yes[1..]
        }
        Some((yes, _)) => yes.to_string(),
        None if binary && !text.is_empty() => text.to_string(),
        None if text.contains(';') => {
            let help =
                "csv has commas between cells, and points in decimal numbers (25.5 for 25,5)";
            return Some(help.to_string());
        }
        None => {
            let (whole, part) = text.split_once(',')?;
            let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
            let number = digits(whole.trim_start_matches(['+', '-'])) && digits(part);
            return number
                .then(|| format!("numbers have a decimal point: {whole}.{part}, not {text}"));
        }
    };
    let one = shown(&one, 24);
    Some(format!(
        "`column({column}) == \"{one}\"` is 1 where the cell is `{one}`, and 0 elsewhere"
    ))
}

pub fn fail(node: &Node, code: &'static str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, message).label(node.span, "here".to_string())
}

/// Element by element: one step lifts over steps, one feature over features.
pub fn lift<const N: usize>(
    values: [&Numbers; N],
    node: &Node,
    f: impl Fn([f64; N]) -> f64,
) -> Result<Numbers, Diagnostic> {
    let width = values.iter().map(|v| v.width).max().unwrap_or(1);
    let steps = values.iter().filter_map(|v| v.steps).max();
    for v in values {
        if (v.width != width && v.width != 1) || (v.steps.is_some() && v.steps != steps) {
            let show = |v: &Numbers| match v.steps {
                Some(s) => format!("[{s}, {}]", v.width),
                None => format!("[{}]", v.width),
            };
            let all: Vec<String> = values.iter().map(|v| show(v)).collect();
            let message = format!("shapes {} do not agree", all.join(" and "));
            return Err(fail(node, "data::shapes", message));
        }
    }
    let n = steps.unwrap_or(1);
    let mut data = Vec::with_capacity(n * width);
    for s in 0..n {
        for j in 0..width {
            data.push(f(values.map(|v| v.at(s, j))));
        }
    }
    Ok(Numbers { data, steps, width })
}

/// All values, where none is an error; else the first error, the others beside.
pub fn all_good(
    values: Vec<Result<Numbers, Diagnostic>>,
    others: &mut Vec<Diagnostic>,
) -> Result<Vec<Numbers>, Diagnostic> {
    let mut first = None;
    let mut good = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Ok(n) => good.push(n),
            Err(e) if first.is_none() => first = Some(e),
            Err(e) => others.push(e),
        }
    }
    first.map_or(Ok(good), Err)
}

/// Features side by side; what has no steps repeats along them.
pub fn beside(parts: Vec<Numbers>, node: &Node) -> Result<Numbers, Diagnostic> {
    let steps = parts.iter().filter_map(|p| p.steps).max();
    if let Some(p) = parts.iter().find(|p| p.steps.is_some() && p.steps != steps) {
        let message = format!(
            "{} steps beside {}",
            p.steps.unwrap_or(0),
            steps.unwrap_or(0)
        );
        return Err(fail(node, "data::shapes", message));
    }
    let width = parts.iter().map(|p| p.width).sum();
    let mut data = Vec::with_capacity(width * steps.unwrap_or(1));
    for s in 0..steps.unwrap_or(1) {
        for part in &parts {
            data.extend((0..part.width).map(|j| part.at(s, j)));
        }
    }
    Ok(Numbers { data, steps, width })
}

/// Sum and mean over nothing are 0; so are the largest and the least, of what has no step.
pub fn reduce(op: Reduce, v: &Numbers, over_steps: bool) -> Numbers {
    let fold = |values: &mut dyn Iterator<Item = f64>| {
        let mut n = 0usize;
        let mut out = 0.0f64;
        for x in values {
            out = match op {
                Reduce::Sum | Reduce::Mean => out + x,
                Reduce::Max if n > 0 => out.max(x),
                Reduce::Min if n > 0 => out.min(x),
                Reduce::Max | Reduce::Min => x,
            };
            n += 1;
        }
        match op {
            Reduce::Mean if n > 0 => out / n as f64,
            Reduce::Sum | Reduce::Mean | Reduce::Max | Reduce::Min => out,
        }
    };
    let n = v.steps.unwrap_or(1);
    match over_steps {
        true => Numbers {
            data: (0..v.width)
                .map(|j| fold(&mut (0..n).map(|s| v.at(s, j))))
                .collect(),
            steps: None,
            width: v.width,
        },
        false => Numbers {
            data: (0..n)
                .map(|s| fold(&mut (0..v.width).map(|j| v.at(s, j))))
                .collect(),
            steps: v.steps,
            width: 1,
        },
    }
}

pub fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Not => f64::from(x == 0.0),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Abs => x.abs(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Relu => x.max(0.0),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Step => f64::from(x > 0.0),
        Unary::Floor => x.floor(),
    }
}

pub fn binary(op: Binary, x: f64, y: f64) -> f64 {
    match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div => x / y,
        Binary::Pow => x.powf(y),
        Binary::Min => x.min(y),
        Binary::Max => x.max(y),
        Binary::Mod => x - y * (x / y).floor(),
        Binary::Lt => f64::from(x < y),
        Binary::Le => f64::from(x <= y),
        Binary::Eq => f64::from(x == y),
        Binary::Ne => f64::from(x != y),
        Binary::Gt => f64::from(x > y),
        Binary::Ge => f64::from(x >= y),
        Binary::And => f64::from(x != 0.0 && y != 0.0),
        Binary::Or => f64::from(x != 0.0 || y != 0.0),
    }
}
