//! Random draws for compiled code: [`crate::philox`] in the C calling convention.

use crate::philox::Place;

/// `dst[f]`, f < features, becomes the draw of (example, t, f) in [0, 1) of the operation with this path hash at this
/// step. `key` holds the two key words, the first in its low half.
///
/// # Safety
///
/// `dst` is writable for `features` floats.
pub unsafe extern "C" fn fill_uniform(
    features: usize,
    dst: *mut f32,
    key: u64,
    path: u32,
    step: u32,
    example: u32,
    t: u32,
) {
    // SAFETY: the caller says that `dst` is writable; floats have no invalid bits.
    let dst = unsafe { std::slice::from_raw_parts_mut(dst, features) };
    place(key, path, step).fill_uniform(dst, example, t);
}

/// The same with standard normal draws.
///
/// # Safety
///
/// As [`fill_uniform`].
pub unsafe extern "C" fn fill_normal(
    features: usize,
    dst: *mut f32,
    key: u64,
    path: u32,
    step: u32,
    example: u32,
    t: u32,
) {
    // SAFETY: the caller says that `dst` is writable; floats have no invalid bits.
    let dst = unsafe { std::slice::from_raw_parts_mut(dst, features) };
    place(key, path, step).fill_normal(dst, example, t);
}

fn place(key: u64, path: u32, step: u32) -> Place {
    Place {
        key: [key as u32, (key >> 32) as u32],
        path,
        step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::{Domain, key, path_hash};

    #[test]
    fn compiled_code_draws_what_everybody_draws() {
        let [low, high] = key(3, Domain::Dropout);
        let packed = u64::from(high) << 32 | u64::from(low);
        let path = path_hash("encoder.dropout");
        let place = Place {
            key: [low, high],
            path,
            step: 9,
        };
        let (mut got, mut expected) = ([0.0; 7], [0.0; 7]);
        // SAFETY: `got` has seven floats.
        unsafe { fill_uniform(7, got.as_mut_ptr(), packed, path, 9, 2, 5) };
        place.fill_uniform(&mut expected, 2, 5);
        assert_eq!(got, expected);
        // SAFETY: `got` has seven floats.
        unsafe { fill_normal(7, got.as_mut_ptr(), packed, path, 9, 2, 5) };
        place.fill_normal(&mut expected, 2, 5);
        assert_eq!(got, expected);
    }
}
