//! Random numbers with no state: a key and a counter in, four words out (Philox4x32-10).
//!
//! Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011). The same draw can be made
//! anywhere, in any order, on any machine, so a checkpoint needs no generator state beside the seed and the step.
//!
//! **Layout.** The key is the seed mixed with a [`Domain`]. The counter is four words:
//!
//! | word | holds |
//! |---|---|
//! | 0, 1 | the element, low and high word |
//! | 2 | [`path_hash`] of the drawing operation's stable path |
//! | 3 | the step (epoch, for shuffles) |
//!
//! One counter gives four draws. In a tensor over (example, t, feature) the high word is the example, and the low word
//! is `t·⌈features/4⌉ + feature/4`; draw `feature % 4` of the four belongs to the feature. Padding has no part in it,
//! so a draw depends on neither the longest example of a batch nor the number of threads.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// The golden ratio and √3 − 1, in 32-bit fixed point.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Philox4x32-10: four words that are uniform over all of `u32`.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// What random numbers are for. Each purpose has its own key, so one more draw here never moves a draw there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// The order of examples.
    Shuffle = 1,
    /// Initial parameters.
    Init = 2,
    /// Dropout masks.
    Dropout = 3,
    /// Tokens drawn while generating.
    Sampling = 4,
    /// Synthetic data.
    Data = 5,
}

