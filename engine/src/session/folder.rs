//! A folder of cells and states in files, each named by the key of what it is of. A file is read as what it says only where
//! its name, its length and its checksum agree.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};

use super::pages::Key;
use crate::{Error, Result};

/// Start of every file.
const MAGIC: &[u8; 8] = b"LANTCEL1";

/// Bytes before a file's contents: the magic, the key, the checksum.
const HEADER: usize = 8 + 32 + 32;

/// Ending of files, and of those that are being written.
const ENDING: &str = "cells";
const UNFINISHED: &str = "cells-part";

/// Files of a folder, which together take no more than so many bytes; the one used longest ago gives way.
pub struct Folder {
    path: PathBuf,
    bytes_max: u64,
    bytes: u64,
    files: HashMap<Key, File>,
    clock: u64,
}

struct File {
    bytes: u64,
    used: u64,
}

impl Folder {
    /// Opens a folder, which is made where there is none. Files that are not of this kind are left alone.
    ///
    /// # Errors
    /// [`Error::Io`] where it can be neither read nor made.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Folder> {
        let failed = |source| io(path, source);
        fs::create_dir_all(path).map_err(failed)?;
        let mut found: Vec<(SystemTime, Key, u64)> = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file = entry.path();
            let name = file.file_stem().and_then(|name| name.to_str());
            let ending = file.extension().and_then(|ending| ending.to_str());
            let (Some(key), Some(ending)) = (name.and_then(Key::from_hex), ending) else {
                continue;
            };
            let Ok(about) = entry.metadata() else {
                continue; // gone meanwhile
            };
            let since = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if ending == ENDING && about.is_file() {
                found.push((since, key, about.len()));
            } else if ending.ends_with(UNFINISHED) && is_old(since) {
                let _ = fs::remove_file(&file); // whoever wrote it is gone
            }
        }
        found.sort_by_key(|&(since, _, _)| since);
        let mut folder = Folder {
            path: path.to_owned(),
            bytes_max,
            bytes: 0,
            files: HashMap::new(),
            clock: 0,
        };
        for (_, key, bytes) in found {
            folder.add(key, bytes);
        }
        folder.shrink(0);
        Ok(folder)
    }

    /// Whether there is a file of this key.
    pub fn has(&self, key: &Key) -> bool {
        self.files.contains_key(key)
    }

    /// Bytes of all files.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The contents of the file of a key.
    ///
    /// # Errors
    /// [`Error::BadFile`] where they are not `bytes` bytes with their checksum, [`Error::Io`] where they cannot be read. Then
    /// there is no such file any more.
    pub fn read(&mut self, key: &Key, bytes: usize) -> Result<Vec<u8>> {
        let path = self.file(key, ENDING);
        let read = read(&path, key, bytes);
        self.clock += 1;
        match (&read, self.files.get_mut(key)) {
            (Ok(_), Some(file)) => file.used = self.clock,
            _ => self.remove(key),
        }
        read
    }

    /// Writes the file of a key: it is there whole, or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn write(&mut self, key: &Key, contents: &[u8]) -> Result<()> {
        let bytes = (HEADER + contents.len()) as u64;
        if self.has(key) || bytes > self.bytes_max {
            return Ok(()); // it is there, or would give way at once
        }
        self.shrink(bytes);
        // Another program may write the same.
        let part = self.file(key, &format!("{}-{UNFINISHED}", std::process::id()));
        let written = fs::File::create(&part).and_then(|mut file| {
            file.write_all(MAGIC)?;
            file.write_all(key.bytes())?;
            file.write_all(&checksum(key, contents))?;
            file.write_all(contents)?;
            file.sync_data()?;
            fs::rename(&part, self.file(key, ENDING))
        });
        if let Err(source) = written {
            let _ = fs::remove_file(&part); // it may not even be there
            return Err(io(&part, source));
        }
        self.add(*key, bytes);
        Ok(())
    }

    fn add(&mut self, key: Key, bytes: u64) {
        self.clock += 1;
        let used = self.clock;
        let before = self.files.insert(key, File { bytes, used });
        self.bytes += bytes;
        self.bytes -= before.map_or(0, |file| file.bytes);
    }

    /// Removes files until there is room for so many bytes.
    fn shrink(&mut self, room: u64) {
        while self.bytes + room > self.bytes_max {
            let oldest = self.files.iter().min_by_key(|(_, file)| file.used);
            let Some((&key, _)) = oldest else {
                return;
            };
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(file) = self.files.remove(key) {
            self.bytes -= file.bytes;
        }
        let _ = fs::remove_file(self.file(key, ENDING)); // another program may have removed it
    }

    fn file(&self, key: &Key, ending: &str) -> PathBuf {
        self.path.join(format!("{}.{ending}", key.hex()))
    }
}

