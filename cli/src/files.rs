//! Small files of the user, read as text and written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::failure::{Failure, Result};

/// The text of a file, or of stdin where the path is `-`.
pub fn read_text(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return read_stdin();
    }
    let bytes = fs::read(path).map_err(|error| Failure::io(path, error))?;
    decode(bytes, path)
}

/// Reads the text of a file of at most `max` bytes.
pub fn read_text_bounded(path: &Path, max: u64) -> Result<String> {
    decode(read_bounded(path, max)?, path)
}

/// Bytes of the file `path` as text: UTF-8, or UTF-16 that begins with a byte-order mark. A mark is no part of the text.
pub fn decode(bytes: Vec<u8>, path: &Path) -> Result<String> {
    let text = match bytes.as_slice() {
        [0xFF, 0xFE, units @ ..] => utf16(units, u16::from_le_bytes),
        [0xFE, 0xFF, units @ ..] => utf16(units, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, text @ ..] => String::from_utf8(text.to_vec()).ok(),
        _ => return String::from_utf8(bytes).map_err(|_| not_text(path, "UTF-8")),
    };
    let encoding = if bytes[0] == 0xEF { "UTF-8" } else { "UTF-16" };
    text.ok_or_else(|| not_text(path, encoding))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    rest.is_empty().then(|| String::from_utf16(&units).ok())?
}

fn not_text(path: &Path, encoding: &str) -> Failure {
    Failure::Message(format!("{} is not valid {encoding}", path.display()))
}

/// At most `max` bytes, of stdin where the path is `-`. A longer file is refused before it is read; a pipe or a device once
/// it has given as much.
pub fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>> {
    let (source, length): (Box<dyn Read>, u64) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file = File::open(path).map_err(|error| Failure::io(path, error))?;
        let length = file.metadata().map_or(0, |there| there.len());
        (Box::new(file), length)
    };
    let mut bytes = Vec::new();
    if length <= max {
        let read = source.take(max + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::io(path, error))?;
    }
    if length.max(bytes.len() as u64) > max {
        let (name, max) = (path.display(), max >> 20);
        let problem = format!("{name} is larger than {max} MiB, which no file of this kind is");
        return Err(Failure::Message(problem));
    }
    Ok(bytes)
}

/// All of stdin.
pub fn read_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io("stdin", error))?;
    decode(bytes, Path::new("stdin"))
}

/// Lets `write` fill a file under a temporary name beside `path`, then renames it. What was there before stays until then,
/// and nothing half-written is left behind. Links are followed; pipes and devices are written as they are.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result) -> Result {
    check_name(path)?;
    let there = match fs::metadata(path) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::io(path, error)),
    };
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return write_through(path, write);
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_| behind_links(path));
    let path = real.as_path();
    let temporary = temporary_name(path)?;
    let file = File::create(&temporary).map_err(|error| Failure::io(path, error))?;
    if let Some(there) = there {
        let kept = file.set_permissions(there.permissions());
        kept.map_err(|error| Failure::io(path, error))?;
    }
    let mut buffered = io::BufWriter::new(file);
    let written = write(&mut buffered)
        .and_then(|()| buffered.flush().map_err(|error| Failure::io(path, error)));
    drop(buffered);
    let done = written
        .and_then(|()| fs::rename(&temporary, path).map_err(|error| Failure::io(path, error)));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// Refuses `-`, which other programs take for stdout. Apart from [`write_whole`], so that it can come before long work.
pub fn check_name(path: &Path) -> Result {
    if path != Path::new("-") {
        return Ok(());
    }
    let problem = "`-` is no file to write; /dev/stdout is, where there is one";
    Err(Failure::Usage(problem.to_owned()))
}

