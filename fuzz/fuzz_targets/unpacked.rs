#![no_main]

use copal_repository::format::crypto::{Key, Secrets};
use copal_repository::format::unpacked;
use libfuzzer_sys::fuzz_target;

// Whoever knows the key may have sealed anything; and what nobody sealed is not opened.
fuzz_target!(|bytes: &[u8]| {
    let key = Key::new(&Secrets::from_bytes(&[7; Secrets::LENGTH])).expect("a key");
    assert!(unpacked::open(&key, bytes).is_err());
    let mut sealed = Vec::new();
    key.seal(bytes, &mut sealed).expect("it can be sealed");
    if let Ok(json) = unpacked::open(&key, &sealed) {
        let again = unpacked::seal(&key, 2, &json).expect("it can be sealed again");
        if matches!(json.first(), Some(b'{' | b'[')) {
            assert_eq!(unpacked::open(&key, &again).expect("and opened"), json);
        }
    }
});
