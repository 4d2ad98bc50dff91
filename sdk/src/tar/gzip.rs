//! What is inside a gzip file, as it streams by.

use std::io::{self, Write};
use std::mem;

use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};

use crate::{Failure, Filter};

/// The decompressor is fed in pieces of this size, so that whether a file grows too much does not depend on how it was cut. No smaller than what the host
/// pushes at once, so that one push never decodes two pieces.
const DECODED: usize = 1 << 20;

/// What a piece may grow to, less than the 16 MiB that the contract allows a push to return: one of a hostile file grows a thousandfold.
const LARGEST: usize = 12 << 20;

/// The compressor is fed in pieces of this size, so that its output does not depend on how its input was cut.
const PIECE: usize = 64 << 10;

/// A filter of compressed bytes that hands what is in them to another. Checksum and length of each part of the file are compared, and a file that is
/// cut off is an error.
pub struct Gunzip<F: Filter> {
    decoder: MultiGzDecoder<Sink<F>>,
    /// Less than a piece that waits for the decompressor.
    waiting: Vec<u8>,
}

/// Where decompressed bytes go.
struct Sink<F> {
    filter: F,
    out: Vec<u8>,
    /// What `out` may grow to.
    limit: usize,
    failure: Option<Failure>,
}

impl<F: Filter> Gunzip<F> {
    /// Hands what is in the file to `filter`, and returns what that makes of it.
    pub fn new(filter: F) -> Self {
        let sink = Sink {
            filter,
            out: Vec::new(),
            limit: 0,
            failure: None,
        };
        Self {
            decoder: MultiGzDecoder::new(sink),
            waiting: Vec::new(),
        }
    }

    /// The filter that is handed what is in the file.
    pub fn inner(&self) -> &F {
        &self.decoder.get_ref().filter
    }

    /// Decodes what waits, with `out` in the sink's place.
    fn decode(&mut self, out: &mut Vec<u8>, last: bool) -> Result<(), Failure> {
        let sink = self.decoder.get_mut();
        sink.limit = out.len().saturating_add(LARGEST);
        mem::swap(&mut sink.out, out);
        let mut result = self.decoder.write_all(&self.waiting);
        self.waiting.clear();
        if last && result.is_ok() {
            result = self.decoder.try_finish();
        }
        let sink = self.decoder.get_mut();
        mem::swap(&mut sink.out, out);
        match (result, sink.failure.take()) {
            (Ok(()), None) => Ok(()),
            (_, Some(failure)) => Err(failure),
            (Err(error), None) => Err(Failure::corrupt(
                "sdk.gzip.damaged",
                format!("the gzip file is damaged or cut off: {error}"),
            )),
        }
    }
}

impl<F: Filter> Filter for Gunzip<F> {
    fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        while !chunk.is_empty() {
            let wanted = DECODED - self.waiting.len();
            let (next, rest) = chunk.split_at(wanted.min(chunk.len()));
            self.waiting.extend_from_slice(next);
            chunk = rest;
            if self.waiting.len() == DECODED {
                self.decode(out, false)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.decode(out, true)?;
        self.decoder.get_mut().filter.finish(out)
    }
}

impl<F: Filter> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.filter.push(bytes, &mut self.out).and_then(|()| {
            if self.out.len() > self.limit {
                return Err(Failure::unsupported(
                    "sdk.gzip.expands",
                    "one mebibyte of the gzip file grows to more than a plugin may return",
                ));
            }
            Ok(())
        });
        match result {
            Ok(()) => Ok(bytes.len()),
            Err(failure) => {
                self.failure = Some(failure);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A filter that compresses what another returns: always to the same bytes, without a name or time in them. GitLab's own level, 1.
pub struct Gzip<F: Filter> {
    filter: F,
    encoder: GzEncoder<Vec<u8>>,
    /// Less than a piece that waits for the compressor.
    waiting: Vec<u8>,
}

impl<F: Filter> Gzip<F> {
    /// Compresses what `filter` returns.
    pub fn new(filter: F) -> Self {
        Self {
            filter,
            encoder: GzEncoder::new(Vec::new(), Compression::fast()),
            waiting: Vec::new(),
        }
    }

    fn encode(
        &mut self,
        out: &mut Vec<u8>,
        work: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        work(&mut self.encoder)
            .map_err(|error| Failure::internal("sdk.gzip.write", error.to_string()))?;
        out.append(self.encoder.get_mut());
        Ok(())
    }

    fn compress(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let waiting = mem::take(&mut self.waiting);
        let (pieces, rest) = waiting.as_chunks::<PIECE>();
        for piece in pieces {
            self.encode(out, |encoder| encoder.write_all(piece))?;
        }
        self.waiting = if pieces.is_empty() {
            waiting
        } else {
            rest.to_vec()
        };
        Ok(())
    }
}

impl<F: Filter> Filter for Gzip<F> {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.filter.push(chunk, &mut self.waiting)?;
        self.compress(out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.filter.finish(&mut self.waiting)?;
        self.compress(out)?;
        let rest = mem::take(&mut self.waiting);
        self.encode(out, |encoder| {
            encoder.write_all(&rest)?;
            encoder.try_finish()
        })
    }
}
