//! Files of the Hugging Face hub: which files a repository has, which one is meant, and its checksum.
//! `HF_ENDPOINT` names another hub, `HF_TOKEN` opens private and gated repositories.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lantern_engine::file::{self, preferred_file};
use serde::Deserialize;

use super::{Expected, Request, agent, download, get, is_page, refused, web_page};
use crate::{
    failure::{Failure, Result},
    files, notes, places,
};

/// Remembers which file was chosen beside the files, so that the same name means the same file later, and offline.
const CHOICE: &str = ".choice";
const LISTING_LIMIT: u64 = 16 << 20;
/// Which of a model in safetensors says what it is; it stands for all of its files.
const CONFIG: &str = "config.json";
/// The weights, where they are in one file.
const WHOLE: &str = "model.safetensors";
const INDEX_LIMIT: u64 = 32 << 20;
/// Index of the files that have each tensor, where there are several.
const INDEX: &str = "model.safetensors.index.json";

/// `user/repo[:file]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    repo: String,
    file: Option<String>,
}

#[derive(Deserialize)]
struct Listing {
    sha: Option<String>,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    #[serde(rename = "rfilename")]
    name: String,
    size: Option<u64>,
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    sha256: Option<String>,
}

impl Reference {
    /// None where `text` cannot be meant as one.
    pub fn parse(text: &str) -> Option<Reference> {
        let (repo, file) = match text.split_once(':') {
            Some((repo, file)) => (repo, Some(file)),
            None => (text, None),
        };
        let (user, name) = repo.split_once('/')?;
        let plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
        };
        let right = plain(user) && plain(name) && file.is_none_or(stays_inside);
        right.then(|| Reference {
            repo: repo.to_owned(),
            file: file.map(str::to_owned),
        })
    }

    /// The file, where it is on this machine.
    pub fn kept(&self) -> Result<Option<PathBuf>> {
        let folder = places::models()?.join(&self.repo);
        let known = self
            .file
            .clone()
            .or_else(|| fs::read_to_string(folder.join(CHOICE)).ok());
        let known = known.filter(|name| stays_inside(name) && folder.join(name).is_file());
        Ok(known.map(|name| folder.join(name)))
    }

    /// The address of the file, and the token that opens it.
    pub fn address(&self) -> Result<(String, Option<String>)> {
        let listing = self.listing()?;
        if self.is_folder(&listing) {
            let repo = &self.repo;
            return Err(Failure::Hub(format!(
                "{repo} has safetensors, which are not looked at from afar: `lantern fetch {repo}` first"
            )));
        }
        let sibling = self.choose(&listing)?;
        let revision = listing.sha.as_deref().unwrap_or("main");
        Ok((file_url(&self.repo, revision, &sibling.name), token()))
    }

    /// The file on this machine, downloaded where it is missing.
    pub fn fetch(&self) -> Result<PathBuf> {
        if let Some(path) = self.kept()? {
            return Ok(path);
        }
        let folder = places::models()?.join(&self.repo);
        let listing = self.listing()?;
        let note = |what: &str| {
            let (repo, folder) = (&self.repo, folder.display());
            notes::note(&format!("{what} of {repo} will be kept in {folder}"));
        };
        let chosen = if self.is_folder(&listing) {
            note("the model");
            self.fetch_folder(&listing, &folder)?;
            folder.join(CONFIG)
        } else {
            let sibling = self.choose(&listing)?;
            note(&sibling.name);
            self.fetch_parts(&listing, sibling, &folder)?
        };
        if self.file.is_none() {
            let name = chosen.strip_prefix(&folder).unwrap_or(&chosen);
            let _ = fs::write(folder.join(CHOICE), name.to_string_lossy().as_bytes()); // only saves asking again
        }
        Ok(chosen)
    }

    /// The repository has a model in safetensors, and none in GGUF.
    fn is_folder(&self, listing: &Listing) -> bool {
        let has = |name: &str| listing.siblings.iter().any(|s| s.name == name);
        let gguf = listing.siblings.iter().any(|s| is_gguf(&s.name));
        self.file.is_none() && !gguf && has(CONFIG) && (has(INDEX) || has(WHOLE))
    }

    /// The model's files, the small ones first.
    fn fetch_folder(&self, listing: &Listing, folder: &Path) -> Result {
        for sibling in &listing.siblings {
            if file::BESIDE_WEIGHTS.contains(&sibling.name.as_str()) {
                self.fetch_file(listing, sibling, folder)?;
            }
        }
        for name in weight_files(folder)? {
            self.fetch_named(listing, &name, INDEX, folder)?;
        }
        Ok(())
    }

    /// A model's file, and where it is the first of several parts, the others before it: when it is there, all are.
    fn fetch_parts(&self, listing: &Listing, first: &Sibling, folder: &Path) -> Result<PathBuf> {
        for name in &file::parts(&first.name)[1..] {
            self.fetch_named(listing, name, &first.name, folder)?;
        }
        self.fetch_file(listing, first, folder)
    }

    /// A file that another one calls for.
    fn fetch_named(&self, listing: &Listing, name: &str, by: &str, folder: &Path) -> Result {
        let sibling = listing.siblings.iter().find(|s| s.name == name);
        let sibling = sibling.filter(|s| stays_inside(&s.name)).ok_or_else(|| {
            let repo = &self.repo;
            Failure::Hub(format!("{repo} has no file {name}, which its {by} names"))
        })?;
        self.fetch_file(listing, sibling, folder)?;
        Ok(())
    }

    /// One file, in `folder`.
    fn fetch_file(&self, listing: &Listing, sibling: &Sibling, folder: &Path) -> Result<PathBuf> {
        let target = folder.join(&sibling.name);
        if target.is_file() {
            return Ok(target);
        }
        let revision = listing.sha.as_deref().unwrap_or("main");
        let url = file_url(&self.repo, revision, &sibling.name);
        let stated = sibling
            .lfs
            .as_ref()
            .and_then(|lfs| checksum(lfs.sha256.as_deref()?));
        let expected = Expected {
            sha256: stated.or_else(|| linked_checksum(&url)),
            bytes: sibling.size,
        };
        fetch_url(&url, &sibling.name, &target, expected)?;
        Ok(target)
    }

    fn listing(&self) -> Result<Listing> {
        let url = format!("{}/api/models/{}?blobs=true", endpoint(), self.repo);
        let token = token();
        let token = token.as_deref();
        let mut response = get(&agent(&url, 5)?, &url, token, None)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(refused(status, &self.repo, &url, token));
        }
        if is_page(&response) {
            return Err(web_page(&url, "the list of files"));
        }
        let text = response
            .body_mut()
            .with_config()
            .limit(LISTING_LIMIT)
            .read_to_string();
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::Hub(format!("the hub's listing of {}: {error}", self.repo))
        };
        serde_json::from_str(&text.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))
    }

    fn choose<'a>(&self, listing: &'a Listing) -> Result<&'a Sibling> {
        let names: Vec<&str> = listing
            .siblings
            .iter()
            .map(|sibling| sibling.name.as_str())
            .collect();
        let chosen = match &self.file {
            Some(file) => names.contains(&file.as_str()).then_some(file.as_str()),
            None => preferred_file(&names),
        };
        let sibling =
            chosen.and_then(|name| listing.siblings.iter().find(|sibling| sibling.name == name));
        sibling
            .filter(|sibling| stays_inside(&sibling.name))
            .ok_or_else(|| self.no_such_file(&names))
    }

    fn no_such_file(&self, names: &[&str]) -> Failure {
        let models: Vec<&str> = names.iter().copied().filter(|name| is_gguf(name)).collect();
        let repo = &self.repo;
        let problem = match &self.file {
            Some(file) => format!("{repo} has no file {file}"),
            None => format!("{repo} does not say which of its files is the model"),
        };
        Failure::Hub(match models.as_slice() {
            [] => format!(
                "{problem}, and neither a .gguf file nor a {CONFIG} with safetensors; look for a repository with GGUF in its name"
            ),
            some => format!(
                "{problem}. Name one as {repo}:FILE, from:\n  {}",
                some.join("\n  ")
            ),
        })
    }
}

