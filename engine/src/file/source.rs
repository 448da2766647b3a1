//! Where a model's bytes come from: a mapped file, memory, or something that must be waited for. The only file of the
//! engine that maps, and so one of the two with `unsafe`. It knows nothing of what the bytes mean.

use std::{borrow::Cow, fmt, fs::File, io, ops::Range, path::Path, pin::Pin};

use memmap2::Mmap;

use super::threads::Threads;
use crate::{Error, Result};

/// Bytes at an offset, under a name for messages.
pub struct Source {
    label: String,
    len: u64,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    Memory(Vec<u8>),
    Remote(Box<dyn Remote>),
}

/// Bytes that must be waited for: ranges of a download, a file that a browser hands out.
pub trait Remote: Threads {
    /// The bytes of `range`, all of them; it lies within the length that [`Source::remote`] was given.
    fn read(&self, range: Range<u64>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + '_>>;
}

impl Source {
    /// Maps the file at `path`, without waiting for its bytes; the system reads its pages when they are touched.
    ///
    /// Errors with [`Error::Io`] where the system does (no such file, no permission), and with
    /// [`Error::BadFile`] for a folder, a pipe or an empty file. While the source lives, nobody may
    /// shorten the file: the system ends a process that touches a page which is gone.
    pub fn open(path: &Path) -> Result<Source> {
        let label = path.display().to_string();
        let failed = |source: io::Error| Error::Io {
            path: format!("cannot open {label}"),
            source,
        };
        let about = std::fs::metadata(path).map_err(failed)?;
        if about.is_dir() {
            return Err(Error::bad_file(format!(
                "{label} is a folder; name the .gguf file inside it, or a folder with config.json and safetensors"
            )));
        }
        if !about.is_file() {
            return Err(Error::bad_file(format!(
                "{label} is a device or a pipe; a model is mapped, so save it as a file first"
            )));
        }
        if about.len() == 0 {
            return Err(Error::bad_file(format!(
                "{label} is empty; download it again"
            )));
        }
        let file = File::open(path).map_err(failed)?;
        let map = map(&file).map_err(failed)?;
        Ok(Source {
            label,
            len: map.len() as u64,
            bytes: Bytes::Mapped(map),
        })
    }

    /// Bytes that are already in memory: a download, a test.
    pub fn from_bytes(bytes: Vec<u8>) -> Source {
        Source {
            label: String::from("model in memory"),
            len: bytes.len() as u64,
            bytes: Bytes::Memory(bytes),
        }
    }

    /// `len` bytes that `remote` reads.
    pub fn remote(label: String, len: u64, remote: Box<dyn Remote>) -> Source {
        let bytes = Bytes::Remote(remote);
        Source { label, len, bytes }
    }

    /// Name of this source in messages: its path.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Bytes in all.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `len` bytes from `offset` on. [`Error::BadFile`] where they pass the end.
    pub async fn read(&self, offset: u64, len: u64) -> Result<Cow<'_, [u8]>> {
        let range = offset..offset.saturating_add(len);
        if range.end > self.len || len > isize::MAX as u64 {
            let (label, total) = (&self.label, self.len);
            return Err(Error::bad_file(format!(
                "{label}: {len} bytes at {offset} pass the file's end at {total}"
            )));
        }
        let here: &[u8] = match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
            Bytes::Remote(remote) => {
                let bytes = remote.read(range).await?;
                assert_eq!(bytes.len() as u64, len, "a source reads all of a range");
                return Ok(Cow::Owned(bytes));
            }
        };
        Ok(Cow::Borrowed(&here[offset as usize..][..len as usize]))
    }

    /// Lets go of a mapped file's pages that are in memory: they are read again when they are touched.
    pub(super) fn release(&self) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.bytes {
            release(map);
        }
    }

    /// The bytes are a file's on this machine, to be read as often as one likes.
    pub(super) fn is_mapped(&self) -> bool {
        matches!(self.bytes, Bytes::Mapped(_))
    }

    /// Every byte, where they are here. For a mapped file this reads nothing by itself.
    pub(super) fn all(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Mapped(map) => Some(map),
            Bytes::Memory(bytes) => Some(bytes),
            Bytes::Remote(_) => None,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("label", &self.label)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[expect(
    unsafe_code,
    reason = "a mapping is sound only while nobody changes the file, which no program can promise for another; \
    every reader of models makes this bet, and a wrong one spoils weights or ends the process, but is never written to"
)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is read-only and its bytes are only ever treated as bytes; see the reason
    // above for what is left to the user.
    unsafe { Mmap::map(file) }
}

#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "the system is told that pages are not needed now, which for a private mapping that nobody writes to changes nothing that can be read"
)]
fn release(map: &Mmap) {
    // SAFETY: the map is read-only and of a file, so its pages hold the same bytes when they are read again. Advice that
    // the system does not take is no harm.
    let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
}
