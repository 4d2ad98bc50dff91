#![no_main]

use copal_repository::pattern::Pattern;
use libfuzzer_sys::fuzz_target;

// The input is a pattern, a zero byte and a path. No directory is passed over that leads to a match.
fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let (Some(text), Some(path)) = (parts.next(), parts.next()) else {
        return;
    };
    for ignore_case in [false, true] {
        let Ok(pattern) = Pattern::new(text, ignore_case) else {
            return;
        };
        if !pattern.matches(path) {
            continue;
        }
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (end, _) in above {
            let directory = &path[..end];
            assert!(
                pattern.matches(directory) || pattern.may_match_beneath(directory),
                "{:?}",
                String::from_utf8_lossy(directory)
            );
        }
    }
});
