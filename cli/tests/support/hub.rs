//! A hub in a thread: one repository, `tiny/model`, with files of known bytes, and the faults that a test asks for.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
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
    stream: TcpStream,
    names: &[&str],
    fault: Fault,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
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
    seen.lock()
        .expect("no test panicked while writing")
        .push(entry);
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
    if path.starts_with("/api/models/tiny/model") {
        let text = listing(names, fault);
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
    }
    let moved = path.starts_with("/moved/");
    let known = names
        .iter()
        .any(|name| path.ends_with(&format!("/{}", name.replace(' ', "%20"))));
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
