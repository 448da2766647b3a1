//! A model file that stays where it is: ranges of it by HTTP, for looking at a header before a download.

use std::{io::Read, ops::Range, pin::Pin};

use lantern_engine::{
    Error, ModelFile,
    file::{self, Remote, Source},
};
use pollster::block_on;
use ureq::{Agent, Body, http::Response};

use super::{agent, get, host, is_page, refused, web_page};
use crate::failure::{Failure, Result};

/// Bytes that one request asks for at most: a header is small, whoever wants more has mistaken this for a download.
const REQUEST_MAX: u64 = 256 << 20;

/// A file behind an address.
struct Ranges {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// The header of the model at `url`; all parts of one that is split, where `url` is that of the first.
pub fn open(url: &str, token: Option<&str>) -> Result<ModelFile> {
    let mut sources = Vec::new();
    for url in file::parts(url) {
        sources.push(source(&url, token)?);
    }
    Ok(block_on(ModelFile::read(sources))?)
}

fn source(url: &str, token: Option<&str>) -> Result<Source> {
    let ranges = Ranges {
        agent: agent(url, 10)?,
        url: url.to_owned(),
        token: token.map(str::to_owned),
    };
    let response = ranges.get(0..1)?;
    let status = response.status().as_u16();
    let total = response.headers().get("content-range");
    let total = total.and_then(|value| value.to_str().ok()?.rsplit('/').next()?.parse().ok());
    match (status, total) {
        (206, Some(total)) => Ok(Source::remote(url.to_owned(), total, Box::new(ranges))),
        (200 | 206, _) if is_page(&response) => Err(web_page(url, "a model file")),
        (200 | 206, _) => Err(Failure::Hub(format!(
            "{} does not hand out parts of a file, which looking at its header takes; download it, and check the file",
            host(url)
        ))),
        (status, _) => Err(refused(status, url, url, token)),
    }
}

impl Ranges {
    fn get(&self, range: Range<u64>) -> Result<Response<Body>> {
        let range = format!("bytes={}-{}", range.start, range.end - 1);
        get(&self.agent, &self.url, self.token.as_deref(), Some(&range))
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
