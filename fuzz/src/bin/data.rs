//! Calls [`seqc_fuzz::data`] with what libFuzzer makes up.
#![no_main]

use seqc_fuzz::data;

libfuzzer_sys::fuzz_target!(
    init: seqc_fuzz::begin(data::seeds),
    |bytes: &[u8]| data::run(bytes)
);
