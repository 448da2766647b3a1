//! Requests of a batch: where they are in the file, and as much of each prompt as their order wants.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    failure::{Failure, Result},
    serve::Route,
};

/// Bytes of a line at most.
const LINE_MAX: u64 = 32 << 20;
/// Bytes of a prompt that its order looks at.
const PREFIX: usize = 4096;
/// Fields that prompts are made of, in the order in which templates have them.
const PROMPT: [&str; 7] = [
    "tools",
    "system",
    "instructions",
    "messages",
    "prompt",
    "query",
    "input",
];

/// A file of requests.
pub struct Input {
    path: PathBuf,
    pub requests: Vec<Request>,
}

/// A request, which is read again when its turn comes.
pub struct Request {
    pub id: String,
    pub route: &'static Route,
    /// The beginning of its prompt, as JSON.
    pub prefix: Vec<u8>,
    /// Bytes of the whole prompt.
    pub length: usize,
    pub offset: u64,
    pub bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    custom_id: String,
    method: String,
    url: String,
    body: Map<String, Value>,
}

impl Input {
    /// Reads the whole file once; a line that is no request is an error before anything long begins.
    pub fn open(path: &Path) -> Result<Input> {
        let failed = |error| Failure::io(path, error);
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let (mut requests, mut ids) = (Vec::new(), HashSet::new());
        let (mut offset, mut text) = (0, Vec::new());
        for number in 1.. {
            text.clear();
            let mut line = reader.by_ref().take(LINE_MAX);
            let bytes = line.read_until(b'\n', &mut text).map_err(failed)?;
            if bytes == 0 {
                break;
            }
            let wrong = |what: String| {
                Failure::Message(format!("{}, line {number}: {what}", path.display()))
            };
            if bytes as u64 == LINE_MAX {
                return Err(wrong(format!("a request has less than {LINE_MAX} bytes")));
            }
            if !text.trim_ascii().is_empty() {
                let request = request(&text, offset).map_err(wrong)?;
                if !ids.insert(request.id.clone()) {
                    return Err(wrong(format!(
                        "custom_id {:?} was there before",
                        request.id
                    )));
                }
                requests.push(request);
            }
            offset += bytes as u64;
        }
        if requests.is_empty() {
            let message = format!("{} has no requests", path.display());
            return Err(Failure::Message(message));
        }
        let path = path.to_owned();
        Ok(Input { path, requests })
    }

    /// The body of a request.
    pub fn body(&self, request: &Request) -> Result<Value> {
        let failed = |error| Failure::io(&self.path, error);
        let mut text = vec![0; request.bytes];
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(request.offset)).map_err(failed)?;
        file.read_exact(&mut text).map_err(failed)?;
        let line: Line =
            serde_json::from_slice(&text).map_err(|error| failed(std::io::Error::other(error)))?; // it changed meanwhile
        Ok(Value::Object(line.body))
    }
}

fn request(text: &[u8], offset: u64) -> std::result::Result<Request, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let route = Route::of(&line.url).filter(|route| route.takes_body());
    let route = route.ok_or_else(|| format!("there is no url {}", line.url))?;
    if line.method != "POST" {
        return Err(format!("method is POST, not {}", line.method));
    }
    let given = PROMPT.iter().filter_map(|name| line.body.get(*name));
    let mut prefix: Vec<u8> = given
        .flat_map(|value| value.to_string().into_bytes())
        .collect();
    let length = prefix.len();
    prefix.truncate(PREFIX);
    prefix.shrink_to_fit();
    Ok(Request {
        id: line.custom_id,
        route,
        prefix,
        length,
        offset,
        bytes: text.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn a_line_is_a_request_or_says_why_not() {
        let line = |url: &str, method: &str, body: &str| {
            let line = format!(
                r#"{{"custom_id": "a", "method": "{method}", "url": "{url}", "body": {body}}}"#
            );
            request(line.as_bytes(), 0)
        };
        let url = "/v1/completions";
        let sound = line(url, "POST", r#"{"prompt": "One"}"#).ok().unwrap();
        assert_eq!(
            (sound.id.as_str(), sound.prefix.as_slice()),
            ("a", &b"\"One\""[..])
        );
        for (url, method, body, words) in [
            ("/v1/files", "POST", "{}", "/v1/files"),
            ("/health", "POST", "{}", "/health"),
            (url, "GET", "{}", "GET"),
            (url, "POST", "[]", "map"),
            (url, "POST", "{}, \"colour\": 1", "colour"),
        ] {
            let told = line(url, method, body).err().unwrap();
            assert!(told.contains(words), "{told}");
        }
    }
}
