//! Items, statements and settings: the pairs of the grammar as nodes.
//!
//! In: the pairs of one item. Out: its node, and errors about what the grammar alone cannot refuse.

use pest::iterators::{Pair, Pairs};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::grammar::Rule;
use super::wrong;
use crate::ast::node::*;
use crate::diagnostics::Diagnostic;
use crate::span::{FileId, Span, Spanned};

pub struct Builder<'a> {
    file: FileId,
    /// The whole file, for the edits that errors offer.
    pub source: &'a str,
    /// Where the item's text begins in the file.
    base: usize,
    pub errors: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    pub fn new(file: FileId, source: &'a str, base: usize) -> Builder<'a> {
        Builder {
            file,
            source,
            base,
            errors: Vec::new(),
        }
    }

    /// The span of a pair, without the blanks that an absent last part leaves in it.
    pub fn span(&self, pair: &Pair<Rule>) -> Span {
        let text = pair.as_str();
        let start = self.base + pair.as_span().start();
        Span::new(self.file, start, start + text.trim_end().len())
    }

    pub fn ident(&self, pair: &Pair<Rule>) -> Ident {
        Spanned::new(name_of(pair.as_str()), self.span(pair))
    }

    pub fn item(&mut self, pair: Pair<Rule>) -> Option<Item> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut parts = pair.into_inner();
        Some(match rule {
            Rule::time => {
                let names = children(parts, Rule::time_name)
                    .map(|pair| self.sized(pair))
                    .collect();
                Item::Time(TimeDecl { names, span })
            }
            Rule::dim => {
                let names = children(parts, Rule::dim_name)
                    .filter_map(|pair| {
                        let (name, size) = self.sized(pair);
                        size.map(|size| (name, size))
                    })
                    .collect();
                Item::Dim(DimDecl { names, span })
            }
            Rule::definition | Rule::model => {
                let kind = match parts.next()?.as_str() {
                    "cell" => DefKind::Cell,
                    "block" => DefKind::Block,
                    _ => DefKind::Model,
                };
                let name = self.ident(&parts.next()?);
                let (mut sizes, mut body) = (Vec::new(), Vec::new());
                for pair in parts {
                    match pair.as_rule() {
                        Rule::sizes => {
                            sizes = children(pair.into_inner(), Rule::size)
                                .map(|pair| self.sized(pair))
                                .map(|(name, default)| SizeParam { name, default })
                                .collect();
                        }
                        _ => body = self.body(pair),
                    }
                }
                self.misplaced(Some(kind), &body);
                Item::Def(Def {
                    kind,
                    name,
                    sizes,
                    body,
                    span,
                })
            }
            Rule::function => {
                let name = self.ident(&parts.find(|pair| pair.as_rule() == Rule::name)?);
                let mut params = Vec::new();
                let mut body = FnBody::Stmts(Vec::new());
                for pair in parts {
                    match pair.as_rule() {
                        Rule::fn_params => {
                            params = children(pair.into_inner(), Rule::fn_param)
                                .filter_map(|pair| {
                                    let mut parts = pair.into_inner();
                                    let name = self.ident(&parts.next()?);
                                    Some((name, parts.next().map(|pair| self.type_of(pair))))
                                })
                                .collect();
                        }
                        Rule::body => {
                            let stmts = self.body(pair);
                            self.misplaced(None, &stmts);
                            body = FnBody::Stmts(stmts);
                        }
                        _ => body = FnBody::Expr(self.value(pair)?),
                    }
                }
                Item::Fn(FnDef {
                    name,
                    params,
                    body,
                    span,
                })
            }
            _ => {
                let kind = match parts.next()?.as_str() {
                    "data" => SettingsKind::Data,
                    "train" => SettingsKind::Train,
                    "generate" => SettingsKind::Generate,
                    _ => SettingsKind::Tune,
                };
                let mut names = Vec::new();
                let mut entries = Vec::new();
                for pair in parts {
                    match pair.as_rule() {
                        Rule::name => names.push(self.ident(&pair)),
                        Rule::entries => entries = self.entries(pair),
                        _ => {}
                    }
                }
                let mut names = names.into_iter();
                Item::Settings(Settings {
                    kind,
                    name: names.next()?,
                    on: names.next(),
                    entries,
                    span,
                })
            }
        })
    }

    /// `name`, or `name = e`.
    fn sized(&mut self, pair: Pair<Rule>) -> (Ident, Option<Expr>) {
        let whole = self.span(&pair);
        let mut parts = pair.into_inner();
        let name = match parts.next() {
            Some(name) => self.ident(&name),
            None => Spanned::new(String::new(), whole),
        };
        (name, parts.next().and_then(|pair| self.value(pair)))
    }

    fn type_of(&mut self, pair: Pair<Rule>) -> Type {
        let span = self.span(&pair);
        let (mut shape, mut unit) = (None, None);
        for pair in pair.into_inner() {
            match pair.as_rule() {
                Rule::shape => {
                    shape = Some(pair.into_inner().map(|pair| self.expr(pair)).collect())
                }
                _ => {
                    let kind = match pair.as_str() {
                        "token" => Unit::Token,
                        "class" => Unit::Class,
                        "number" => Unit::Number,
                        _ => Unit::Binary,
                    };
                    unit = Some(Spanned::new(kind, self.span(&pair)));
                }
            }
        }
        Type { shape, unit, span }
    }

    fn body(&mut self, pair: Pair<Rule>) -> Vec<Stmt> {
        pair.into_inner()
            .filter_map(|pair| self.stmt(pair))
            .collect()
    }

    /// The expression of `= e` or `~ e`.
    pub fn value(&mut self, pair: Pair<Rule>) -> Option<Expr> {
        let pair = pair.into_inner().next()?;
        Some(self.top(pair))
    }

    fn stmt(&mut self, pair: Pair<Rule>) -> Option<Stmt> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut parts = pair.into_inner();
        let kind = match rule {
            Rule::decl => {
                let kind = match parts.next()?.as_str() {
                    "input" => DeclKind::Input,
                    "context" => DeclKind::Context,
                    "state" => DeclKind::State,
                    "target" => DeclKind::Target,
                    _ => DeclKind::Param,
                };
                let (mut names, mut ty, mut init, mut value) = (Vec::new(), None, None, None);
                for pair in parts {
                    match pair.as_rule() {
                        Rule::name => names.push(self.ident(&pair)),
                        Rule::type_of => ty = Some(self.type_of(pair)),
                        Rule::init => init = self.value(pair),
                        _ => value = self.value(pair),
                    }
                }
                StmtKind::Decl {
                    kind,
                    names,
                    ty,
                    init,
                    value,
                }
            }
            Rule::output => StmtKind::Output(parts.skip(1).map(|pair| self.top(pair)).collect()),
            Rule::watch => StmtKind::Watch(
                children(parts, Rule::name)
                    .map(|pair| self.ident(&pair))
                    .collect(),
            ),
            Rule::predict | Rule::penalty => {
                let name = self.ident(&parts.nth(1)?);
                let value = self.value(parts.next()?)?;
                match rule {
                    Rule::predict => StmtKind::Predict { name, value },
                    _ => StmtKind::Penalty { name, value },
                }
            }
            _ => {
                let (mut names, mut indices, mut value) = (Vec::new(), None, None);
                for pair in parts {
                    match pair.as_rule() {
                        Rule::lhs => {
                            let mut parts = pair.into_inner();
                            let name = self.ident(&parts.next()?);
                            names.push(Lhs {
                                name,
                                prime: parts.next().is_some(),
                            });
                        }
                        Rule::indices => indices = Some(self.indices(pair)),
                        _ => value = self.value(pair),
                    }
                }
                StmtKind::Eq {
                    names,
                    indices,
                    value: value?,
                }
            }
        };
        Some(Stmt { kind, span })
    }

    fn indices(&self, pair: Pair<Rule>) -> Vec<Ident> {
        pair.into_inner().map(|pair| self.ident(&pair)).collect()
    }

    fn entries(&mut self, pair: Pair<Rule>) -> Vec<Setting> {
        pair.into_inner()
            .filter_map(|pair| self.setting(pair))
            .collect()
    }

    fn setting(&mut self, pair: Pair<Rule>) -> Option<Setting> {
        let span = self.span(&pair);
        if pair.as_rule() == Rule::params {
            let mut parts = pair.into_inner().skip(1);
            let chosen = parts.next()?;
            let selector = match chosen.as_rule() {
                Rule::string => Selector::Glob(super::operand::unescape(chosen.as_str())),
                _ if chosen.as_str() == "matrices" => Selector::Matrices,
                _ => Selector::Vectors,
            };
            let selector = Spanned::new(selector, self.span(&chosen));
            let entries = self.entries(parts.next()?);
            return Some(Setting::Params {
                selector,
                entries,
                span,
            });
        }
        let (mut given, mut name, mut indices, mut value) = (false, None, None, None);
        for pair in pair.into_inner() {
            match pair.as_rule() {
                Rule::kw_given => given = true,
                Rule::key => {
                    let text = pair
                        .as_str()
                        .split('.')
                        .map(name_of)
                        .collect::<Vec<_>>()
                        .join(".");
                    name = Some(Spanned::new(text, self.span(&pair)));
                }
                Rule::indices => indices = Some(self.indices(pair)),
                _ => value = self.value(pair),
            }
        }
        Some(Setting::Set {
            given,
            name: name?,
            indices,
            value: value?,
            span,
        })
    }

    /// Refuses the statements that a body of this kind (`None`: of a function) cannot have.
    fn misplaced(&mut self, kind: Option<DefKind>, body: &[Stmt]) {
        for stmt in body {
            let (word, fits) = match &stmt.kind {
                StmtKind::Decl { kind: decl, .. } => match decl {
                    DeclKind::Input => ("input", kind.is_some()),
                    DeclKind::Context => (
                        "context",
                        matches!(kind, Some(DefKind::Cell | DefKind::Block)),
                    ),
                    DeclKind::State => ("state", kind == Some(DefKind::Cell)),
                    DeclKind::Target => ("target", kind == Some(DefKind::Model)),
                    DeclKind::Param => ("param", kind.is_some()),
                },
                StmtKind::Eq { .. } | StmtKind::Output(_) => continue,
                StmtKind::Watch(_) => ("watch", kind.is_some()),
                StmtKind::Predict { .. } => ("predict", kind == Some(DefKind::Model)),
                StmtKind::Penalty { .. } => ("penalty", kind == Some(DefKind::Model)),
            };
            if !fits {
                let span = Span {
                    end: stmt.span.start + word.len() as u32,
                    ..stmt.span
                };
                self.errors.push(wrong::misplaced(word, kind, span));
            }
        }
    }
}

/// The children made by one rule; keywords stand between them.
fn children<'i>(pairs: Pairs<'i, Rule>, rule: Rule) -> impl Iterator<Item = Pair<'i, Rule>> {
    pairs.filter(move |pair| pair.as_rule() == rule)
}

/// A name as the tree has it: in Unicode's composed form, and with one spelling where there are two.
pub fn name_of(text: &str) -> String {
    match text {
        "sigmoid" => "σ".to_string(),
        "alpha" => "α".to_string(),
        _ if is_nfc(text) => text.to_string(),
        _ => text.nfc().collect(),
    }
}
