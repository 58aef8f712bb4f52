//! What the machine could do at best.
//!
//! In: measured limits, and the [`Work`] of a step. Out: [`Bound`]: the arithmetic, and the roofline, which is the time
//! below which no step falls: of the products inside scans the greater of their arithmetic at the machine's peak and of
//! reading their weights again at every step from the memory that holds them; and the other products at the peak.

use crate::cost::Products;
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
