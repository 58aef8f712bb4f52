//! What the machine could do at best.
//!
//! In: measured limits, and the [`Work`] of a step. Out: [`Bound`]: the arithmetic, and the roofline: of the products
//! inside scans the greater of their arithmetic at the machine's peak and of reading their weights again at every step
//! from the memory that holds them; and the other products at the peak. A step falls below it only where weights are too
//! large for a cache, and part of them stays there from step to step.

use crate::cost::{self, Products};
use crate::targets::cpu::limits;
use crate::targets::cpu::pool::Pool;

/// What is asked of the machine.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The sizes of a call, by name.
    pub sizes: Vec<(String, usize)>,
    /// Operations of all products, as `check --cost` counts them.
    pub flops: Option<f64>,
    pub products: Option<Products>,
}

impl Work {
    /// Of several calls, whose sizes differ.
    pub fn mean(all: &[Work]) -> Work {
        let by = 1.0 / all.len().max(1) as f64;
        let flops: Option<f64> = all.iter().map(|w| w.flops).sum();
        let products: Option<Vec<Products>> = all.iter().map(|w| w.products).collect();
        let mean = |of: fn(&Products) -> cost::Work, all: &[Products]| {
            let sum = all
                .iter()
                .map(of)
                .fold(cost::Work::default(), cost::Work::and);
            sum.scaled(by)
        };
        Work {
            sizes: Vec::new(),
            flops: flops.map(|f| f * by),
            products: products.map(|all| Products {
                recurrent: mean(|p| p.recurrent, &all),
                alone: mean(|p| p.alone, &all),
            }),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    pub threads: usize,
    /// Operations a second of all threads, two for a multiply-add.
    pub peak: f64,
}

/// `None` where a size is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound {
    pub flops: Option<f64>,
    /// Seconds.
    pub roofline: Option<f64>,
    /// Bytes a second that all threads read from memory of the size of the weights that a step reads again.
    pub bandwidth: Option<f64>,
}

impl Machine {
    pub fn measured(pool: Option<&Pool>) -> Machine {
        Machine {
            threads: pool.map_or(1, Pool::workers),
            peak: pool.map_or(0.0, limits::multiply_adds),
        }
    }

    pub fn bound(&self, work: &Work, pool: Option<&Pool>) -> Bound {
        let mut bound = Bound {
            flops: work.flops,
            ..Bound::default()
        };
        let (Some(flops), Some(products)) = (work.flops, work.products) else {
            return bound;
        };
        if self.peak <= 0.0 {
            return bound;
        }
        let recurrent = products.recurrent;
        let alone = (flops - recurrent.flops).max(0.0) / self.peak;
        let mut scans = recurrent.flops / self.peak;
        if recurrent.held > 0.0 {
            // Divided among the threads, each has its share of the weights near it.
            let own = (recurrent.held / self.threads as f64) as usize;
            bound.bandwidth = pool.and_then(|pool| limits::reads(pool, own));
            if let Some(rate) = bound.bandwidth {
                scans = scans.max(recurrent.bytes / rate);
            }
        }
        bound.roofline = Some(scans + alone);
        bound
    }
}
