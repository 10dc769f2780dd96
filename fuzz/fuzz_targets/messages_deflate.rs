#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wse_fuzz::messages_deflate::run(data));
