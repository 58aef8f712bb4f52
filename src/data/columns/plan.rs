//! Columns that can be evaluated: names resolved, cells found, fits and draws numbered.
//!
//! In: made by `build`. Out: [`Plan`], the columns a model asks for and those they read.

use super::super::fit::{Affine, Inverse, Prepare, Undo};
use super::super::spec::{Binary, Missing, PathText, Reduce, Unary};
use super::super::vocabulary::SymbolKind;
use crate::span::Span;

/// Index of an axis of steps in the union–find.
pub type Axis = usize;

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Number(f64),
    Text(String),
    /// Another column of the plan.
    Column(usize),
    /// 0, 1, 2, … along an index.
    Index(Axis),
    Cell(usize),
    Cells(Vec<usize>),
    /// Cells that may be missing; not a number where [`Missing::Mean`] is still to be put.
    Filled(Filled),
    Lower(Box<Node>),
    Nfc(Box<Node>),
    /// A text of which each character is a symbol.
    Chars(Box<Node>),
    /// A text of which each word is a symbol; with punctuation apart where this is set.
    Words(Box<Node>, bool),
    Split(Box<Node>, String),
    Multihot(Box<Node>, usize),
    /// Features side by side as this many steps.
    Steps(Box<Node>, usize),
    /// The first of the input's steps, or the last.
    One(Box<Node>, End),
    /// Grey values: whatever is fitted to them is fitted to all together.
    Pixels(Box<Node>),
    /// The input of [`Plan::fits`] at this position, changed by what was fitted to it.
    Fitted(usize),
    Window(Box<Node>, usize),
    /// This many rows ahead.
    Next(Box<Node>, usize),
    Length(Box<Node>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    Choose(Box<[Node; 3]>),
    Draw {
        dist: Dist,
        /// Names the draw for Philox: `v.0`.
        path: String,
        over: Option<Axis>,
    },
    List(Vec<Node>),
    Reduce {
        op: Reduce,
        value: Box<Node>,
        /// Over the steps, else over the features.
        steps: bool,
    },
}

/// Cells that may be missing, and what stands for those that are.
#[derive(Clone, Debug)]
pub struct Filled {
    pub cells: Vec<usize>,
    pub missing: Missing,
    /// Read as a text, of one cell; else as numbers.
    pub text: bool,
}

/// A column of which cells may be missing.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    pub cell: usize,
    /// Its values are texts.
    pub text: bool,
}

/// An end of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    First,
    Last,
}

#[derive(Clone, Debug)]
pub enum Dist {
    Uniform(Box<Node>, Box<Node>),
    /// Whole numbers below the bound.
    Below(Box<Node>),
}

/// Something to fit on the training part, to the values of `input`.
#[derive(Clone, Debug)]
pub struct FitPlan {
    /// `close.1`: the column, and the number of the fit in it.
    pub key: String,
    pub kind: FitKind,
    pub input: Node,
    /// Of [`FitKind::Pretrained`].
    pub tokenizer: Option<TokenizerFile>,
    /// A text that is no symbol.
    pub none: Option<String>,
}

/// A `tokenizer.json`, and the name of its symbol that is `<end>`.
#[derive(Clone, Debug)]
pub struct TokenizerFile {
    pub path: PathText,
    pub end: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FitKind {
    Symbols(SymbolKind),
    Words {
        min_count: u64,
        max: Option<usize>,
        /// Words with punctuation apart.
        apart: bool,
    },
    /// Byte pairs: this many symbols.
    Bpe(usize),
    /// The pieces of a tokenizer made elsewhere: read, not fitted.
    Pretrained,
    Zscore,
    /// The mean of each feature, for values that are missing.
    Mean,
    Range {
        low: f64,
        high: f64,
    },
}

#[derive(Clone, Debug)]
pub struct PlannedColumn {
    pub node: Node,
    /// The axis of its steps, where an example has several.
    pub axis: Option<Axis>,
    /// How many nodes read it; a column read twice is remembered.
    pub uses: usize,
}

#[derive(Debug, Default)]
pub struct Plan {
    pub columns: Vec<PlannedColumn>,
    pub fits: Vec<FitPlan>,
    /// The column of each field, in the order of [`Wanted::fields`].
    pub fields: Vec<usize>,
    pub keep: Option<Node>,
    /// Cells without which a row is left out.
    pub drop: Vec<Gap>,
    /// Cells for which the nearest row above stands in.
    pub previous: Vec<Gap>,
    pub stratify: Option<Node>,
    /// Tensors whose second axis is one of steps.
    pub sequences: Vec<bool>,
    /// Whether an example is a block of rows.
    pub blocks: bool,
    pub(super) axes: Axes,
    /// Axes whose length an index or a draw needs, with where.
    pub(super) needs: Vec<(Axis, Span, String)>,
}

#[derive(Debug, Default)]
pub(super) struct Axes {
    parent: Vec<usize>,
    length: Vec<Option<usize>>,
}

impl Axes {
    pub fn fresh(&mut self, length: Option<usize>) -> Axis {
        self.parent.push(self.parent.len());
        self.length.push(length);
        self.parent.len() - 1
    }

