//! Losses: each target's error over the real steps of the batch, and their mean.

use super::expr::softplus;
use super::{Lower, Val};
use crate::check::program::{Expr, Head, Loss, Predict};
use crate::dim::Dim;
use crate::ir::*;

impl Lower<'_, '_> {
    /// Adds the outputs `Loss`, and `LossSum` and `LossCount` of every target.
    pub(super) fn losses(&mut self) -> Result<(), String> {
        let mut total: Option<ValueId> = None;
        let mut outputs = Vec::new();
        for predict in &self.model.predicts {
            self.b.spans = vec![predict.span];
            let name = self.model.var(predict.target).name.clone();
            let (errors, counted) = self.errors(predict)?;
            let sum = self.over_real_steps(&errors, "loss.sum")?;
            let count = self.over_real_steps(&counted, "loss.count")?;
            let n = self.total(&name, count);
            let mut mean = self.b.div(sum, n, "loss");
            if predict.weight != 1.0 {
                let weight = self.b.number(predict.weight);
                mean = self.b.mul(mean, weight, "loss");
            }
            total = Some(match total {
                Some(t) => self.b.add(t, mean, "loss"),
                None => mean,
            });
            outputs.push(Output {
                role: OutputRole::LossSum(name.clone()),
                value: sum,
            });
            outputs.push(Output {
                role: OutputRole::LossCount(name),
                value: count,
            });
        }
        for (name, e) in &self.model.penalties {
            let val = self.expr(e, name)?;
            let mean = match (val.batched, self.options.part) {
                // A part's share of what the weights alone decide is that of its examples.
                (false, true) => {
                    let rows = self.counted(&[])?;
                    let n = self.total(&Func::batch().to_string(), rows);
                    let share = self.b.div(rows, n, "share");
                    self.b.mul(val.id, share, name)
                }
                (false, false) => val.id,
                (true, _) => {
                    let sum = self.over_real_steps(&val, name)?;
                    let count = self.counted(&val.shape)?;
                    let of = match val.timed {
                        true => val.shape[0].to_string(),
                        false => Func::batch().to_string(),
                    };
                    let n = self.total(&of, count);
                    self.b.div(sum, n, name)
                }
            };
            total = Some(match total {
                Some(t) => self.b.add(t, mean, "loss"),
                None => mean,
            });
        }
        let value = total.ok_or("a model without a prediction has no loss")?;
        self.outputs.insert(
            0,
            Output {
                role: OutputRole::Loss,
                value,
            },
        );
        self.outputs.splice(1..1, outputs);
        Ok(())
    }

    /// What a sum over the batch is divided by: its own count, or for a part of a batch the whole
    /// batch's.
    fn total(&mut self, of: &str, count: ValueId) -> ValueId {
        if self.options.part {
            let name = crate::settings::total(of);
            return self.input(InputRole::Data(name.clone()), &name, Type::f32(vec![]));
        }
        let one = self.b.number(1.0);
        self.b.binary(Binary::Max, count, one, "n")
    }

    /// How many examples, or real steps of them, a value of this shape has.
    fn counted(&mut self, shape: &[Dim]) -> Result<ValueId, String> {
        let one = self.b.number(1.0);
        let ones = Val {
            id: one,
            shape: vec![],
            timed: false,
            batched: false,
        };
        let ones = self.lift(&ones, shape, true)?;
        self.over_real_steps(&ones, "n")
    }

    /// A prediction's value before its head; a single feature that stands for a number stays `[1]`.
    pub(super) fn prediction_value(&mut self, e: &Expr, name: &str) -> Result<Val, String> {
        let val = self.expr(e, name)?;
        let shape = val.shape.clone();
        self.lift(&val, &shape, true)
    }

