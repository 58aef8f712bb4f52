//! Calls [`seqc_fuzz::checkpoint`] with what libFuzzer makes up.
#![no_main]

use seqc_fuzz::checkpoint;

libfuzzer_sys::fuzz_target!(
    init: seqc_fuzz::begin(checkpoint::seeds),
    |bytes: &[u8]| checkpoint::run(bytes)
);
