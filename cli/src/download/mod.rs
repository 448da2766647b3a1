//! One file from one address, verified: resumes what an earlier try left, and shows how far it is.
//! Knows HTTP, and neither the hub (`hub.rs`) nor which model is wanted (`default_model.rs`).

pub mod default_model;
pub mod hub;
mod partial;
mod proxy;
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
/// Seconds that are waited when a server asks for it; whoever asks for more is told to the user instead.
const WAIT_MAX: u64 = 120;
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

/// An HTTP client for `url` that hands every status to the caller and gives up on silence.
pub fn agent(url: &str, max_redirects: u32) -> Result<Agent> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(max_redirects)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .user_agent(concat!("lantern/", env!("CARGO_PKG_VERSION")));
    proxy::agent(config, url)
}

/// A GET with a token where there is one, as the server has it, not compressed, where a `range` of bytes is asked for. A
/// server that asks to be left alone for a while is. Fails where no server answers.
pub fn get(
    agent: &Agent,
    url: &str,
    token: Option<&str>,
    range: Option<&str>,
) -> Result<Response<Body>> {
    for attempt in 1.. {
        let mut request = agent.get(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(range) = range {
            request = request.header("accept-encoding", "identity");
            request = request.header("range", range);
        }
        let host = host(url);
        let response = request
            .call()
            .map_err(|error| Failure::Hub(format!("cannot reach {host}: {error}")))?;
        let Some(seconds) = retry_after(&response).filter(|_| attempt < ATTEMPTS) else {
            return Ok(response);
        };
        if seconds > WAIT_MAX {
            let minutes = seconds.div_ceil(60);
            return Err(Failure::Hub(format!(
                "{host} is busy, and asks to be tried again in {minutes} minutes"
            )));
        }
        notes::note(&format!(
            "{host} is busy; trying again in {seconds} s, as it asks"
        ));
        thread::sleep(Duration::from_secs(seconds));
    }
    unreachable!("the last attempt returns")
}

/// Seconds after which a server wants to be asked again; a date counts as ten.
fn retry_after(response: &Response<Body>) -> Option<u64> {
    const DATE: u64 = 10;
    let busy = matches!(response.status().as_u16(), 429 | 503);
    let value = response.headers().get("retry-after").filter(|_| busy)?;
    Some(value.to_str().ok()?.trim().parse().unwrap_or(DATE))
}

/// Fetches the file, unless somebody else did while we waited for them.
pub fn download(request: &Request) -> Result {
    let _lock = partial::lock(request.target)?;
    if request.target.is_file() {
        return Ok(());
    }
    // Ctrl-C may end the program anywhere in here: what is on disk is right at every byte, and a later run goes on from it.
    let agent = agent(request.url, 10)?;
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
    let range = (from > 0).then(|| format!("bytes={from}-"));
    let range = range.as_deref();
    let response = get(agent, request.url, request.token, range)?;
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
        status => return Err(refused(status, request.label, request.url, request.token)),
    }
    refuse_page(&response, request)?;
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

/// Refuses a page that a server, or whoever stands before it, gives in the place of a file.
fn refuse_page(response: &Response<Body>, request: &Request) -> Result {
    let wanted = Path::new(request.label).extension();
    let wanted = wanted.is_some_and(|ending| ending.eq_ignore_ascii_case("html"));
    if wanted || !is_page(response) {
        return Ok(());
    }
    Err(web_page(request.url, request.label))
}

/// The answer is a web page.
pub fn is_page(response: &Response<Body>) -> bool {
    let kind = response.headers().get("content-type");
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().to_lowercase().starts_with("text/html"))
}

/// Error for a web page in the place of `what`.
pub fn web_page(url: &str, what: &str) -> Failure {
    Failure::Hub(format!(
        "{} gave a web page in place of {what}: of a login, or of a proxy or firewall on the way. Open the address in a \
         browser, and check HF_ENDPOINT and the proxy's settings",
        host(url)
    ))
}

/// Error for an HTTP status that is no success, in words for the user; `what` names the thing that was asked for at `url`.
pub fn refused(status: u16, what: &str, url: &str, token: Option<&str>) -> Failure {
    Failure::Hub(match status {
        403 if token.is_some() => format!(
            "{what} is not open to the account of HF_TOKEN (403): its licence must be accepted on the model's page, {}, \
             or the token lacks the right to read it",
            page_of(url)
        ),
        401 | 403 => format!(
            "{what} is not open to you: there is no such repository, or it is private or gated. \
             Check the name, or set HF_TOKEN to a token that may read it"
        ),
        404 => format!("{what} is not there (404); check the name"),
        407 => "the proxy wants a name and a password (407): https_proxy=http://NAME:PASSWORD@HOST:PORT".to_owned(),
        _ => format!("the server answered {status} for {what}; try again later"),
    })
}

/// The page for people of the repository that `url` is of.
fn page_of(url: &str) -> String {
    let page = url.split("/resolve/").next().unwrap_or(url);
    let page = page.split('?').next().unwrap_or(page);
    page.replacen("/api/models/", "/", 1)
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
