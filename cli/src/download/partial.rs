//! A file on its way: kept under a temporary name beside its target, hashed as it grows, renamed when whole and right.
//! Does not know where the bytes come from.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{
    failure::{Failure, Result},
    notes, numbers,
};

/// The hub keeps smaller files in git itself, without a checksum that is of use here.
const LARGE: u64 = 10 << 20;

/// Checksum and length that a whole file must have. One that is unknown is not checked.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Length of the file.
    pub bytes: Option<u64>,
}

/// The part of a file that is there.
pub struct Partial {
    path: PathBuf,
    file: File,
    hash: Sha256,
    len: u64,
}

impl Partial {
    /// Goes on with what an earlier try left. The checksum is part of the temporary name, so another version of the file is
    /// never mixed in; without a checksum nothing is resumed.
    pub fn open(target: &Path, expected: &Expected) -> Result<Partial> {
        let identity = expected.sha256.as_deref().unwrap_or("unverified");
        let path = beside(
            target,
            &format!("{}.part", &identity[..identity.len().min(12)]),
        );
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path);
        let file = file.map_err(|error| Failure::io(&path, error))?;
        let mut partial = Partial {
            path,
            file,
            hash: Sha256::new(),
            len: 0,
        };
        if expected.sha256.is_none() {
            partial.restart()?;
        } else {
            partial.hash_what_is_there()?;
        }
        if expected.bytes.is_some_and(|bytes| bytes < partial.len) {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn hash_what_is_there(&mut self) -> Result {
        let mut block = vec![0; 1 << 20];
        loop {
            match self.file.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.hash.update(&block[..count]);
                    self.len += count as u64;
                }
                Err(error) => return Err(Failure::io(&self.path, error)),
            }
        }
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Forgets what is there.
    pub fn restart(&mut self) -> Result {
        self.file
            .set_len(0)
            .map_err(|error| Failure::io(&self.path, error))?;
        self.hash = Sha256::new();
        self.len = 0;
        Ok(())
    }

    /// Adds bytes at the end. A full disk keeps what fitted, for resuming.
    pub fn append(&mut self, bytes: &[u8]) -> Result {
        self.file
            .write_all(bytes)
            .map_err(|error| self.failed(error))?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Hands everything to the system's disk cache.
    pub fn flush(&mut self) -> Result {
        self.file.flush().map_err(|error| self.failed(error))
    }

    /// Compares with what is expected and renames. A wrong file is removed: resuming it would never make it right.
    pub fn finish(self, target: &Path, expected: &Expected) -> Result {
        let sum = numbers::hex(&self.hash.finalize());
        if let Some(wrong) = difference(expected, &sum, self.len) {
            let _ = fs::remove_file(&self.path);
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            return Err(Failure::Message(format!(
                "{name} was not downloaded right: {wrong}. It was removed; try again"
            )));
        }
        if expected.sha256.is_none() {
            let what = "the hub names no checksum for this file; only its length was checked";
            let tell = if self.len < LARGE {
                notes::detail
            } else {
                notes::warning
            };
            tell(what);
        }
        self.file
            .sync_all()
            .map_err(|error| Failure::io(&self.path, error))?;
        fs::rename(&self.path, target).map_err(|error| Failure::io(target, error))
    }

    fn failed(&self, error: std::io::Error) -> Failure {
        if error.kind() != ErrorKind::StorageFull {
            return Failure::io(&self.path, error);
        }
        let path = self.path.display();
        Failure::Message(format!(
            "the disk is full. What was downloaded is kept in {path}: make room and run the same command again to go on, \
             or set LANTERN_CACHE to a folder on another disk"
        ))
    }
}

fn difference(expected: &Expected, sum: &str, len: u64) -> Option<String> {
    match expected {
        Expected {
            bytes: Some(bytes), ..
        } if *bytes != len => Some(format!("it has {len} bytes, not {bytes}")),
        Expected {
            sha256: Some(sha256),
            ..
        } if sha256 != sum => Some(format!("its sha256 is {sum}, not {sha256}")),
        _ => None,
    }
}

/// Makes the target's folder and waits until no other Lantern downloads the same file. Held until dropped.
pub fn lock(target: &Path) -> Result<File> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::io(folder, error))?;
    }
    let path = beside(target, "lock");
    let file = File::create(&path).map_err(|error| Failure::io(&path, error))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(Failure::io(&path, error)),
            Err(TryLockError::WouldBlock) if !told => {
                told = true;
                notes::note("another lantern is downloading this file; waiting for it");
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// `.NAME.ending` in the target's folder.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{ending}"))
}