/// The two key words for a seed and a purpose.
///
/// For one domain the map from seeds to keys is one to one: it is the finaliser of SplitMix64 (Steele, Lea and Flood,
/// "Fast Splittable Pseudorandom Number Generators", 2014) over the seed plus the domain's multiple of its increment.
pub fn key(seed: u64, domain: Domain) -> [u32; 2] {
    let mut z = seed.wrapping_add((domain as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    [z as u32, (z >> 32) as u32]
}

/// The hash of an operation's stable path (`encoder.dropout`), for the counter's third word: 32-bit FNV-1a.
pub fn path_hash(path: &str) -> u32 {
    path.bytes().fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// A word as a number in [0, 1): its upper 24 bits, so that every value is exact.
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / (1 << 24) as f32)
}

/// Pairs of normal numbers that are made side by side.
const PAIRS: usize = 8;

/// Two words each as two independent standard normal numbers.
///
/// Box and Muller (1958), in f64 and rounded to f32 at the end, so that backends whose logarithms differ in the last
/// place of an f64 agree on the f32. Nothing here but sums, products, quotients and roots, so every machine has the
/// same bits, and a compiler can do several pairs at once.
pub fn normal_pairs<const N: usize>(words: [[u32; 2]; N]) -> [[f32; 2]; N] {
    const UNIT: f64 = 1.0 / (1u64 << 32) as f64;
    // In (0, 1), so that the logarithm is finite.
    let unit = |word: u32| (f64::from(word) + 0.5) * UNIT;
    let logarithms: [f64; N] = ln(std::array::from_fn(|i| unit(words[i][0])));
    let turns: [[f64; 2]; N] = turn(std::array::from_fn(|i| unit(words[i][1])));
    let mut out = [[0.0; 2]; N];
    for i in 0..N {
        let radius = (-2.0 * logarithms[i]).sqrt();
        out[i] = turns[i].map(|x| (radius * x) as f32);
    }
    out
}

/// ln x for normal x above 0, within 2⁻⁵² of it or of 1.
#[inline]
fn ln<const N: usize>(x: [f64; N]) -> [f64; N] {
    /// √½, its upper word.
    const ROOT: i32 = 0x3FE6_A09E;
    /// ln 2 with its last 20 bits zero, and the rest.
    const LN_2: [f64; 2] = [
        f64::from_bits(0x3FE6_2E42_FEE0_0000),
        1.908_214_929_270_587_7e-10,
    ];
    // x = 2ᵉ·m with m around 1, and ln m = 2 artanh((m − 1)/(m + 1)).
    let (mut exponents, mut s, mut sums) = ([0.0; N], [0.0; N], [0.0; N]);
    for i in 0..N {
        let e = ((x[i].to_bits() >> 32) as i32 - ROOT) >> 20;
        let m = f64::from_bits(x[i].to_bits().wrapping_sub((i64::from(e) as u64) << 52));
        exponents[i] = f64::from(e);
        s[i] = (m - 1.0) / (m + 1.0);
    }
    for k in (0..11).rev() {
        for i in 0..N {
            sums[i] = sums[i] * (s[i] * s[i]) + 1.0 / f64::from(2 * k + 1);
        }
    }
    std::array::from_fn(|i| {
        exponents[i] * LN_2[0] + (exponents[i] * LN_2[1] + 2.0 * s[i] * sums[i])
    })
}

/// Cosine and sine of x turns, 0 ≤ x < 1.
#[inline]
fn turn<const N: usize>(x: [f64; N]) -> [[f64; 2]; N] {
    /// Added to a small number, it leaves the nearest whole one in the lowest bits.
    const WHOLE: f64 = (3u64 << 51) as f64;
    // The nearest quarter, and what is left of it: at most an eighth of a turn, exactly.
    let (mut quarters, mut r, mut cos, mut sin) = ([0u64; N], [0.0; N], [0.0; N], [0.0; N]);
    for i in 0..N {
        let shifted = 4.0 * x[i] + WHOLE;
        quarters[i] = shifted.to_bits();
        r[i] = (4.0 * x[i] - (shifted - WHOLE)) * std::f64::consts::FRAC_PI_2;
    }
    for two in INVERSE_FACTORIALS.as_chunks::<2>().0.iter().rev() {
        for i in 0..N {
            cos[i] = two[0] - cos[i] * (r[i] * r[i]);
            sin[i] = two[1] - sin[i] * (r[i] * r[i]);
        }
    }
    std::array::from_fn(|i| {
        let (cos, sin) = (cos[i], sin[i] * r[i]);
        let swapped = quarters[i] & 1 == 1;
        let (x, y) = (
            if swapped { -sin } else { cos },
            if swapped { cos } else { sin },
        );
        // The second bit turns both round.
        let sign = (quarters[i] & 2) << 62;
        [x, y].map(|x| f64::from_bits(x.to_bits() ^ sign))
    })
}

/// 1/0!, 1/1!, … 1/17!: what follows is below a rounding for an eighth of a turn.
const INVERSE_FACTORIALS: [f64; 18] = {
    let (mut all, mut factorial, mut k) = ([1.0; 18], 1.0, 1);
    while k < all.len() {
        factorial *= k as f64;
        all[k] = 1.0 / factorial;
        k += 1;
    }
    all
};

/// Where a drawing operation stands: everything of the counter but the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From [`key`].
    pub key: [u32; 2],
    /// From [`path_hash`].
    pub path: u32,
    /// Optimiser step, or epoch.
    pub step: u32,
}

impl Place {
    /// The four words of one element.
    pub fn words(&self, element: u64) -> [u32; 4] {
        let counter = [element as u32, (element >> 32) as u32, self.path, self.step];
        philox4x32(counter, self.key)
    }

    /// The draws of all features of (example, t), in [0, 1): `dst[f]` for feature f. See the module's layout.
    pub fn fill_uniform(&self, dst: &mut [f32], example: u32, t: u32) {
        self.fill(dst, row(dst.len(), example, t), |w| w.map(uniform));
    }

    /// Standard normal draws in the same layout.
    pub fn fill_normal(&self, dst: &mut [f32], example: u32, t: u32) {
        self.fill_normals(dst, row(dst.len(), example, t));
    }

    /// Standard normal draws for a tensor without examples and time, such as a parameter: groups of four from element
    /// `first_group`, so that draws 4·`first_group`.. land in `dst`.
    pub fn fill_normal_flat(&self, dst: &mut [f32], first_group: u64) {
        self.fill_normals(dst, first_group);
    }

    /// Uniform draws for a tensor without examples and time.
    pub fn fill_uniform_flat(&self, dst: &mut [f32], first_group: u64) {
        self.fill(dst, first_group, |w| w.map(uniform));
    }

