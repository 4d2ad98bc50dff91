#![no_main]

use copal_repository::format::pack::{decode_header, encode_header};
use libfuzzer_sys::fuzz_target;

// A header has one spelling.
fuzz_target!(|bytes: &[u8]| {
    if let Ok(entries) = decode_header(bytes) {
        assert_eq!(encode_header(&entries), bytes);
    }
});