/// Refuses a file that is there already, unless writing over it is asked for; before long work.
pub fn check_new(path: &Path, force: bool) -> Result {
    check_name(path)?;
    if path.exists() && !force {
        let problem = format!(
            "{} is there already; --force writes over it",
            path.display()
        );
        return Err(Failure::Message(problem));
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let missing = folder.is_some_and(|folder| !folder.is_dir());
    if path.is_dir() || missing {
        let why = if missing {
            "its folder is missing"
        } else {
            "it is a folder"
        };
        let problem = format!("{} cannot be written: {why}", path.display());
        return Err(Failure::Message(problem));
    }
    Ok(())
}

/// Where links lead to whose last one points at nothing yet. Circles do not get here: the system has an error for them.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    while let Ok(target) = fs::read_link(&path) {
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

/// Writes straight into what cannot be renamed over: pipes, devices. A folder is an error of the system's.
fn write_through(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result) -> Result {
    let file = File::options().write(true).open(path);
    let mut buffered = io::BufWriter::new(file.map_err(|error| Failure::io(path, error))?);
    write(&mut buffered)?;
    buffered.flush().map_err(|error| Failure::io(path, error))
}

fn temporary_name(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Failure::Message(format!(
            "{} is no name for a file",
            path.display()
        )));
    };
    let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_no_part_of_a_text() {
        let read = |bytes: &[u8]| decode(bytes.to_vec(), Path::new("x")).map_err(|e| e.to_string());
        let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            [
                &mark[..],
                &"ä😀\r\n".encode_utf16().flat_map(bytes).collect::<Vec<_>>(),
            ]
            .concat()
        };
        for bytes in [
            "ä😀\r\n".as_bytes(),
            "\u{feff}ä😀\r\n".as_bytes(),
            &utf16([0xFF, 0xFE], u16::to_le_bytes),
            &utf16([0xFE, 0xFF], u16::to_be_bytes),
        ] {
            assert_eq!(read(bytes), Ok("ä😀\r\n".to_owned()));
        }
        assert_eq!(
            read("a\u{feff}".as_bytes()),
            Ok("a\u{feff}".to_owned()),
            "only at the start"
        );
        assert_eq!(
            read(b"\xFF\xFEa"),
            Err("x is not valid UTF-16".to_owned()),
            "half a unit"
        );
        assert_eq!(
            read(b"\xFE\xFF\xD8\x00"),
            Err("x is not valid UTF-16".to_owned())
        );
        assert_eq!(
            read(b"\xEF\xBB\xBF\x80"),
            Err("x is not valid UTF-8".to_owned())
        );
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("lantern-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("x");
        write_whole(&path, |file| {
            file.write_all(b"old").map_err(|e| Failure::io("x", e))
        })
        .unwrap();
        write_whole(&path, |file| {
            file.write_all(b"new").map_err(|e| Failure::io("x", e))?;
            Err(Failure::Interrupted)
        })
        .unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = std::env::temp_dir().join(format!("lantern-links-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, link, dangling) = (folder.join("x"), folder.join("l"), folder.join("d"));
        fs::write(&file, b"old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("x", &link).unwrap();
        symlink("y", &dangling).unwrap();
        let put = |out: &mut dyn Write| out.write_all(b"new").map_err(|e| Failure::io("x", e));
        write_whole(&link, put).unwrap();
        write_whole(&dangling, put).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::read(folder.join("y")).unwrap(), b"new");
        assert!(link.is_symlink() && dangling.is_symlink());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
        assert_eq!(write_whole(Path::new("-"), put).unwrap_err().code(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    // A pipe stands for all devices: a failure here must not cost the machine its /dev/null.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_and_stays() {
        use std::os::unix::fs::FileTypeExt;
        let folder = std::env::temp_dir().join(format!("lantern-pipe-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pipe = folder.join("p");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        let put = |out: &mut dyn Write| out.write_all(b"new").map_err(|e| Failure::io("x", e));
        write_whole(&pipe, put).unwrap();
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        assert_eq!(reader.join().unwrap(), b"new");
        fs::remove_dir_all(&folder).unwrap();
    }
}
