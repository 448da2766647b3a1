//! One file from one address, verified: resumes what an earlier try left, and shows how far it is.
//! Knows HTTP, and neither the hub (`hub.rs`) nor which model is wanted (`default_model.rs`).

pub mod default_model;
pub mod hub;
mod partial;
pub mod remote;

use std::{io::Read, path::Path, thread, time::Duration};

use ureq::{Agent, Body, http::Response};

pub use partial::{Expected, Partial};

use crate::{
    failure::{Failure, Result},
    notes,
    progress::Progress,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(20); // of silence: a slow line may take hours
const ATTEMPTS: u32 = 5;
const BLOCK: usize = 1 << 18;

/// File to fetch, and where to put it.
pub struct Request<'a> {
    /// The address.
    pub url: &'a str,
    /// Sent to the first host only, never along a redirect to another one.
    pub token: Option<&'a str>,
    /// Name of the file in messages.
    pub label: &'a str,
    /// The final name. It appears when the file is whole and verified.
    pub target: &'a Path,
    /// Checksum and length that the file must have.
    pub expected: Expected,
}

/// How one connection ended.
enum End {
    Whole,
    Cut(String),
}

/// An HTTP client that hands every status to the caller and gives up on silence.
pub fn agent(max_redirects: u32) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(max_redirects)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .user_agent(concat!("lantern/", env!("CARGO_PKG_VERSION")));
    config.build().new_agent()
}

/// A GET with a token where there is one. Fails where no server answers.
pub fn get(agent: &Agent, url: &str, token: Option<&str>, from: u64) -> Result<Response<Body>> {
    let mut request = agent.get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if from > 0 {
        request = request.header("range", format!("bytes={from}-"));
    }
    request
        .call()
        .map_err(|error| Failure::Hub(format!("cannot reach {}: {error}", host(url))))
}

/// Fetches the file, unless somebody else did while we waited for them.
pub fn download(request: &Request) -> Result {
    let _lock = partial::lock(request.target)?;
    if request.target.is_file() {
        return Ok(());
    }
    // Ctrl-C may end the program anywhere in here: what is on disk is right at every byte, and a later run goes on from it.
    let agent = agent(10);
    let mut partial = Partial::open(request.target, &request.expected)?;
    let mut progress = Progress::bytes(
        &format!("downloading {}", request.label),
        request.expected.bytes.unwrap_or(0),
    );
    for attempt in 1.. {
        let end = match connection(&agent, request, &mut partial, &mut progress) {
            Err(Failure::Hub(why)) if attempt > 1 => End::Cut(why),
            end => end?,
        };
        match end {
            End::Whole => break,
            End::Cut(why) if attempt == ATTEMPTS => return Err(given_up(request, &partial, &why)),
            End::Cut(why) => notes::detail(&format!(
                "{}: {why}; going on at byte {}",
                request.label,
                partial.len()
            )),
        }
        thread::sleep(Duration::from_millis(200) * attempt);
    }
    partial.finish(request.target, &request.expected)?;
    progress.finish();
    Ok(())
}

/// One connection: the rest of the file, or as much as comes.
fn connection(
    agent: &Agent,
    request: &Request,
    partial: &mut Partial,
    progress: &mut Progress,
) -> Result<End> {
    let from = partial.len();
    if from > 0 && request.expected.bytes == Some(from) {
        return Ok(End::Whole);
    }
    let response = get(agent, request.url, request.token, from)?;
    match response.status().as_u16() {
        206 if range_start(&response) == Some(from) => {}
        200 => partial.restart()?,
        206 | 416 => {
            partial.restart()?;
            return Ok(End::Cut(
                "the server gave another part of the file".to_owned(),
            ));
        }
        status @ (429 | 500..) => return Ok(End::Cut(format!("the server answered {status}"))),
        status => return Err(refused(status, request.label)),
    }
    let rest = number(&response, "content-length");
    let total = rest
        .map(|rest| partial.len() + rest)
        .or(request.expected.bytes);
    let max = request
        .expected
        .bytes
        .map_or(u64::MAX, |bytes| bytes - partial.len() + 1); // one too many is seen at the end
    let end = body(
        response.into_body().into_reader().take(max),
        total,
        partial,
        progress,
    );
    partial.flush()?;
    end
}

fn body(
    mut reader: impl Read,
    total: Option<u64>,
    partial: &mut Partial,
    progress: &mut Progress,
) -> Result<End> {
    let mut block = vec![0; BLOCK];
    loop {
        match reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => partial.append(&block[..count])?,
            Err(error) => return Ok(End::Cut(error.to_string())),
        }
        progress.set(partial.len(), total.unwrap_or(partial.len()));
    }
    let short = total.is_some_and(|total| partial.len() < total);
    Ok(if short {
        End::Cut("the connection was closed early".to_owned())
    } else {
        End::Whole
    })
}

fn given_up(request: &Request, partial: &Partial, why: &str) -> Failure {
    let kept = indicatif::DecimalBytes(partial.len());
    let label = request.label;
    Failure::Hub(format!(
        "downloading {label}: {why}. {kept} are kept; run the same command again to go on from there"
    ))
}

/// Error for an HTTP status that is no success, in words for the user; `what` names the thing that was asked for.
pub fn refused(status: u16, what: &str) -> Failure {
    Failure::Hub(match status {
        401 | 403 => format!(
            "{what} is not open to you: there is no such repository, or it is private or gated. \
             Check the name, or set HF_TOKEN to a token that may read it"
        ),
        404 => format!("{what} is not there (404); check the name"),
        _ => format!("the server answered {status} for {what}; try again later"),
    })
}

/// A header as a number.
fn number(response: &Response<Body>, name: &str) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

/// The first byte of `Content-Range: bytes 5-9/10`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// The host part of an address, for messages: the rest may hold a signature.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
