//! Calls [`seqc_fuzz::source`] with what libFuzzer makes up.
#![no_main]

use seqc_fuzz::source;

libfuzzer_sys::fuzz_target!(
    init: seqc_fuzz::begin(source::seeds),
    |bytes: &[u8]| source::run(bytes)
);
