//! How views are narrowed, repeated and stepped through: layout without copies.
//!
//! In: a buffer's shape, or a view. Out: another view of the same memory.

use super::program::{Axis, BufferId, View};
use super::size;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;

impl View {
    /// The whole of a row-major buffer.
    pub fn whole(buffer: BufferId, shape: &[Dim]) -> Result<View, Diagnostic> {
        let mut stride = size::one();
        let mut axes = Vec::with_capacity(shape.len());
        for d in shape.iter().rev() {
            axes.push(Axis {
                size: d.clone(),
                stride: stride.clone(),
            });
            stride = size::mul(&stride, d)?;
        }
        axes.reverse();
        Ok(View {
            buffer,
            offset: size::zero(),
            step: None,
            axes,
        })
    }

    /// `count` places from `start` on along an axis.
    pub fn narrow(&self, axis: usize, start: &Dim, count: &Dim) -> Result<View, Diagnostic> {
        let mut v = self.clone();
        v.offset = size::add(&v.offset, &size::mul(start, &v.axes[axis].stride)?)?;
        v.axes[axis].size = count.clone();
        Ok(v)
    }

    /// One place of an axis, which disappears.
    pub fn index(&self, axis: usize, at: &Dim) -> Result<View, Diagnostic> {
        let mut v = self.narrow(axis, at, &size::one())?;
        v.axes.remove(axis);
        Ok(v)
    }

    /// Axis `i` of the result is axis `axes[i]`, or repeats `shape[i]` times where there is none.
    pub fn expand(&self, axes: &[Option<usize>], shape: &[Dim]) -> View {
        let axis = |(from, size): (&Option<usize>, &Dim)| match from {
            Some(j) => self.axes[*j].clone(),
            None => Axis {
                size: size.clone(),
                stride: size::zero(),
            },
        };
        View {
            axes: axes.iter().zip(shape).map(axis).collect(),
            ..self.clone()
        }
    }

    /// Inside a scan's body, the place `t + ahead` of axis 0.
    pub fn per_step(&self, ahead: i64) -> Result<View, Diagnostic> {
        let mut v = self.index(0, &Dim::constant(ahead))?;
        v.step = Some(self.axes[0].stride.clone());
        Ok(v)
    }

    pub fn shape(&self) -> Vec<Dim> {
        self.axes.iter().map(|a| a.size.clone()).collect()
    }
}