    fn fill_normals(&self, dst: &mut [f32], first: u64) {
        for (i, some) in dst.chunks_mut(2 * PAIRS).enumerate() {
            let group = first.wrapping_add((i * PAIRS / 2) as u64);
            let mut words = [[0; 2]; PAIRS];
            for (k, two) in words.chunks_exact_mut(2).enumerate() {
                let [a, b, c, d] = self.words(group.wrapping_add(k as u64));
                two.copy_from_slice(&[[a, b], [c, d]]);
            }
            let draws = normal_pairs(words);
            some.copy_from_slice(&draws.as_flattened()[..some.len()]);
        }
    }

    fn fill(&self, dst: &mut [f32], first: u64, draws: impl Fn([u32; 4]) -> [f32; 4]) {
        for (group, four) in (first..).zip(dst.chunks_mut(4)) {
            let draws = draws(self.words(group));
            four.copy_from_slice(&draws[..four.len()]);
        }
    }
}

/// The first element of (example, t). Past 2³² groups an example the low word wraps, and draws repeat.
fn row(features: usize, example: u32, t: u32) -> u64 {
    let low = t.wrapping_mul(features.div_ceil(4) as u32);
    u64::from(example) << 32 | u64::from(low)
}

/// An endless sequence of words at one [`Place`], for draws whose number is not known beforehand.
#[derive(Clone, Debug)]
pub struct Stream {
    place: Place,
    element: u64,
    words: [u32; 4],
    left: usize,
}

impl Stream {
    /// The sequence that starts at element 0.
    pub fn new(place: Place) -> Stream {
        Stream {
            place,
            element: 0,
            words: [0; 4],
            left: 0,
        }
    }

    /// The next word.
    pub fn next_word(&mut self) -> u32 {
        if self.left == 0 {
            self.words = self.place.words(self.element);
            self.element += 1;
            self.left = 4;
        }
        self.left -= 1;
        self.words[3 - self.left]
    }

    /// The next number in [0, 1).
    pub fn next_uniform(&mut self) -> f32 {
        uniform(self.next_word())
    }

    /// A number below `bound`, each equally likely; 0 if `bound` is 0.
    ///
    /// Lemire, "Fast Random Integer Generation in an Interval" (2019): of the products `word·bound`, the few whose low
    /// word would be over-represented are drawn again.
    pub fn below(&mut self, bound: u32) -> u32 {
        if bound == 0 {
            return 0;
        }
        let unfair = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_word()) * u64::from(bound);
            if product as u32 >= unfair {
                return (product >> 32) as u32;
            }
        }
    }
}

