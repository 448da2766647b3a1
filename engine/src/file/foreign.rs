//! Guesses what a file that is no GGUF may be instead, by its first bytes, and what to do about it:
//! for a message; nothing is parsed.

use crate::Error;

/// First bytes, what they are the mark of, what to do.
const MARKS: &[(&[u8], &str, &str)] = &[
    (
        b"PK\x03\x04",
        "a zip archive or a PyTorch checkpoint",
        "unpack it, or convert the model to GGUF",
    ),
    (b"\x80\x02", "a PyTorch pickle", "convert the model to GGUF"),
    (
        b"version https://git-lfs",
        "a git-lfs pointer, not the model itself",
        "run `git lfs pull`, or download the file",
    ),
    (b"lmgg", "an old GGML file", "convert the model to GGUF"),
    (b"fmgg", "an old GGMF file", "convert the model to GGUF"),
    (b"tjgg", "an old GGJT file", "convert the model to GGUF"),
    (b"algg", "an old GGML adapter", "convert it to GGUF"),
    (b"\x89HDF", "an HDF5 file", "convert the model to GGUF"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"),
    (
        b"{",
        "JSON: a configuration or a server's error",
        "name the .gguf file, or download it again",
    ),
    (
        b"\0\0\0\0",
        "zeroes: an unfinished download",
        "download it again",
    ),
];

/// The error for a file that does not start as `wanted` does.
pub(super) fn error(head: &[u8], wanted: &str) -> Error {
    let start: Vec<String> = head
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (what, advice) = guess(head);
    Error::bad_file(format!(
        "no {wanted} file: it starts with {}, which looks like {what}; {advice}",
        start.join(" ")
    ))
}

fn guess(head: &[u8]) -> (&'static str, &'static str) {
    // safetensors has no mark: a u64 length, then JSON.
    if head.get(8) == Some(&b'{') {
        return ("safetensors", "convert the model to GGUF");
    }
    let text = head.trim_ascii_start();
    if starts_with(text, b"<!doctype") || starts_with(text, b"<html") {
        return (
            "a web page",
            "the link may need a login; download the file itself",
        );
    }
    let mark = MARKS.iter().find(|(mark, ..)| head.starts_with(mark));
    mark.map_or(
        ("nothing known here", "check that the download is whole"),
        |&(_, what, advice)| (what, advice),
    )
}

fn starts_with(text: &[u8], mark: &[u8]) -> bool {
    text.get(..mark.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(mark))
}
