//! Expressions of a wanted shape, from the names that a definition has.
//!
//! Functions are kept where they and their derivatives stay moderate: `exp`, quotients and logarithms
//! only of what is bounded, so that no number overflows and a difference means a wrong compiler. Long because it has an arm for every form of expression.

use super::choice::Choice;
use super::text::{Line, Shape, Term};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Cell,
    Block,
    Model,
}

#[derive(Clone, Debug)]
pub struct Var {
    pub name: String,
    pub shape: Shape,
    /// Whether it depends on a target that is fed back.
    pub fed: bool,
    pub used: bool,
}

/// The definition being written.
pub struct Scope {
    pub place: Place,
    pub vars: Vec<Var>,
    pub decls: Vec<(String, String)>,
    pub lines: Vec<Line>,
    /// Sizes of features that may be written here.
    pub sizes: Vec<String>,
    pub times: Vec<&'static str>,
    count: usize,
}

impl Scope {
    pub fn new(place: Place, sizes: Vec<String>, times: Vec<&'static str>) -> Scope {
        Scope {
            place,
            vars: Vec::new(),
            decls: Vec::new(),
            lines: Vec::new(),
            sizes,
            times,
            count: 0,
        }
    }

    /// A name that nothing has yet.
    pub fn fresh(&mut self, base: &str) -> String {
        self.count += 1;
        format!("{base}{}", self.count)
    }

    pub fn declare(&mut self, name: &str, text: String) {
        self.decls.push((name.to_string(), text));
    }

    pub fn add(&mut self, name: &str, shape: &Shape, fed: bool) {
        self.vars.push(Var {
            name: name.to_string(),
            shape: shape.clone(),
            fed,
            used: false,
        });
    }

    /// `name = value`, and the name from now on.
    pub fn equation(&mut self, base: &str, value: Term) -> String {
        let name = self.fresh(base);
        self.add(&name, &value.shape.clone(), value.fed);
        self.lines.push(Line {
            names: vec![name.clone()],
            left: format!("{name} = "),
            value,
            right: String::new(),
        });
        name
    }
}

/// A cell, block or function that later definitions can use.
#[derive(Clone, Debug)]
pub struct Callee {
    pub name: String,
    /// Names of further inputs, one value a step.
    pub inputs: Vec<String>,
    /// Names of contexts, and their shapes; sizes `E` and `K` are open.
    pub contexts: Vec<(String, Shape)>,
    /// Names of states of shape `[H]`.
    pub states: Vec<String>,
    /// How often the output repeats `H`.
    pub width: usize,
    /// Whether an output reads other steps of its input than its own and earlier ones.
    pub looks_ahead: bool,
    /// Whether the definition is written for a sequence.
    pub timed: bool,
}

pub struct Gen {
    pub choice: Choice,
    /// How many more expressions may be made.
    pub fuel: usize,
    /// Above 0: what is made here is read across time, so it must not depend on a fed-back target.
    pub clean: usize,
    /// Nothing with a kink may be used.
    pub smooth: bool,
    /// A function with a kink was used: no central differences.
    pub kinks: bool,
    /// A maximum over time was used: it needs a step.
    pub nonempty: bool,
    pub cells: Vec<Callee>,
    pub blocks: Vec<Callee>,
    pub functions: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Make {
    Leaf,
    Smooth,
    Kinked,
    Sum,
    Product,
    Quotient,
    Number,
    Function,
    Lifted,
    Scaled,
    Matrix,
    Joined,
    Layer,
    Norm,
    Softmax,
    Dropout,
    Inner,
    Features,
    Delay,
    OverTime,
    End,
    Choose,
    Position,
    Route,
    Noise,
}

impl Gen {
    /// A value of this shape. `depth` limits how deep expressions nest.
    pub fn term(&mut self, s: &mut Scope, shape: &Shape, depth: usize) -> Term {
        if depth == 0 || self.fuel == 0 {
            return self.leaf(s, shape);
        }
        self.fuel -= 1;
        let (rank, cell) = (shape.features.len(), s.place == Place::Cell);
        let vector = usize::from(rank == 1);
        let any = usize::from(rank >= 1);
        let number = usize::from(rank == 0);
        let timed = usize::from(shape.time.is_some());
        let model = usize::from(s.place == Place::Model);
        let across = usize::from(shape.time.is_none() && !cell && !s.times.is_empty());
        let written = usize::from(!shape.features.iter().any(|f| f.contains('+')));
        let bends = usize::from(!self.smooth);
        let make = self.choice.weighted(&[
            (4, Make::Leaf),
            (10, Make::Smooth),
            (2 * bends, Make::Kinked),
            (7, Make::Sum),
            (5, Make::Product),
            (2, Make::Quotient),
            (4, Make::Number),
            (2 * usize::from(!self.functions.is_empty()), Make::Function),
            (3 * timed * any, Make::Lifted),
            (2 * any * (1 - timed), Make::Scaled),
            (7 * vector * written, Make::Matrix),
            (3 * vector * written, Make::Joined),
            (2 * vector * written, Make::Layer),
            (2 * vector, Make::Norm),
            (2 * vector, Make::Softmax),
            (1, Make::Dropout),
            (6 * number, Make::Inner),
            (6 * number, Make::Features),
            (3 * timed * model, Make::Delay),
            (6 * across, Make::OverTime),
            (4 * across, Make::End),
            (bends, Make::Choose),
            (2 * timed * model * vector, Make::Position),
            (vector * written * bends, Make::Route),
            (vector, Make::Noise),
        ]);
        let value = self.made(s, shape, depth - 1, make);
        let simple = self
            .candidates(s, shape)
            .first()
            .map(|i| s.vars[*i].name.clone());
        value.or_simply(simple)
    }