/// The order of `n` examples in an epoch: a permutation of 0..n, each equally likely (Fisher and Yates).
pub fn permutation(n: u32, seed: u64, epoch: u32) -> Vec<u32> {
    let mut stream = Stream::new(Place {
        key: key(seed, Domain::Shuffle),
        path: path_hash("epoch"),
        step: epoch,
    });
    let mut order: Vec<u32> = (0..n).collect();
    for i in (1..n).rev() {
        let j = stream.below(i + 1);
        order.swap(i as usize, j as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' reference implementation: zeros, ones, and the digits of π.
    #[test]
    fn known_answers() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }

    #[test]
    fn fnv_known_answers() {
        assert_eq!(path_hash(""), 0x811c_9dc5);
        assert_eq!(path_hash("a"), 0xe40c_292c);
        assert_eq!(path_hash("foobar"), 0xbf9c_f968);
    }

    const PLACE: Place = Place {
        key: [1, 2],
        path: 3,
        step: 4,
    };

    #[test]
    fn keys_differ_by_seed_and_domain() {
        let domains = [
            Domain::Shuffle,
            Domain::Init,
            Domain::Dropout,
            Domain::Sampling,
            Domain::Data,
        ];
        let mut keys: Vec<_> = (0..100)
            .flat_map(|seed| domains.map(|domain| key(seed, domain)))
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 500);
    }

    #[test]
    fn uniform_stays_below_one_and_has_mean_one_half() {
        assert_eq!(uniform(0), 0.0);
        assert!(uniform(u32::MAX) < 1.0);
        let mut draws = vec![0.0; 100_000];
        PLACE.fill_uniform_flat(&mut draws, 0);
        let mean = draws.iter().map(|&x| f64::from(x)).sum::<f64>() / draws.len() as f64;
        // The mean of 10⁵ draws has standard deviation 0.0009.
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
    }

    #[test]
    fn normal_has_the_moments_of_a_standard_normal() {
        let mut draws = vec![0.0; 200_000];
        PLACE.fill_normal_flat(&mut draws, 0);
        let n = draws.len() as f64;
        let moment = |p| draws.iter().map(|&x| f64::from(x).powi(p)).sum::<f64>() / n;
        assert!(moment(1).abs() < 0.01);
        assert!((moment(2) - 1.0).abs() < 0.02);
        assert!(moment(3).abs() < 0.05);
        assert!((moment(4) - 3.0).abs() < 0.1);
        for words in [[0, 0], [u32::MAX, u32::MAX], [0, u32::MAX]] {
            assert!(normal_pairs([words])[0].iter().all(|x| x.is_finite()));
        }
    }

    /// Against the logarithm and the sines of the system, in f64 and by Box and Muller's equation.
    #[test]
    fn normal_is_the_transformation_of_its_words() {
        let mut differ = 0;
        for i in 0..100_000u64 {
            let [a, b, ..] = PLACE.words(i);
            // Also words near both ends, where the logarithm is near 0 or far from it.
            for a in [a, a >> (i % 32), !(a >> (i % 32))] {
                let unit = |w: u32| (f64::from(w) + 0.5) / 4_294_967_296.0;
                let radius = (-2.0 * unit(a).ln()).sqrt();
                let angle = std::f64::consts::TAU * unit(b);
                let want = [(radius * angle.cos()) as f32, (radius * angle.sin()) as f32];
                let got = normal_pairs([[a, b]])[0];
                for (got, want) in got.iter().zip(want) {
                    let apart = got.to_bits().abs_diff(want.to_bits());
                    assert!(apart <= 1, "{a:#x} {b:#x}: {got} {want}");
                    differ += apart;
                }
            }
        }
        assert!(differ < 10, "{differ} of 600,000 are rounded otherwise");
    }

    #[test]
    fn a_draw_depends_on_example_time_and_feature_only() {
        let (features, steps) = (7, 5);
        let draw = |example, t, width: usize| {
            let mut row = vec![0.0; width];
            PLACE.fill_uniform(&mut row, example, t);
            row
        };
        let mut seen = Vec::new();
        for example in 0..3 {
            for t in 0..steps {
                let row = draw(example, t, features);
                assert_eq!(row, draw(example, t, features));
                seen.extend(row.iter().map(|x| x.to_bits()));
            }
        }
        let total = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), total, "no draw is used twice");
        // Feature 5 of (2, 3): third group of time 3 is groups 6 and 7, draw 5 is word 1 of the latter.
        let words = PLACE.words(2 << 32 | 7);
        assert_eq!(draw(2, 3, features)[5], uniform(words[1]));
    }

    #[test]
    fn permutations_are_permutations_and_differ_by_seed_and_epoch() {
        for n in [0, 1, 2, 1000] {
            let mut order = permutation(n, 7, 0);
            assert_eq!(order, permutation(n, 7, 0));
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
        assert_ne!(permutation(1000, 7, 0), permutation(1000, 7, 1));
        assert_ne!(permutation(1000, 7, 0), permutation(1000, 8, 0));
    }

    #[test]
    fn all_orders_of_three_are_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..6000 {
            *counts.entry(permutation(3, 1, epoch)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Each count has mean 1000 and standard deviation 29.
        assert!(
            counts.values().all(|&c: &i32| (850..1150).contains(&c)),
            "{counts:?}"
        );
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut stream = Stream::new(PLACE);
        let mut counts = [0; 5];
        for _ in 0..50_000 {
            counts[stream.below(5) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&c| (9_500..10_500).contains(&c)),
            "{counts:?}"
        );
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.below(1), 0);
    }
}
