//! A bounded walk over the bytes of a header: little-endian numbers and counted texts, each an
//! error where the bytes end. It never allocates; whoever does asks [`Reader::count`] first.

use std::{cell::Cell, fmt};

use crate::{Error, Result};

/// Bytes of a header at most. The largest real ones, with vocabularies of 256 thousand tokens and
/// their merges, are under 32 MiB.
const HEADER_BYTES_MAX: usize = 128 << 20;

/// The bytes not read yet. Every method takes what it reads as a phrase for the error:
/// `format_args!("the key of metadata entry {i}")`.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
    /// Bytes of the header may follow that were not handed over.
    open: bool,
    /// Bytes that were asked for lie past the end, and may be among those that follow.
    short: Cell<bool>,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, the start of a file of `file_len` bytes.
    pub(super) fn new(bytes: &'a [u8], file_len: u64) -> Reader<'a> {
        let rest = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
        let open = (rest.len() as u64) < file_len.min(HEADER_BYTES_MAX as u64);
        Reader {
            rest,
            len: rest.len(),
            open,
            short: Cell::new(false),
        }
    }

    /// The last error is no error of the file: more of its bytes are wanted.
    pub(super) fn is_short(&self) -> bool {
        self.short.get()
    }

    /// Bytes from here to where `later`, which has read on, is.
    pub(super) fn until(&self, later: &Reader<'a>) -> &'a [u8] {
        &self.rest[..self.rest.len() - later.rest.len()]
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> u64 {
        (self.len - self.rest.len()) as u64
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: u64, what: fmt::Arguments<'_>) -> Result<&'a [u8]> {
        let split = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len));
        let Some((taken, rest)) = split else {
            return Err(self.ends(len, what));
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self, what: fmt::Arguments<'_>) -> Result<u8> {
        self.array::<1>(what).map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: fmt::Arguments<'_>) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: fmt::Arguments<'_>) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// The next `N` bytes by value.
    pub(super) fn array<const N: usize>(&mut self, what: fmt::Arguments<'_>) -> Result<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.ends(N as u64, what));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// The bytes of a text: a u64 length, then as many bytes.
    pub(super) fn text(&mut self, what: fmt::Arguments<'_>) -> Result<&'a [u8]> {
        let len = self.u64(format_args!("the length of {what}"))?;
        self.bytes(len, what)
    }

    /// A u64 count, held to [`Reader::fits`].
    pub(super) fn count(&mut self, each: u64, max: u64, what: fmt::Arguments<'_>) -> Result<usize> {
        let count = self.u64(format_args!("the number of {what}"))?;
        self.fits(count, each, max, what)
    }

    /// `count` things that take at least `each` bytes: more than can follow is an error, so that
    /// room for them may be made.
    pub(super) fn fits(
        &self,
        count: u64,
        each: u64,
        max: u64,
        what: fmt::Arguments<'_>,
    ) -> Result<usize> {
        let left = self.rest.len() as u64;
        if count > left / each {
            self.short.set(self.open);
            let message = format!(
                "{count} {what} are claimed, of {each} bytes or more each, but only {left} bytes are left"
            );
            return Err(Error::bad_file(format!(
                "{message}; the file is cut short or damaged"
            )));
        }
        if count > max {
            return Err(Error::bad_file(format!(
                "{count} {what} are claimed, but at most {max} are read"
            )));
        }
        Ok(count as usize)
    }

    fn ends(&self, len: u64, what: fmt::Arguments<'_>) -> Error {
        self.short.set(self.open);
        let (at, end) = (self.at(), self.len);
        Error::bad_file(if end == HEADER_BYTES_MAX {
            format!(
                "{what} takes {len} bytes at {at}, which passes the {end} bytes that a header may have"
            )
        } else {
            format!(
                "{what} takes {len} bytes at {at}, but the file ends at {end}; it is cut short or damaged: download it again"
            )
        })
    }
}