    fn made(&mut self, s: &mut Scope, shape: &Shape, d: usize, make: Make) -> Term {
        match make {
            Make::Leaf => self.leaf(s, shape),
            Make::Smooth => {
                let x = self.term(s, shape, d);
                let form = *self.choice.pick(&[
                    "tanh({})",
                    "σ({})",
                    "sin({})",
                    "cos({})",
                    "silu({})",
                    "gelu({})",
                    "softplus({})",
                    "exp(tanh({}))",
                    "exp(-softplus({}))",
                    "sqrt(1 + ({})^2)",
                    "log(1 + exp(sin({})))",
                    "(1 - {})",
                    "-{}",
                    "(0.5 * sin({})^2)",
                    "(2^tanh({}))",
                    "((1.5 + sin({}))^0.7)",
                ]);
                Term::new(shape, form, vec![x])
            }
            Make::Kinked => {
                self.kinks = true;
                let x = self.term(s, shape, d);
                match self.choice.below(6) {
                    0 => Term::new(shape, "relu({})", vec![x]),
                    1 => Term::new(shape, "abs({})", vec![x]),
                    2 => Term::new(shape, "clip({}, -0.8, 0.7)", vec![x]),
                    3 => Term::new(shape, "max({}, 0.1)", vec![x]),
                    n => {
                        let y = self.term(s, shape, d);
                        let form = ["max({}, {})", "min({}, {})"][n - 4];
                        Term::new(shape, form, vec![x, y])
                    }
                }
            }
            Make::Sum => {
                let (x, y) = (self.term(s, shape, d), self.term(s, shape, d));
                let form = *self.choice.pick(&["({} + {})", "({} - {})"]);
                Term::new(shape, form, vec![x, y])
            }
            Make::Product => {
                let (x, y) = (self.term(s, shape, d), self.term(s, shape, d));
                let form = *self
                    .choice
                    .pick(&["({} * {})", "(σ({}) * {})", "(tanh({}) * {})"]);
                Term::new(shape, form, vec![x, y])
            }
            Make::Quotient => {
                let (x, y) = (self.term(s, shape, d), self.term(s, shape, d));
                let form = *self
                    .choice
                    .pick(&["({} / (1 + ({})^2))", "({} / (1.5 + cos({})))"]);
                Term::new(shape, form, vec![x, y])
            }
            Make::Number => {
                let x = self.term(s, shape, d);
                let k = *self.choice.pick(&["0.5", "1.25", "-0.7", "2"]);
                let form = *self
                    .choice
                    .pick(&["(# * {})", "({} - #)", "(# - {})", "({} / #)"]);
                Term::new(shape, &form.replace('#', k), vec![x])
            }
            Make::Function => {
                let name = self.choice.pick(&self.functions).clone();
                let (x, y) = (self.term(s, shape, d), self.term(s, shape, d));
                Term::new(shape, &format!("{name}({{}}, {{}})"), vec![x, y])
            }
            Make::Lifted => {
                let still = Shape {
                    time: None,
                    features: shape.features.clone(),
                };
                let (x, y) = (self.term(s, shape, d), self.term(s, &still, d));
                let form = *self.choice.pick(&["({} * {})", "({} + {})", "({} - {})"]);
                Term::new(shape, form, vec![x, y])
            }
            Make::Scaled => {
                let number = Shape {
                    time: shape.time,
                    features: vec![],
                };
                let (x, y) = (self.term(s, &number, d), self.term(s, shape, d));
                let form = *self.choice.pick(&["({} * {})", "(tanh({}) + {})"]);
                Term::new(shape, form, vec![x, y])
            }
            Make::Matrix => {
                let x = self.vector(s, shape.time, d);
                self.times_weight(s, shape, x)
            }
            Make::Joined => {
                let (a, b) = (self.vector(s, shape.time, d), self.vector(s, shape.time, d));
                let sizes = format!("{}+{}", a.shape.features[0], b.shape.features[0]);
                let joined = Shape::new(shape.time, &[&sizes]);
                let c = Term::new(&joined, "[{}, {}]", vec![a, b]);
                self.times_weight(s, shape, c)
            }
            Make::Layer => {
                let x = self.vector(s, shape.time, d);
                let bias = *self.choice.pick(&["", ", bias = no"]);
                let form = format!("({{}} |> Linear({}{bias}))", shape.features[0]);
                Term::new(shape, &form, vec![x])
            }
            Make::Norm => {
                let x = self.term(s, shape, d);
                let form = *self.choice.pick(&["({} |> LayerNorm)", "({} |> RMSNorm)"]);
                Term::new(shape, form, vec![x])
            }
            Make::Softmax => {
                let x = self.term(s, shape, d);
                Term::new(shape, "softmax({})", vec![x])
            }
            Make::Dropout => {
                let x = self.term(s, shape, d);
                let form = match shape.time.is_some() && self.choice.chance(30) {
                    true => "({} |> dropout(0.4, share = time))",
                    false => "({} |> dropout(0.3))",
                };
                Term::new(shape, form, vec![x])
            }
            Make::Inner => {
                let x = self.vector(s, shape.time, d);
                if self.choice.chance(50) {
                    let v = s.fresh("v");
                    let size = Shape::new(None, &[&x.shape.features[0]]).written();
                    s.declare(&v, format!("param {v} : {size} ~ normal(0.5)"));
                    return Term::new(shape, &format!("({v} · {{}})"), vec![x]);
                }
                // A vector of the value itself only without time: the left has no other axes.
                if shape.time.is_some() {
                    return Term::new(shape, "mean({})", vec![x]);
                }
                let same = x.shape.clone();
                let y = self.term(s, &same, d);
                Term::new(shape, "({} · {})", vec![x, y])
            }
            Make::Features => {
                let x = self.vector(s, shape.time, d);
                let form = *self
                    .choice
                    .pick(&["sum({})", "mean({})", "mean({})", "max({})", "min({})"]);
                self.kinks |= form.starts_with("max") || form.starts_with("min");
                Term::new(shape, form, vec![x])
            }
            Make::Delay => {
                let x = self.term(s, shape, d);
                let k = 1 + self.choice.below(3);
                Term::new(shape, &format!("previous({{}}, {k})"), vec![x])
            }
            Make::OverTime => {
                let (time, x) = self.sequence(s, shape, d);
                let ops = ["sum", "mean", "mean", "max"];
                let op = *self.choice.pick(&ops[..if self.smooth { 3 } else { 4 }]);
                self.kinks |= op == "max";
                self.nonempty |= op == "max";
                let form = match op {
                    "sum" => format!("(0.3 * sum({{}}) over {time})"),
                    _ => format!("({op}({{}}) over {time})"),
                };
                Term::new(shape, &form, vec![x])
            }
            Make::End => {
                let (_, x) = self.sequence(s, shape, d);
                let form = *self.choice.pick(&["last({})", "last({})", "first({})"]);
                Term::new(shape, form, vec![x])
            }
            Make::Position => {
                let x = self.term(s, shape, d);
                Term::new(shape, "({} |> AddPosition(max = 16))", vec![x])
            }
            Make::Route => {
                self.kinks = true;
                let x = self.term(s, shape, d);
                Term::new(shape, "(softmax({}) |> route(top = 1))", vec![x])
            }
            Make::Noise => {
                let x = self.term(s, shape, d);
                Term::new(shape, "({} + 0.2 * normal())", vec![x])
            }
            Make::Choose => {
                self.kinks = true;
                let (c, x, y) = (
                    self.term(s, shape, d),
                    self.term(s, shape, d),
                    self.term(s, shape, d),
                );
                Term::new(shape, "choose({} > 0.1, {}, {})", vec![c, x, y])
            }
        }
    }