    /// The error of every step (or example), and 1 where it counts.
    fn errors(&mut self, predict: &Predict) -> Result<(Val, Val), String> {
        let (Head::Softmax(e) | Head::Sigmoid(e) | Head::Step(e) | Head::Value(e)) = &predict.head;
        let z = self.prediction_value(e, "logits")?;
        let y = self.data(predict.target, false)?;
        if let Loss::CrossEntropy { smoothing } = predict.loss {
            let mut id = self.b.emit(OpKind::CrossEntropy, &[z.id, y.id], "errors");
            let t = self.b.emit(OpKind::ToFloat, &[y.id], "target");
            let zero = self.b.number(0.0);
            let counted = self.b.binary(Binary::Le, zero, t, "counted");
            if smoothing > 0.0 && self.options.training {
                id = self.smoothed(id, &z, counted, smoothing)?;
            }
            return Ok((Val { id, ..y.clone() }, Val { id: counted, ..y }));
        }
        let y = if self.b.func.value(y.id).ty.elem == Elem::I32 {
            let id = self.b.emit(OpKind::ToFloat, &[y.id], "target");
            Val { id, ..y }
        } else {
            y
        };
        let (z, y) = self.matched(&z, &y)?;
        let errors = match predict.loss {
            // (z − y)²
            Loss::Mse => {
                let d = self.b.sub(z.id, y.id, "error");
                self.b.mul(d, d, "error")
            }
            // |z − y|
            Loss::Mae => {
                let d = self.b.sub(z.id, y.id, "error");
                self.b.unary(Unary::Abs, d, "error")
            }
            // c·(|z − y| − c/2) with c = min(|z − y|, δ)
            Loss::Huber(delta) => {
                let (delta, half) = (self.b.number(delta), self.b.number(0.5));
                let d = self.b.sub(z.id, y.id, "error");
                let d = self.b.unary(Unary::Abs, d, "error");
                let c = self.b.binary(Binary::Min, d, delta, "cut");
                let half = self.b.mul(half, c, "error");
                let rest = self.b.sub(d, half, "error");
                self.b.mul(c, rest, "error")
            }
            // max(q·e, (q − 1)·e) with e = y − z
            Loss::Quantile(q) => {
                let (low, high) = (self.b.number(q), self.b.number(q - 1.0));
                let d = self.b.sub(y.id, z.id, "error");
                let low = self.b.mul(low, d, "low");
                let high = self.b.mul(high, d, "high");
                self.b.binary(Binary::Max, low, high, "error")
            }
            // log(1 + e^z) − z·y = −y·log σ(z) − (1 − y)·log(1 − σ(z))
            Loss::BinaryCrossEntropy => {
                let s = softplus(&mut self.b, z.id, "error");
                let zy = self.b.mul(z.id, y.id, "error");
                self.b.sub(s, zy, "error")
            }
            // max(−s·z, 0) with s = 2y − 1; where z is 0 the gradient is the error's
            Loss::Perceptron => {
                let m = self.wrong_side(&z, &y);
                let zero = self.b.number(0.0);
                self.b.binary(Binary::Max, m, zero, "error")
            }
            // max(1 − s·z, 0)
            Loss::Hinge => {
                let m = self.wrong_side(&z, &y);
                let (one, zero) = (self.b.number(1.0), self.b.number(0.0));
                let m = self.b.add(one, m, "error");
                self.b.binary(Binary::Max, m, zero, "error")
            }
            Loss::CrossEntropy { .. } => return Err("handled above".into()),
        };
        let averaged = match predict.loss {
            Loss::Mse | Loss::Mae | Loss::Huber(_) | Loss::Quantile(_) => true,
            Loss::CrossEntropy { .. }
            | Loss::BinaryCrossEntropy
            | Loss::Perceptron
            | Loss::Hinge => false,
        };
        let mut val = Val { id: errors, ..z };
        // Units are summed for binary targets, averaged for numbers.
        let lead = usize::from(val.timed);
        while val.shape.len() > lead {
            let size = val.shape.pop().unwrap_or_default();
            let axis = val.shape.len() + usize::from(val.batched);
            val.id = self.b.reduce(ReduceOp::Sum, val.id, &[axis], "errors");
            if averaged && size != Dim::constant(1) {
                let k = self.b.number(1.0 / self.static_size(&size)?);
                val.id = self.b.mul(val.id, k, "errors");
            }
        }
        let one = self.b.number(1.0);
        let ones = Val {
            id: one,
            shape: vec![],
            timed: false,
            batched: false,
        };
        let ones = self.lift(&ones, &val.shape, true)?;
        Ok((val, ones))
    }

