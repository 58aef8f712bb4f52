//! Where each value of a model is defined.
//!
//! In: a [`Model`]. Out: [`Graph`]: for every variable its definition, the scans around it, and an
//! order in which most definitions come before their uses (states come back to themselves).

use crate::check::program::{Expr, Model, Scan, State, Stmt, VarId};
use crate::dim::Sym;

/// Index into [`Graph::scopes`].
pub type Scope = usize;

#[derive(Clone, Copy, Debug)]
pub enum Def<'a> {
    /// An input, or a name nothing is known of.
    Open,
    Let(&'a Expr),
    StepInput(&'a Expr),
    Context(&'a Scan, &'a Expr),
    Before(&'a Scan, &'a State),
    /// Of states and of the output, after every step.
    Sequence(&'a Expr),
    Last(&'a Scan, &'a State),
}

pub struct Place<'a> {
    pub def: Def<'a>,
    pub scope: Scope,
    /// The scope on the other side of a scan's edge, for what crosses one.
    pub other: Scope,
}

/// Where each value is defined, and inside which scans.
pub struct Graph<'a> {
    pub model: &'a Model,
    pub places: Vec<Place<'a>>,
    /// Times of the scans around, outermost first.
    pub scopes: Vec<Vec<Sym>>,
    pub order: Vec<VarId>,
}

impl<'a> Graph<'a> {
    pub fn new(model: &'a Model) -> Graph<'a> {
        let places = model.vars.iter().map(|_| Place {
            def: Def::Open,
            scope: 0,
            other: 0,
        });
        let mut graph = Graph {
            model,
            places: places.collect(),
            scopes: vec![Vec::new()],
            order: Vec::new(),
        };
        graph.walk(&model.body, 0);
        graph
    }

    fn walk(&mut self, body: &'a [Stmt], scope: Scope) {
        for stmt in body {
            match stmt {
                Stmt::Let { var, value } => self.place(*var, Def::Let(value), scope, scope),
                Stmt::Scan(scan) => {
                    let inside = self.scopes.len();
                    let mut times = self.scopes[scope].clone();
                    times.push(scan.time.clone());
                    self.scopes.push(times);
                    for (var, value) in &scan.inputs {
                        self.place(*var, Def::StepInput(value), inside, scope);
                    }
                    for (var, value) in &scan.contexts {
                        self.place(*var, Def::Context(scan, value), inside, scope);
                    }
                    for state in &scan.states {
                        self.place(state.before, Def::Before(scan, state), inside, scope);
                    }
                    self.walk(&scan.body, inside);
                    for state in &scan.states {
                        let sequence = Def::Sequence(&state.next);
                        self.place(state.sequence, sequence, scope, inside);
                        self.place(state.last, Def::Last(scan, state), scope, inside);
                    }
                    let output = Def::Sequence(&scan.output);
                    self.place(scan.sequence, output, scope, inside);
                }
            }
        }
    }

    fn place(&mut self, var: VarId, def: Def<'a>, scope: Scope, other: Scope) {
        self.places[var.0 as usize] = Place { def, scope, other };
        self.order.push(var);
    }
}
