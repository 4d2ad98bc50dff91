//! A look at a database's header while its file passes.

use super::{Error, HEADER_LENGTH, Header};
use crate::{Failure, Filter};

/// Lets a database file through unchanged and hands its header to a check, which may refuse the file: a process may have opened the database between
/// the plan and the reading, and a copy of an open database is silently stale.
pub struct HeaderGuard<C> {
    check: C,
    /// The bytes so far, until there are enough for the header.
    beginning: Option<Vec<u8>>,
}

impl<C: FnMut(Result<Header, Error>) -> Result<(), Failure>> HeaderGuard<C> {
    /// A guard whose `check` is called once, before the first byte goes through.
    pub fn new(check: C) -> Self {
        Self {
            check,
            beginning: Some(Vec::new()),
        }
    }
}

impl<C: FnMut(Result<Header, Error>) -> Result<(), Failure>> Filter for HeaderGuard<C> {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let Some(mut beginning) = self.beginning.take() else {
            out.extend_from_slice(chunk);
            return Ok(());
        };
        beginning.extend_from_slice(chunk);
        if beginning.len() < HEADER_LENGTH {
            self.beginning = Some(beginning);
            return Ok(());
        }
        (self.check)(Header::read(&beginning))?;
        out.append(&mut beginning);
        Ok(())
    }

    /// A file that is shorter than a header is handed to the check as that, and passes where the check lets it.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if let Some(mut beginning) = self.beginning.take() {
            (self.check)(Header::read(&beginning))?;
            out.append(&mut beginning);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::filter_all_chunkings;

    fn guard(lenient: bool) -> Box<dyn Filter> {
        Box::new(HeaderGuard::new(move |header| match header {
            Err(error) if !lenient => Err(Failure::corrupt("test.header", error.to_string())),
            _ => Ok(()),
        }))
    }

    #[test]
    fn what_the_check_lets_through_comes_out_as_it_went_in() {
        for length in [0, 1, 100] {
            let file = vec![7; length];
            assert_eq!(filter_all_chunkings(|| guard(true), &file).unwrap(), file);
        }
        let long = vec![7; HEADER_LENGTH + 5];
        let mut out = Vec::new();
        let mut filter = guard(true);
        for chunk in long.chunks(1_000) {
            filter.push(chunk, &mut out).unwrap();
        }
        filter.finish(&mut out).unwrap();
        assert_eq!(out, long);
    }

    #[test]
    fn nothing_of_a_refused_file_comes_out() {
        let mut out = Vec::new();
        let mut filter = guard(false);
        let refused = filter.push(&[7; HEADER_LENGTH], &mut out).unwrap_err();
        assert_eq!(refused.code, "test.header");
        assert!(out.is_empty());
        let mut filter = guard(false);
        filter.push(b"short", &mut out).unwrap();
        assert!(filter.finish(&mut out).is_err());
        assert!(out.is_empty());
    }
}
