#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealift_fuzz::patterns::check(bytes));
