#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    copal_fuzz::home(bytes);
});
