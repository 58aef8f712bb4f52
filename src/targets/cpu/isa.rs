//! Which vector instruction set this machine offers, and what is fast on it: nothing in, a [`Cpu`] out, found once at run
//! time.

use std::fmt;
use std::sync::OnceLock;

/// A vector instruction set that the kernels are compiled for.
///
/// `Avx2`, `Avx512` and `Neon` multiply and add with one rounding (fused); matrix products have equal bits on all three.
/// `Portable` rounds twice, because a fused operation without the instruction is a slow library call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust, on every machine.
    Portable,
    /// x86-64 with AVX2 and FMA: 8 lanes.
    Avx2,
    /// x86-64 with AVX-512 F, DQ, BW and VL, and BMI2: 16 lanes.
    Avx512,
    /// aarch64: 4 lanes.
    Neon,
}

/// How code of full width takes reciprocals. Both give the nearest float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reciprocal {
    /// By the divider.
    #[default]
    Divider,
    /// By Newton's steps from a rough one, where the divider is slow: sixteen divisions keep it for 16 cycles on Intel's
    /// cores and for 6 on AMD's, five multiply-adds' work takes 3 cycles of the multipliers on the former and 5 on the
    /// latter.
    Newton,
}

impl Reciprocal {
    /// What is faster on this machine.
    pub fn detect() -> Reciprocal {
        static FOUND: OnceLock<Reciprocal> = OnceLock::new();
        *FOUND.get_or_init(|| match is_intel() {
            true => Reciprocal::Newton,
            false => Reciprocal::Divider,
        })
    }
}

#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    let id = std::arch::x86_64::__cpuid(0);
    let vendor = [id.ebx, id.edx, id.ecx].map(u32::to_le_bytes);
    vendor.as_flattened() == b"GenuineIntel"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel() -> bool {
    false
}

/// What code is generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    pub isa: Isa,
    pub reciprocal: Reciprocal,
}

impl Cpu {
    /// This machine.
    pub fn detect() -> Cpu {
        Cpu::here(Isa::detect())
    }

    /// This machine, with instructions that it has.
    pub fn here(isa: Isa) -> Cpu {
        match isa {
            // Code of full width is made for this set alone.
            Isa::Avx512 => Cpu {
                isa,
                reciprocal: Reciprocal::detect(),
            },
            Isa::Portable | Isa::Avx2 | Isa::Neon => isa.into(),
        }
    }

    /// Every kind of code that this machine can run.
    pub fn available() -> Vec<Cpu> {
        let kinds = |isa: Isa| {
            let newton = Cpu {
                isa,
                reciprocal: Reciprocal::Newton,
            };
            [Some(isa.into()), (isa == Isa::Avx512).then_some(newton)]
        };
        let all = Isa::available().into_iter().flat_map(kinds);
        all.flatten().collect()
    }
}

impl From<Isa> for Cpu {
    /// Any machine with these instructions.
    fn from(isa: Isa) -> Cpu {
        Cpu {
            isa,
            reciprocal: Reciprocal::default(),
        }
    }
}

impl Isa {
    /// The widest instruction set of this machine.
    pub fn detect() -> Isa {
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(|| {
            [Isa::Avx512, Isa::Avx2, Isa::Neon]
                .into_iter()
                .find(|isa| isa.is_available())
                .unwrap_or(Isa::Portable)
        })
    }

    /// Every instruction set that this machine can run, `Portable` first.
    pub fn available() -> Vec<Isa> {
        [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Neon]
            .into_iter()
            .filter(|isa| isa.is_available())
            .collect()
    }

    /// Whether this machine can run code for `self`.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => has_avx2(),
            Isa::Avx512 => has_avx512(),
            Isa::Neon => cfg!(target_arch = "aarch64"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.reciprocal {
            Reciprocal::Divider => "",
            Reciprocal::Newton => ", reciprocals by Newton's steps",
        };
        write!(f, "{}{by}", self.isa)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detected_set_is_available() {
        assert!(Isa::available().contains(&Isa::detect()));
        let all = Cpu::available();
        assert!(all.contains(&Cpu::detect()));
        assert!(
            Isa::available()
                .iter()
                .all(|i| all.contains(&Cpu::here(*i)))
        );
        assert_eq!(Isa::available()[0], Isa::Portable);
    }
}
