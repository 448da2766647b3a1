//! Answers of a batch: a line each, written when it is whole. What an earlier run left half is cut.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    failure::{Failure, Result},
    notes,
};

/// The output, which nobody else writes meanwhile.
pub struct Results {
    path: PathBuf,
    file: File,
    /// Ids of the requests that are answered.
    done: HashSet<String>,
}

#[derive(Deserialize)]
struct Line {
    custom_id: String,
}

impl Results {
    /// Opens the output of a batch with these ids, and finds what is answered.
    pub fn open(path: &Path, ids: &HashSet<&str>) -> Result<Results> {
        let failed = |error| Failure::io(path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        if file.try_lock().is_err() {
            let message = format!("another batch writes {}", path.display());
            return Err(Failure::Message(message));
        }
        let (mut done, mut end, mut text) = (HashSet::new(), 0, Vec::new());
        let mut reader = BufReader::new(&file);
        for number in 1.. {
            text.clear();
            let bytes = reader.read_until(b'\n', &mut text).map_err(failed)?;
            if text.last() != Some(&b'\n') {
                break;
            }
            let line: Line = serde_json::from_slice(&text).map_err(|_| {
                let what = "is no answer of a batch; name another output";
                Failure::Message(format!("{}, line {number}, {what}", path.display()))
            })?;
            if !ids.contains(line.custom_id.as_str()) {
                let (id, path) = (line.custom_id, path.display());
                return Err(Failure::Message(format!(
                    "{path} has an answer to {id:?}, which the batch does not ask; name another output"
                )));
            }
            done.insert(line.custom_id);
            end += bytes as u64;
        }
        if !text.is_empty() {
            notes::note("the last line of the output is not whole, and is done again");
        }
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        let path = path.to_owned();
        Ok(Results { path, file, done })
    }

    /// Whether a request is answered.
    pub fn has(&self, id: &str) -> bool {
        self.done.contains(id)
    }

    /// Writes an answer.
    pub fn add(&mut self, id: &str, status: u16, body: &Value) -> Result {
        let number = self.done.len();
        let line = json!({
            "id": format!("batch_req_{number}"), "custom_id": id,
            "response": {"status_code": status, "request_id": format!("req_{number}"), "body": body},
            "error": null,
        });
        let line = format!("{line}\n");
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|error| Failure::io(&self.path, error))?;
        self.done.insert(id.to_owned());
        Ok(())
    }
}