    fn root(&self, mut a: Axis) -> Axis {
        while self.parent[a] != a {
            a = self.parent[a];
        }
        a
    }

    /// Makes two axes one, or gives their lengths where these differ.
    pub fn unify(&mut self, a: Axis, b: Axis) -> Result<(), (usize, usize)> {
        let (a, b) = (self.root(a), self.root(b));
        if let (Some(x), Some(y)) = (self.length[a], self.length[b])
            && x != y
        {
            return Err((x, y));
        }
        self.length[a] = self.length[a].or(self.length[b]);
        self.parent[b] = a;
        Ok(())
    }
}

impl Plan {
    /// How many steps an index or a fixed time has.
    pub fn extent(&self, axis: Axis) -> Option<usize> {
        self.axes.length[self.axes.root(axis)]
    }

    /// Rows a node reads before and after its own: by windows, and by `next`.
    pub fn reach(&self, node: &Node) -> (usize, usize) {
        let mut reach = (0, 0);
        match &node.kind {
            NodeKind::Window(input, n) => {
                let (back, ahead) = self.reach(input);
                return (back + n - 1, ahead);
            }
            NodeKind::Next(input, k) => {
                let (back, ahead) = self.reach(input);
                return (back.saturating_sub(*k), ahead.saturating_add(*k));
            }
            _ => {}
        }
        self.visit(node, &mut |n| {
            let (back, ahead) = self.reach(n);
            reach = (reach.0.max(back), reach.1.max(ahead));
        });
        reach
    }

