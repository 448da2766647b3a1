//! A hub in a thread: one repository, `tiny/model`, with files of known bytes, and the faults that a test asks for.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Fault of the hub, or another way of answering.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Every connection that sends the file closes after this many bytes of it.
    CutAfter(usize),
    /// Ranges are ignored, each answer starts at 0.
    NoRanges,
    /// The listing's checksum is another file's.
    WrongChecksum,
    /// The listing has no checksum; it is in the headers of the file's address, which redirects.
    ChecksumInHeader,
    /// Every answer is this status.
    Status(u16),
    /// The first answers, so many, are this status, with the wish to be asked again after so many seconds.
    Busy(u16, usize, u64),
    /// A web page stands where the listing or the files are, or only where the files are.
    Page {
        listing: bool,
    },
    /// The listing is compressed.
    Gzip,
    /// Connections begin as those to a SOCKS5 proxy.
    Socks,
}

/// A running hub. Its thread ends with the test's process.
pub struct Hub {
    pub endpoint: String,
    pub requests: Arc<Mutex<Vec<String>>>,
}

/// The contents of the model file.
pub fn contents() -> Vec<u8> {
    (0..100_000_u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

/// The one file whose contents matter to whoever fetches it.
pub const INDEX: &str = "model.safetensors.index.json";
/// Its contents.
pub const INDEX_TEXT: &str = r#"{"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}"#;

/// The sha256 of [`contents`], as `sha256sum` says.
pub const SHA256: &str = "6899be7bb4c845a914bb47265b1124653015b95fe6fd02aaa9c2a7241392b9a6";

impl Hub {
    /// Serves the files `names`, each with the same contents.
    pub fn start(names: &'static [&'static str], fault: Fault) -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, names, fault, &seen); // a client that leaves is no fault of the hub
            }
        });
        Hub { endpoint, requests }
    }

    /// The requests so far, each as `METHOD PATH` and, where there was one, ` range=…` and ` token=…`.
    pub fn seen(&self) -> Vec<String> {
        self.requests
            .lock()
            .expect("no test panicked while writing")
            .clone()
    }
}

fn answer(
    mut stream: TcpStream,
    names: &[&str],
    fault: Fault,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    if fault == Fault::Socks {
        let host = socks(&mut reader, &mut stream)?;
        seen.lock()
            .expect("no test panicked while writing")
            .push(format!("SOCKS {host}"));
    }
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut range, mut token) = (None, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_lowercase().as_str() {
            "range" => range = Some(value.to_owned()),
            "authorization" => token = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut entry = format!("{method} {path}");
    for (name, value) in [("range", &range), ("token", &token)] {
        if let Some(value) = value {
            let _ = write!(entry, " {name}={value}");
        }
    }
    let before = {
        let mut seen = seen.lock().expect("no test panicked while writing");
        seen.push(entry);
        seen.len() - 1
    };
    // A proxy gets the whole address.
    let path = path.strip_prefix("http://hub.test").unwrap_or(path);
    let fault = match fault {
        Fault::Busy(status, count, seconds) if before < count => {
            return write!(
                stream,
                "HTTP/1.1 {status} Busy\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        other => other,
    };
    respond(stream, method, path, range.as_deref(), names, fault)
}

fn respond(
    mut stream: TcpStream,
    method: &str,
    path: &str,
    range: Option<&str>,
    names: &[&str],
    fault: Fault,
) -> std::io::Result<()> {
    if let Fault::Status(status) = fault {
        return write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let listed = path.starts_with("/api/models/tiny/model");
    if let Fault::Page { listing } = fault
        && (listing || !listed)
    {
        let page = "<!doctype html><title>Log in</title>";
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
            page.len()
        );
    }
    if listed && fault == Fault::Gzip {
        let body = gzip(listing(names, fault).as_bytes());
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )?;
        return stream.write_all(&body);
    }
    if listed {
        let text = listing(names, fault);
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
    }
    let moved = path.starts_with("/moved/");
    let named = |name: &&str| path.ends_with(&format!("/{}", name.replace(' ', "%20")));
    let known = names.iter().any(named);
    if !known {
        return write!(
            stream,
            "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if fault == Fault::ChecksumInHeader && !moved {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /moved{path}\r\nX-Linked-Etag: \"{SHA256}\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if method == "HEAD" {
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nETag: \"no-checksum\"\r\nConnection: close\r\n\r\n"
        );
    }
    let all = if path.ends_with(INDEX) {
        INDEX_TEXT.as_bytes().to_vec()
    } else {
        contents()
    };
    send(&mut stream, &all, range, fault)
}

fn send(
    stream: &mut TcpStream,
    all: &[u8],
    range: Option<&str>,
    fault: Fault,
) -> std::io::Result<()> {
    let from = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let from: usize = if fault == Fault::NoRanges {
        0
    } else {
        from.unwrap_or(0)
    };
    let part = &all[from.min(all.len())..];
    if from > 0 {
        let (last, len) = (all.len() - 1, all.len());
        write!(
            stream,
            "HTTP/1.1 206 Part\r\nContent-Range: bytes {from}-{last}/{len}\r\n"
        )?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
    }
    write!(
        stream,
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        part.len()
    )?;
    let sent = if let Fault::CutAfter(count) = fault {
        &part[..count.min(part.len())]
    } else {
        part
    };
    stream.write_all(sent)
}

/// The start of a SOCKS5 connection without a password (RFC 1928); the host that is asked for.
fn socks(reader: &mut impl Read, stream: &mut TcpStream) -> std::io::Result<String> {
    let mut read = |count: usize| {
        let mut bytes = vec![0; count];
        reader.read_exact(&mut bytes).map(|()| bytes)
    };
    let methods = read(2)?[1];
    read(methods.into())?;
    stream.write_all(&[5, 0])?;
    let length = read(5)?[4];
    let host = String::from_utf8_lossy(&read(length.into())?).into_owned();
    read(2)?; // the port
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(host)
}

/// A gzip file of one stored block (RFC 1951, 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    let length = u16::try_from(bytes.len()).expect("a short text");
    let mut file = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(bytes);
    file.extend((!crc).to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file
}

fn listing(names: &[&str], fault: Fault) -> String {
    let sha256 = if fault == Fault::WrongChecksum {
        "0".repeat(64)
    } else {
        SHA256.to_owned()
    };
    let len = contents().len();
    let file = |name: &&str| match fault {
        _ if *name == INDEX => {
            format!(r#"{{"rfilename": "{name}", "size": {}}}"#, INDEX_TEXT.len())
        }
        Fault::ChecksumInHeader => format!(r#"{{"rfilename": "{name}", "size": {len}}}"#),
        _ => format!(
            r#"{{"rfilename": "{name}", "size": {len}, "lfs": {{"sha256": "{sha256}", "size": {len}}}}}"#
        ),
    };
    let files: Vec<String> = names.iter().map(file).collect();
    format!(
        r#"{{"id": "tiny/model", "sha": "abc123", "siblings": [{}]}}"#,
        files.join(",")
    )
}
