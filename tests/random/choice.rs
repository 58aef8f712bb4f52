//! The choices of one program: a seed in, an endless row of decisions out, the same on every machine.

use seqc::philox::{Domain, Place, Stream, key, path_hash};

pub struct Choice {
    stream: Stream,
}

impl Choice {
    pub fn new(seed: u64, purpose: &str) -> Choice {
        let place = Place {
            key: key(seed, Domain::Data),
            path: path_hash(purpose),
            step: 0,
        };
        Choice {
            stream: Stream::new(place),
        }
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.stream.below(n as u32) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of a list, each as often as its weight says. Some weight is not 0.
    pub fn weighted<T: Copy>(&mut self, of: &[(usize, T)]) -> T {
        let mut at = self.below(of.iter().map(|(w, _)| w).sum());
        for (weight, value) in of {
            match at.checked_sub(*weight) {
                None => return *value,
                Some(rest) => at = rest,
            }
        }
        unreachable!("the choice is below the sum of the weights")
    }
}