/// Whether so much time has passed that nobody is still writing.
fn is_old(since: SystemTime) -> bool {
    let age = since.elapsed();
    age.is_ok_and(|age| age > Duration::from_mins(10))
}

fn read(path: &Path, key: &Key, bytes: usize) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let about = fs::metadata(path).map_err(|source| io(path, source))?;
    let damaged = || Error::bad_file("it is damaged, and not used").in_file(&name);
    if about.len() != (HEADER + bytes) as u64 {
        return Err(damaged());
    }
    let mut all = fs::read(path).map_err(|source| io(path, source))?;
    if all.len() != HEADER + bytes {
        return Err(damaged()); // it has changed since
    }
    let contents = all.split_off(HEADER);
    let header = [&MAGIC[..], key.bytes(), &checksum(key, &contents)].concat();
    if all != header {
        return Err(damaged());
    }
    Ok(contents)
}

/// SHA-256 of a key and the contents under it.
fn checksum(key: &Key, contents: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(key.bytes());
    hash.update(contents);
    hash.finalize().into()
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test; gone with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let name = format!("lantern-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path); // of an earlier run
            Place(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0); // a test's own
        }
    }

    fn key(number: u32) -> Key {
        Key::root("test").then(&[number])
    }

    #[test]
    fn files_come_back_and_the_oldest_give_way() {
        let place = Place::new("folder");
        let size = (HEADER + 100) as u64;
        let mut folder = Folder::open(&place.0, 3 * size).unwrap();
        for number in 0..3 {
            folder.write(&key(number), &[number as u8; 100]).unwrap();
        }
        assert_eq!(folder.read(&key(0), 100).unwrap(), [0; 100]);
        folder.write(&key(3), &[3; 100]).unwrap();
        folder.write(&key(3), &[3; 100]).unwrap();
        assert_eq!(folder.bytes(), 3 * size);
        let there = [0, 1, 2, 3].map(|number| folder.has(&key(number)));
        assert_eq!(there, [true, false, true, true]);
        folder.write(&key(4), &[0; 1000]).unwrap();
        assert!(!folder.has(&key(4)), "it is larger than all may be");
        fs::write(place.0.join("notes.txt"), "mine").unwrap();
        let again = Folder::open(&place.0, 2 * size).unwrap();
        assert_eq!(again.bytes(), 2 * size);
        assert!(place.0.join("notes.txt").exists(), "a stranger's file");
        assert_eq!(fs::read_dir(&place.0).unwrap().count(), 3);
    }

    #[test]
    fn no_file_is_trusted_that_is_not_whole() {
        let place = Place::new("damaged");
        let mut folder = Folder::open(&place.0, 1 << 20).unwrap();
        let path = |number| place.0.join(format!("{}.cells", key(number).hex()));
        let damages: [fn(&mut Vec<u8>); 5] = [
            |file| file[HEADER + 50] ^= 1,
            |file| file[9] ^= 1,
            |file| file[0] ^= 1,
            |file| file.truncate(90),
            |file| file.push(0),
        ];
        for (number, damage) in (0..).zip(damages) {
            folder.write(&key(number), &[7; 100]).unwrap();
            let mut file = fs::read(path(number)).unwrap();
            damage(&mut file);
            fs::write(path(number), file).unwrap();
            let read = folder.read(&key(number), 100);
            assert!(matches!(read, Err(Error::BadFile { .. })), "{number}");
            assert!(!folder.has(&key(number)) && !path(number).exists());
        }
        // Another's contents under its name.
        folder.write(&key(1), &[7; 100]).unwrap();
        fs::copy(path(1), path(2)).unwrap();
        let mut again = Folder::open(&place.0, 1 << 20).unwrap();
        assert!(again.read(&key(2), 100).is_err());
        assert!(again.read(&key(9), 100).is_err(), "there is no such file");
        assert_eq!(again.read(&key(1), 100).unwrap(), [7; 100]);
    }
}
