//! What is inside a gzip file, as it streams by.

use std::io::{self, Write};
use std::mem;

use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};

use crate::{Failure, Filter};

/// What one push may return at most, less than the contract's 16 MiB: a chunk of a hostile file grows a thousandfold.
const LARGEST_ANSWER: usize = 12 << 20;

/// The compressor is fed in pieces of this size, so that its output does not depend on how its input was cut.
const PIECE: usize = 64 << 10;

/// A filter of compressed bytes that hands what is in them to another. Checksum and length of each part of the file are compared, and a file that is
/// cut off is an error.
pub struct Gunzip<F: Filter> {
    decoder: MultiGzDecoder<Sink<F>>,
}

/// Where decompressed bytes go.
struct Sink<F> {
    filter: F,
    out: Vec<u8>,
    failure: Option<Failure>,
}

impl<F: Filter> Gunzip<F> {
    /// Hands what is in the file to `filter`, and returns what that makes of it.
    pub fn new(filter: F) -> Self {
        let sink = Sink {
            filter,
            out: Vec::new(),
            failure: None,
        };
        Self {
            decoder: MultiGzDecoder::new(sink),
        }
    }

    /// The filter that is handed what is in the file.
    pub fn inner(&self) -> &F {
        &self.decoder.get_ref().filter
    }

    /// Decodes with `out` in the sink's place.
    fn decode(
        &mut self,
        out: &mut Vec<u8>,
        work: impl FnOnce(&mut MultiGzDecoder<Sink<F>>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        mem::swap(&mut self.decoder.get_mut().out, out);
        let result = work(&mut self.decoder);
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
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.decode(out, |decoder| decoder.write_all(chunk))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.decode(out, MultiGzDecoder::try_finish)?;
        self.decoder.get_mut().filter.finish(out)
    }
}

impl<F: Filter> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.filter.push(bytes, &mut self.out).and_then(|()| {
            if self.out.len() > LARGEST_ANSWER {
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