    /// `W·x`, the weight's shape sometimes left to be inferred.
    pub fn times_weight(&mut self, s: &mut Scope, shape: &Shape, x: Term) -> Term {
        let w = s.fresh("W");
        let known = self
            .choice
            .chance(if s.place == Place::Cell { 85 } else { 97 });
        let sizes = Shape::new(None, &[&shape.features[0], &x.shape.features[0]]).written();
        match known {
            true => s.declare(&w, format!("param {w} : {sizes}")),
            false => s.declare(&w, format!("param {w}")),
        }
        Term::new(shape, &format!("({w}·{{}})"), vec![x])
    }

    /// A value that is a vector, at every step of a time or not.
    pub fn vector(&mut self, s: &mut Scope, time: Option<&'static str>, depth: usize) -> Term {
        let there: Vec<Shape> = s
            .vars
            .iter()
            .filter(|v| v.shape.time == time && v.shape.features.len() == 1)
            .filter(|v| self.clean == 0 || !v.fed)
            .map(|v| v.shape.clone())
            .collect();
        let shape = match there.is_empty() || self.choice.chance(25) {
            true => Shape::new(time, &[self.choice.pick(&s.sizes).as_str()]),
            false => self.choice.pick(&there).clone(),
        };
        self.term(s, &shape, depth)
    }