/// The files that hold the weights of a model in safetensors, by its index where it has one.
fn weight_files(folder: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = folder.join(INDEX);
    if !path.is_file() {
        return Ok(vec![WHOLE.to_owned()]);
    }
    let text = files::read_text_bounded(&path, INDEX_LIMIT)?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|error| Failure::Message(format!("{}: {error}", path.display())))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn is_gguf(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

/// A relative name that cannot leave the folder it is joined to, on any system.
fn stays_inside(name: &str) -> bool {
    let odd = |c: char| c == '\\' || c == ':' || c.is_control();
    !name.contains(odd)
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.'))
}

/// Downloads one file of the hub.
pub fn fetch_url(url: &str, label: &str, target: &Path, expected: Expected) -> Result {
    let token = token();
    download(&Request {
        url,
        token: token.as_deref(),
        label,
        target,
        expected,
    })
}

/// The address of a file's contents.
pub fn file_url(repo: &str, revision: &str, file: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    let file: String = file.bytes().map(escape).collect();
    format!("{}/{repo}/resolve/{revision}/{file}", endpoint())
}

/// The sha256 that the hub gives as the tag of a large file, on its own answer and not on that of the host it redirects to.
fn linked_checksum(url: &str) -> Option<String> {
    let mut request = agent(url, 0).ok()?.head(url);
    if let Some(token) = token() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = request.call().ok()?;
    let tag = response
        .headers()
        .get("x-linked-etag")
        .or_else(|| response.headers().get("etag"))?;
    checksum(
        tag.to_str()
            .ok()?
            .trim_start_matches("W/")
            .trim_matches('"'),
    )
}

/// `text` where it is a sha256, in lower case.
fn checksum(text: &str) -> Option<String> {
    let right = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    right.then(|| text.to_lowercase())
}

fn endpoint() -> String {
    let set = std::env::var("HF_ENDPOINT").unwrap_or_default();
    with_scheme(&set)
}

/// The address of a hub as `HF_ENDPOINT` has it, where https:// may be left out; the usual one where that is empty.
fn with_scheme(set: &str) -> String {
    let set = set.trim().trim_end_matches('/');
    match set {
        "" => "https://huggingface.co".to_owned(),
        set if set.contains("://") => set.to_owned(),
        set => format!("https://{set}"),
    }
}

fn token() -> Option<String> {
    std::env::var("HF_TOKEN")
        .ok()
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_paths() {
        let reference = |repo: &str, file: Option<&str>| {
            Some(Reference {
                repo: repo.to_owned(),
                file: file.map(str::to_owned),
            })
        };
        assert_eq!(Reference::parse("a/b"), reference("a/b", None));
        assert_eq!(
            Reference::parse("a/b:c/d.gguf"),
            reference("a/b", Some("c/d.gguf"))
        );
        for text in [
            "a",
            "a/b/c",
            "/a/b",
            "./b",
            "a/",
            "a/b:",
            "a/b:../c",
            "a/b:c//d",
            "C:\\a/b",
            "a/b:/etc/x",
            "../b",
        ] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }

    #[test]
    fn endpoints_may_lack_a_scheme() {
        assert_eq!(with_scheme(" hub.corp.net/hf/ "), "https://hub.corp.net/hf");
        assert_eq!(with_scheme("http://127.0.0.1:80"), "http://127.0.0.1:80");
        assert_eq!(with_scheme("/"), "https://huggingface.co");
    }

    #[test]
    fn addresses_are_escaped() {
        assert!(
            file_url("u/r", "main", "a b/ü?.gguf")
                .ends_with("/u/r/resolve/main/a%20b/%C3%BC%3F.gguf")
        );
    }
}
