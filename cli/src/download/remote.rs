//! A model file that stays where it is: ranges of it by HTTP, for looking at a header before a download.

use std::{io::Read, ops::Range, pin::Pin};

use lantern_engine::{
    Error, ModelFile,
    file::{Remote, Source},
};
use pollster::block_on;
use ureq::{Agent, Body, http::Response};

use super::{agent, host, refused};
use crate::failure::{Failure, Result};

/// Bytes that one request asks for at most: a header is small, whoever wants more has mistaken this for a download.
const REQUEST_MAX: u64 = 256 << 20;

/// In the name of the first of several parts.
const FIRST_PART: &str = "-00001-of-";

/// A file behind an address.
struct Ranges {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// The header of the model at `url`; all parts of one that is split, where `url` is that of the first.
pub fn open(url: &str, token: Option<&str>) -> Result<ModelFile> {
    let mut sources = Vec::new();
    for url in parts(url) {
        sources.push(source(&url, token)?);
    }
    Ok(block_on(ModelFile::read(sources))?)
}

fn source(url: &str, token: Option<&str>) -> Result<Source> {
    let ranges = Ranges {
        agent: agent(10),
        url: url.to_owned(),
        token: token.map(str::to_owned),
    };
    let response = ranges.get(0..1)?;
    let status = response.status().as_u16();
    let total = response.headers().get("content-range");
    let total = total.and_then(|value| value.to_str().ok()?.rsplit('/').next()?.parse().ok());
    match (status, total) {
        (206, Some(total)) => Ok(Source::remote(url.to_owned(), total, Box::new(ranges))),
        (200 | 206, _) => Err(Failure::Hub(format!(
            "{} does not hand out parts of a file, which looking at its header takes; download it, and check the file",
            host(url)
        ))),
        (status, _) => Err(refused(status, url)),
    }
}

/// `x-00001-of-00003.gguf` and its like, names and addresses, stand for all of their files.
pub fn parts(url: &str) -> Vec<String> {
    let whole = || vec![url.to_owned()];
    let Some((start, rest)) = url.split_once(FIRST_PART) else {
        return whole();
    };
    let (count, end) = rest.split_at_checked(5).unwrap_or((rest, ""));
    match count.parse::<u32>() {
        Ok(number) if (1..=999).contains(&number) => (1..=number)
            .map(|part| format!("{start}-{part:05}-of-{count}{end}"))
            .collect(),
        _ => whole(),
    }
}

impl Ranges {
    fn get(&self, range: Range<u64>) -> Result<Response<Body>> {
        let mut request = self.agent.get(&self.url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let range = format!("bytes={}-{}", range.start, range.end - 1);
        let response = request.header("range", range).call();
        response.map_err(|error| Failure::Hub(format!("cannot reach {}: {error}", host(&self.url))))
    }

    fn bytes(&self, range: Range<u64>) -> lantern_engine::Result<Vec<u8>> {
        let failed = |message: String| Error::Remote {
            code: "network".to_owned(),
            message: format!("{}: {message}", self.url),
        };
        let length = range.end - range.start;
        if length > REQUEST_MAX {
            return Err(failed(format!("a header of more than {REQUEST_MAX} bytes")));
        }
        let mut response = self.get(range).map_err(|error| failed(error.to_string()))?;
        if response.status() != 206 {
            return Err(failed(format!("the server answered {}", response.status())));
        }
        let mut bytes = Vec::new();
        let body = response.body_mut().as_reader();
        let read = body.take(length).read_to_end(&mut bytes);
        let cut = |why: String| failed(format!("the connection broke off: {why}; try again"));
        read.map_err(|error| cut(error.to_string()))?;
        if bytes.len() as u64 != length {
            return Err(cut(format!("{} of {length} bytes came", bytes.len())));
        }
        Ok(bytes)
    }
}

impl Remote for Ranges {
    fn read(
        &self,
        range: Range<u64>,
    ) -> Pin<Box<dyn Future<Output = lantern_engine::Result<Vec<u8>>> + '_>> {
        Box::pin(std::future::ready(self.bytes(range)))
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn the_first_of_several_files_stands_for_all() {
        let three = parts("http://a/x-00001-of-00003.gguf?b");
        assert_eq!(three.len(), 3);
        assert_eq!(three[2], "http://a/x-00003-of-00003.gguf?b");
        for one in [
            "http://a/x.gguf",
            "http://a/x-00001-of-abcde.gguf",
            "http://a/x-00001-of-",
        ] {
            assert_eq!(parts(one), [one]);
        }
    }
}
