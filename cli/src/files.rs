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
    String::from_utf8(bytes)
        .map_err(|_| Failure::Message(format!("{} is no UTF-8 text", path.display())))
}

/// All of stdin.
pub fn read_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io("stdin", error))?;
    String::from_utf8(bytes).map_err(|_| Failure::Message("stdin is no UTF-8 text".to_owned()))
}

/// Lets `write` fill a file under a temporary name beside `path`, then renames it. What was there before stays until then,
/// and nothing half-written is left behind. Links are followed; pipes and devices are written as they are.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result) -> Result {
    if path == Path::new("-") {
        let problem = "`-` is no file to write; /dev/stdout is, where there is one";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let there = fs::metadata(&real).ok();
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return write_through(&real, write);
    }
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

/// What cannot be renamed over: pipes, devices. A folder is an error of the system's.
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
    fn links_stay_and_devices_are_written() {
        let folder = std::env::temp_dir().join(format!("lantern-links-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, link, device) = (folder.join("x"), folder.join("l"), folder.join("null"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        let put = |out: &mut dyn Write| out.write_all(b"new").map_err(|e| Failure::io("x", e));
        write_whole(&link, put).unwrap();
        write_whole(&device, put).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.is_symlink() && device.is_symlink());
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        fs::remove_dir_all(&folder).unwrap();
    }
}
