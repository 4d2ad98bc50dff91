#![no_main]

use copal_repository::format::tree::Tree;
use libfuzzer_sys::fuzz_target;

// A listing that can be read is written so that it reads the same again.
fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = Tree::decode(bytes) else {
        return;
    };
    read.misplaced();
    let written = read.encode();
    let again = Tree::decode(&written).expect("what was written can be read");
    assert_eq!(again.encode(), written);
});
