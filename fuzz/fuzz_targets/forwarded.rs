#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wse_fuzz::forwarded::run(data));
