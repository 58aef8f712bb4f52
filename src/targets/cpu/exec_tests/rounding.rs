//! Rounding to 16 bits, which three parts do each in its own way: the interpreter, machine code, and the packing of panels.

use super::*;
use crate::schedule::interp;
use crate::targets::cpu::isa::Isa;
use crate::targets::cpu::kernels::Kernels;
use crate::targets::cpu::pack::half;

/// Ties and what lies beside them at both ends of the range, among subnormals and between; infinities, NaN of every kind; and
/// numbers of random bits.
fn values() -> Vec<f32> {
    let high = [
        0x0000, 0x0001, 0x007f, 0x0080, 0x0081, 0x3f7f, 0x3f80, 0x3f81, 0x7f7e, 0x7f7f, 0x7f80,
        0x7fbf, 0x7fc0, 0x7fff,
    ];
    let low = [0x0000, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff];
    let all = high.iter().flat_map(|h| low.map(|l| h << 16 | l));
    let mut stream = Stream::new(Place {
        key: [1, 2],
        path: 3,
        step: 0,
    });
    let random: Vec<u32> = (0..5000).map(|_| stream.next_word()).collect();
    let all = all.flat_map(|bits: u32| [bits, bits | 1 << 31]);
    all.chain(random).map(f32::from_bits).collect()
}

/// The nearer of the two neighbours with 16 bits, by their distances; beyond the largest there is 2¹²⁸, which is infinity.
/// NaN keeps its high bits and is quiet.
fn nearest(x: f32) -> u16 {
    let high = x.to_bits() >> 16;
    if x.is_nan() {
        return high as u16 | 0x0040;
    }
    if x.is_infinite() {
        return high as u16;
    }
    let number = |high: u32| match high & 0x7fff {
        0x7f80 => 2f64.powi(128),
        high => f64::from(f32::from_bits(high << 16)),
    };
    let x = f64::from(x.abs());
    let (below, above) = (x - number(high), number(high + 1) - x);
    let up = above < below || above == below && high & 1 == 1;
    (high + u32::from(up)) as u16
}

/// `y = bf16(x)` for N numbers.
fn rounding() -> Program {
    let mut b = Build::new(&["N"]);
    let shape = [n("N")];
    let (x, y) = (b.input(&shape), b.output(&shape));
    b.map(
        &shape,
        vec![view(x, dense(&shape))],
        vec![Expr::Load(0), Expr::Unary(Unary::Bf16, e(0))],
        view(y, dense(&shape)),
    );
    b.program
}

#[test]
fn all_round_to_the_same_bits() {
    let (values, program) = (values(), rounding());
    let want: Vec<u16> = values.iter().map(|x| nearest(*x)).collect();
    let wide = |h: &u16| u32::from(*h) << 16;
    let wanted: Vec<u32> = want.iter().map(wide).collect();

    let found: Vec<u16> = values.iter().map(|x| half(*x)).collect();
    assert_eq!(found, want);

    let data = interp::Data {
        sizes: &[(Sym::new("N"), values.len() as i64)],
        params: &[],
        inputs: &[values.iter().map(|x| f64::from(*x)).collect()],
        draw: (0, 0),
    };
    let found = interp::run(&program, &data).unwrap().outputs.remove(0);
    for ((x, found), want) in values.iter().zip(found).zip(&wanted) {
        // Which NaN a conversion from f64 gives is not said.
        let same = (found as f32).to_bits() == *want || x.is_nan() && found.is_nan();
        assert!(same, "{:x}: {found}", x.to_bits());
    }

    for isa in Isa::available() {
        let options = Options {
            threads: 1,
            cpu: isa.into(),
            ..Options::default()
        };
        let mut x = exec::compile(&program, &options).unwrap();
        let found = run(&mut x, &[values.len()], &[Arg::F32(&values)]).remove(0);
        assert_eq!(bits(&found), wanted, "{isa}");
        // Each alone, not in a vector.
        let found = values.chunks(3).flat_map(|part| {
            let found = run(&mut x, &[part.len()], &[Arg::F32(part)]).remove(0);
            bits(&found)
        });
        assert_eq!(found.collect::<Vec<u32>>(), wanted, "{isa}, in threes");

        // A row of a panel for each number.
        let kernels = Kernels::for_isa(isa).unwrap();
        let (k, nr) = (values.len(), kernels.nr);
        let rows: Vec<f32> = values.iter().flat_map(|x| vec![*x; nr]).collect();
        let mut panel = vec![0; kernels.packed_halves_len(k, nr).unwrap()];
        // SAFETY: `rows` has k rows of nr numbers, `panel` the length asked for.
        unsafe { (kernels.pack_b_halves)(k, nr, rows.as_ptr(), nr, 1, panel.as_mut_ptr()) };
        for (row, want) in panel.chunks(nr / 2).zip(&wanted) {
            let both = want | want >> 16;
            assert!(row.iter().all(|word| *word == both), "{isa}: {want:x}");
        }
    }
}
