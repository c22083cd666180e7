#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hsmsign_fuzz::audit::run(data));
