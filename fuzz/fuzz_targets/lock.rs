#![no_main]

use copal_repository::format::lock::LockFile;
use libfuzzer_sys::fuzz_target;

// What can be read is written so that it reads the same again.
fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = LockFile::decode(bytes) else {
        return;
    };
    let written = read.encode().expect("what was read can be written");
    let again = LockFile::decode(&written).expect("what was written can be read");
    assert_eq!(again.encode().expect("it can be written again"), written);
});