    /// −s·z with s = 2y − 1: above 0 where the score z lies on the wrong side of 0.
    fn wrong_side(&mut self, z: &Val, y: &Val) -> ValueId {
        let (two, one) = (self.b.number(2.0), self.b.number(1.0));
        let s = self.b.mul(two, y.id, "sign");
        let s = self.b.sub(one, s, "sign");
        self.b.mul(s, z.id, "error")
    }

    /// (1 − ε)·error + ε·(log Σ exp z − mean z): the second term is the mean of −log p over all
    /// classes. Targets that do not count stay 0.
    fn smoothed(
        &mut self,
        error: ValueId,
        z: &Val,
        counted: ValueId,
        smoothing: f64,
    ) -> Result<ValueId, String> {
        let classes = z.shape.last().ok_or("logits have an axis of classes")?;
        let classes = self.static_size(classes)?;
        let shape = self.b.func.shape(z.id).to_vec();
        let last = shape.len() - 1;
        let top = self.b.reduce(ReduceOp::Max, z.id, &[last], "top");
        // Whatever is subtracted, the sum's logarithm has the same gradient.
        let top = self.b.unary(Unary::Stop, top, "top");
        let along = (0..last).map(Some).chain([None]).collect();
        let wide = self.b.expand(top, along, &shape);
        let e = self.b.sub(z.id, wide, "shifted");
        let e = self.b.unary(Unary::Exp, e, "exp");
        let e = self.b.reduce(ReduceOp::Sum, e, &[last], "sum");
        let e = self.b.unary(Unary::Log, e, "log");
        let all = self.b.add(e, top, "log.sum");
        let mean = self.b.reduce(ReduceOp::Sum, z.id, &[last], "mean");
        let share = self.b.number(1.0 / classes);
        let mean = self.b.mul(mean, share, "mean");
        let spread = self.b.sub(all, mean, "spread");
        let (eps, rest) = (self.b.number(smoothing), self.b.number(1.0 - smoothing));
        let counted = self.b.mul(counted, eps, "counted");
        let spread = self.b.mul(counted, spread, "spread");
        let error = self.b.mul(error, rest, "errors");
        Ok(self.b.add(error, spread, "errors"))
    }

    /// Prediction and target in one shape: `[1]` equals a number.
    fn matched(&mut self, z: &Val, y: &Val) -> Result<(Val, Val), String> {
        if z.shape == y.shape {
            return Ok((z.clone(), y.clone()));
        }
        if z.shape.len() > y.shape.len() {
            return Ok((z.clone(), self.with_feature(y, &z.shape)));
        }
        Ok((self.with_feature(z, &y.shape), y.clone()))
    }

    fn with_feature(&mut self, v: &Val, shape: &[Dim]) -> Val {
        let n = self.b.func.shape(v.id).len();
        let mut axes: Vec<Option<usize>> = (0..n).map(Some).collect();
        axes.push(None);
        let want = self.ir_shape(shape, v.timed, v.batched);
        let id = self.b.expand(v.id, axes, &want);
        Val {
            id,
            shape: shape.to_vec(),
            ..v.clone()
        }
    }

    /// The sum over examples and, where there is time, over each one's real steps.
    fn over_real_steps(&mut self, v: &Val, name: &str) -> Result<ValueId, String> {
        if v.timed {
            let time = v.shape[0]
                .as_sym()
                .cloned()
                .ok_or("a time axis is a name")?;
            let len = self.lengths(&time);
            return Ok(self
                .b
                .reduce_masked(ReduceOp::Sum, v.id, len, &[0, 1], name));
        }
        Ok(self.b.reduce(ReduceOp::Sum, v.id, &[0], name))
    }
}