    /// Calls `f` on each node that `node` reads directly.
    pub fn visit<'p>(&'p self, node: &'p Node, f: &mut dyn FnMut(&'p Node)) {
        match &node.kind {
            NodeKind::Number(_)
            | NodeKind::Text(_)
            | NodeKind::Index(_)
            | NodeKind::Cell(_)
            | NodeKind::Cells(_)
            | NodeKind::Filled(_) => {}
            NodeKind::Column(c) => f(&self.columns[*c].node),
            NodeKind::Fitted(i) => f(&self.fits[*i].input),
            NodeKind::Lower(x)
            | NodeKind::Nfc(x)
            | NodeKind::Chars(x)
            | NodeKind::Words(x, _)
            | NodeKind::Split(x, _)
            | NodeKind::Multihot(x, _)
            | NodeKind::Steps(x, _)
            | NodeKind::One(x, _)
            | NodeKind::Pixels(x)
            | NodeKind::Window(x, _)
            | NodeKind::Next(x, _)
            | NodeKind::Length(x)
            | NodeKind::Unary(_, x) => f(x),
            NodeKind::Binary(_, a, b) => {
                f(a);
                f(b);
            }
            NodeKind::Choose(three) => three.iter().for_each(f),
            NodeKind::Draw { dist, .. } => match dist {
                Dist::Uniform(a, b) => {
                    f(a);
                    f(b);
                }
                Dist::Below(n) => f(n),
            },
            NodeKind::List(parts) => parts.iter().for_each(f),
            NodeKind::Reduce { value, .. } => f(value),
        }
    }

    /// The vocabulary whose symbols a node's values are, through the steps that keep symbols.
    pub fn symbols(&self, node: &Node) -> Option<usize> {
        match &node.kind {
            NodeKind::Column(c) => self.symbols(&self.columns[*c].node),
            NodeKind::Next(x, _) | NodeKind::Window(x, _) | NodeKind::One(x, _) => self.symbols(x),
            NodeKind::Fitted(i) => match self.fits[*i].kind {
                FitKind::Symbols(_)
                | FitKind::Words { .. }
                | FitKind::Bpe(_)
                | FitKind::Pretrained => Some(*i),
                FitKind::Zscore | FitKind::Mean | FitKind::Range { .. } => None,
            },
            _ => None,
        }
    }

    /// Whether a node reads something fitted of which `wanted` holds, given by its number.
    pub fn reads_fit(&self, node: &Node, wanted: &dyn Fn(usize) -> bool) -> bool {
        if matches!(node.kind, NodeKind::Fitted(i) if wanted(i)) {
            return true;
        }
        let mut found = false;
        self.visit(node, &mut |n| found = found || self.reads_fit(n, wanted));
        found
    }

    /// Whether `keep` counts symbols that are known only once they are fitted.
    pub fn keep_needs_fit(&self) -> bool {
        let pieces = |i: usize| matches!(self.fits[i].kind, FitKind::Bpe(_) | FitKind::Pretrained);
        (self.keep.as_ref()).is_some_and(|keep| self.reads_fit(keep, &pieces))
    }

    /// Whether a node's features are of one kind, so that one statistic holds for all of them.
    pub fn alike(&self, node: &Node) -> bool {
        match &node.kind {
            NodeKind::Pixels(_) => true,
            NodeKind::Column(c) => self.alike(&self.columns[*c].node),
            NodeKind::Fitted(i) => self.alike(&self.fits[*i].input),
            NodeKind::Next(x, _)
            | NodeKind::Window(x, _)
            | NodeKind::One(x, _)
            | NodeKind::Unary(_, x) => self.alike(x),
            _ => false,
        }
    }

    /// What is done to the text of a node before it is cut, in order.
    pub fn prepared(&self, node: &Node) -> Vec<Prepare> {
        let (step, input) = match &node.kind {
            NodeKind::Column(c) => return self.prepared(&self.columns[*c].node),
            NodeKind::Fitted(i) => return self.prepared(&self.fits[*i].input),
            NodeKind::Next(x, _)
            | NodeKind::Window(x, _)
            | NodeKind::One(x, _)
            | NodeKind::Chars(x)
            | NodeKind::Words(x, _) => return self.prepared(x),
            NodeKind::Lower(x) => (Prepare::Lower, x),
            NodeKind::Nfc(x) => (Prepare::Nfc, x),
            _ => return Vec::new(),
        };
        let mut steps = self.prepared(input);
        steps.push(step);
        steps
    }

    /// The text that says of a node that there is no class, if one does.
    pub fn none(&self, node: &Node) -> Option<&str> {
        match &node.kind {
            NodeKind::Column(c) => self.none(&self.columns[*c].node),
            NodeKind::Fitted(i) => self.fits[*i].none.as_deref(),
            NodeKind::Next(x, _) | NodeKind::Window(x, _) | NodeKind::One(x, _) => self.none(x),
            _ => None,
        }
    }

    /// The steps to undo, last first, to get back a column's own unit. `fitted` gives what was
    /// fitted.
    pub fn inverse(&self, node: &Node, fitted: &dyn Fn(usize) -> Option<Affine>) -> Inverse {
        let mut steps = Vec::new();
        let mut node = node;
        loop {
            node = match &node.kind {
                NodeKind::Column(c) => &self.columns[*c].node,
                NodeKind::Next(x, _) | NodeKind::Window(x, _) | NodeKind::One(x, _) => x,
                // What is put for a missing value has the unit of the others.
                NodeKind::Fitted(i) if self.fits[*i].kind == FitKind::Mean => &self.fits[*i].input,
                NodeKind::Fitted(i) => {
                    if let Some(affine) = fitted(*i) {
                        steps.push(Undo::Affine(affine));
                    }
                    &self.fits[*i].input
                }
                NodeKind::Unary(Unary::Log, x) => {
                    steps.push(Undo::Exp);
                    x
                }
                NodeKind::List(parts) => {
                    let mut all = parts.iter().map(|p| self.inverse(p, fitted));
                    let one = |undo: &Undo| match undo {
                        Undo::Affine(a) => a.scale.len() == 1,
                        Undo::Exp => true,
                    };
                    // Several values of one column: the same steps lead back from each.
                    if let Some(first) = all.next()
                        && first.0.iter().all(one)
                        && all.all(|other| other == first)
                    {
                        steps.extend(first.0);
                    }
                    return Inverse(steps);
                }
                _ => return Inverse(steps),
            };
        }
    }
}