    /// What the value of this shape would be at every step of some time, and that time.
    fn sequence(&mut self, s: &mut Scope, shape: &Shape, depth: usize) -> (&'static str, Term) {
        let time = *self.choice.pick(&s.times);
        let there = Shape {
            time: Some(time),
            features: shape.features.clone(),
        };
        self.clean += 1;
        let x = self.term(s, &there, depth);
        self.clean -= 1;
        (time, x)
    }

    fn candidates(&self, s: &Scope, shape: &Shape) -> Vec<usize> {
        let fits = |v: &Var| &v.shape == shape && (self.clean == 0 || !v.fed);
        (0..s.vars.len()).filter(|i| fits(&s.vars[*i])).collect()
    }

    /// One of the names, those not used yet first.
    fn named(&mut self, s: &mut Scope, among: &[usize]) -> Term {
        let new: Vec<usize> = among.iter().copied().filter(|i| !s.vars[*i].used).collect();
        let at = match new.is_empty() || self.choice.chance(30) {
            true => *self.choice.pick(among),
            false => *self.choice.pick(&new),
        };
        let v = &mut s.vars[at];
        v.used = true;
        Term::name(&v.shape, &v.name, v.fed)
    }

    /// The smallest value of a shape: a name, a weight, or a product of both.
    pub fn leaf(&mut self, s: &mut Scope, shape: &Shape) -> Term {
        let exact = self.candidates(s, shape);
        let rank = shape.features.len();
        if !exact.is_empty() && (rank != 1 || self.choice.chance(85)) {
            return self.named(s, &exact);
        }
        if shape.time.is_none() && rank > 0 && (rank > 1 || self.choice.chance(40)) {
            return self.weight(s, shape);
        }
        let vectors: Vec<usize> = (0..s.vars.len())
            .filter(|i| {
                let v = &s.vars[*i];
                v.shape.time == shape.time && v.shape.features.len() == 1
            })
            .collect();
        let clean: Vec<usize> = vectors
            .iter()
            .copied()
            .filter(|i| self.clean == 0 || !s.vars[*i].fed)
            .collect();
        let among = if clean.is_empty() { vectors } else { clean };
        if among.is_empty() {
            return match (shape.time, rank) {
                (None, 0) => {
                    let size = self.choice.pick(&s.sizes).clone();
                    let w = self.weight(s, &Shape::new(None, &[&size]));
                    Term::new(shape, "sum({})", vec![w])
                }
                (None, _) => self.weight(s, shape),
                (Some(t), _) => panic!("no vector at every step of {t}"),
            };
        }
        let x = self.named(s, &among);
        match rank {
            0 => Term::new(shape, "mean({})", vec![x]),
            1 => self.times_weight(s, shape, x),
            _ => {
                let w = s.fresh("W");
                let mut axes: Vec<&str> = shape.features.iter().map(String::as_str).collect();
                axes.push(&x.shape.features[0]);
                let sizes = Shape::new(None, &axes).written();
                s.declare(&w, format!("param {w} : {sizes}"));
                Term::new(shape, &format!("({w}·{{}})"), vec![x])
            }
        }
    }

    fn weight(&mut self, s: &mut Scope, shape: &Shape) -> Term {
        let b = s.fresh("b");
        s.declare(&b, format!("param {b} : {} ~ normal(0.5)", shape.written()));
        Term::name(shape, &b, false)
    }
}
