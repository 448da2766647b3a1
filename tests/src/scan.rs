//! Reads sources as text: what the invariant tests ask. Rough on purpose (no parser), and tested on bad samples below.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file of the checkout: its path from the root with `/` between the parts, and its text.
#[derive(Debug, Clone)]
pub struct Source {
    /// `kernels/src/norm.rs`
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// A source made up for a test.
    pub fn new(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether the path ends in `.` and the extension.
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// The checkout's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the checkout")
        .to_path_buf()
}

/// Every text file that git tracks, or would if it were added. Files with a zero byte are no text.
pub fn sources() -> Vec<Source> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .expect("git lists the sources: install git");
    assert!(
        listed.status.success(),
        "git cannot list the sources of {}: {}",
        root().display(),
        String::from_utf8_lossy(&listed.stderr)
    );
    let names = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let read = |name: &str| {
        let bytes = fs::read(root().join(name)).ok()?; // a tracked file may have been deleted
        let text = String::from_utf8(bytes).ok()?;
        (!text.contains('\0')).then(|| Source {
            path: name.to_owned(),
            text,
        })
    };
    names
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(read)
        .collect()
}

/// `path:line: text` of every line of code that has one of the words. Comments do not count; a word that
/// starts in the middle of a longer name does not count either.
pub fn lines_with<'a>(
    sources: impl IntoIterator<Item = &'a Source>,
    words: &[&str],
) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (i, line) in source.text.lines().enumerate() {
            if words.iter().any(|word| has_word(code_of(line), word)) {
                found.push(format!("{}:{}: {}", source.path, i + 1, line.trim()));
            }
        }
    }
    found
}

/// The line without a `//` comment. A `//` in a string cuts too much, which is rare and harmless here.
fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn has_word(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let in_a_name = line[..at].chars().next_back().is_some_and(is_name);
        !(in_a_name && word.starts_with(is_name))
    })
}

/// Whether a Cargo manifest names the package as a dependency, of whatever kind, also as `NAME.workspace` or `[….NAME]`.
pub fn depends_on(manifest: &str, package: &str) -> bool {
    manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .any(|line| {
            let header = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'));
            if let Some(header) = header {
                return header.contains("dependencies") && header.ends_with(&format!(".{package}"));
            }
            let Some((key, value)) = line.split_once('=') else {
                return false;
            };
            let name = key
                .trim()
                .split('.')
                .next()
                .unwrap_or(key)
                .trim_matches('"');
            name == package || value.contains(&format!("package = \"{package}\""))
        })
}

/// A function too long, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Long {
    /// `path:line name`
    pub place: String,
    /// Its lines, the first and the last included.
    pub lines: usize,
}

/// Functions of a Rust or WGSL file with more than `max` lines. Leans on the formatter: a body ends with the first `}`
/// that is indented as the line with `fn` is.
pub fn long_functions(source: &Source, max: usize) -> Vec<Long> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let last = lines[start..]
            .iter()
            .position(|line| ends_function(line, indent));
        let length = last.map_or(lines.len() - start, |last| last + 1);
        if length > max {
            found.push(Long {
                place: format!("{}:{} {name}", source.path, start + 1),
                lines: length,
            });
        }
    }
    found
}

/// The name in a line that starts a function.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = code_of(line).split_once("fn ")?;
    let before_is_qualifiers = before.split_whitespace().all(|word| {
        word.starts_with("pub")
            || word.starts_with('"')
            || matches!(word, "async" | "const" | "unsafe" | "extern")
            || (word.starts_with('@') && source_attribute(word))
            || word.ends_with(')') // in `pub(in path)`, `@workgroup_size(LANES, 1)`
    });
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (before_is_qualifiers && end > 0).then(|| &after[..end])
}

/// WGSL writes `@compute` and the like before `fn`.
fn source_attribute(word: &str) -> bool {
    word.chars().nth(1).is_some_and(char::is_alphabetic)
}

/// A closing brace, or the semicolon of a declaration without a body, at the function's own indentation.
fn ends_function(line: &str, indent: usize) -> bool {
    let text = line.trim();
    let same_indent = line.len() - line.trim_start().len() == indent;
    same_indent && !text.is_empty() && (text.ends_with('}') || text.ends_with(';'))
}

/// Places where one of the names stands. Each name may be followed by a rest that makes it harmless.
pub fn names_in(source: &Source, names: &[(String, &str)]) -> Vec<String> {
    let text = source.text.to_lowercase();
    let mut found = Vec::new();
    for (name, harmless) in names {
        for (at, _) in text.match_indices(name.as_str()) {
            let rest = &text[at + name.len()..];
            if harmless.is_empty() || !rest.starts_with(harmless) {
                let line = text[..at].matches('\n').count() + 1;
                found.push(format!("{}:{line}: {name}", source.path));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_code_only_and_whole() {
        let text = "fn a() { print!(\"\") }\n// print!(no)\neprint!(\"\");\nlet x = 1; // print!\nstd::print!()";
        let found = lines_with([&Source::new("a.rs", text)], &["print!"]);
        assert_eq!(
            found,
            ["a.rs:1: fn a() { print!(\"\") }", "a.rs:5: std::print!()"]
        );
        assert_eq!(
            lines_with([&Source::new("a.rs", "#[cfg(any(x))]")], &["(any("]).len(),
            1
        );
    }

    #[test]
    fn dependencies_are_found_in_every_form() {
        let forms = [
            "[dependencies]\nwgpu = \"30\"",
            "wgpu.workspace = true",
            "  \"wgpu\" = { version = \"30\" }",
            "gpu = { package = \"wgpu\", version = \"30\" }",
            "[dev-dependencies.wgpu]",
            "[target.'cfg(unix)'.dependencies.wgpu]",
        ];
        for form in forms {
            assert!(depends_on(form, "wgpu"), "{form}");
        }
        for other in [
            "# wgpu = \"30\"",
            "wgpu-types = \"30\"",
            "[package.wgpu]",
            "description = \"no wgpu\"",
            "naga = \"30\"",
        ] {
            assert!(!depends_on(other, "wgpu"), "{other}");
        }
    }

    #[test]
    fn a_long_function_is_found_whatever_stands_before_its_name() {
        let body = "    x;\n".repeat(8);
        for head in [
            "fn f() {",
            "pub(crate) const fn f(",
            "    pub async fn f<T>(",
            "@compute @workgroup_size(LANES, 1) fn f(",
        ] {
            let indent = " ".repeat(head.len() - head.trim_start().len());
            let body = body.replace("    x", &format!("{indent}    x"));
            let source = Source::new("a.rs", &format!("\n{head}\n{body}{indent}}}\nlast;\n"));
            let expected = Long {
                place: "a.rs:2 f".to_owned(),
                lines: 10,
            };
            assert_eq!(long_functions(&source, 9), [expected], "{head}");
            assert_eq!(long_functions(&source, 10), []);
        }
    }

    #[test]
    fn short_functions_and_declarations_end_where_they_end() {
        let text = "fn a() {}\nfn b();\nlet fn_ = 1;\n    fn c(\n        x: u32,\n    ) -> u32;\n// fn d()\nlet f: fn (u32) = a;\n\n\n\n\n\n";
        assert_eq!(long_functions(&Source::new("a.rs", text), 3), []);
        let open = Source::new("a.rs", "fn never_closed() {\n  x\n  y\n");
        assert_eq!(long_functions(&open, 2).len(), 1);
    }

    #[test]
    fn names_are_found_but_for_their_harmless_form() {
        let names = [
            ("example.org".to_owned(), "-index"),
            ("host.net".to_owned(), ""),
        ];
        let source = Source::new(
            "a.md",
            "x\nhttps://Example.org/a\nexample.org-index\nhost.net\n",
        );
        assert_eq!(
            names_in(&source, &names),
            ["a.md:2: example.org", "a.md:4: host.net"]
        );
    }

    #[test]
    fn the_sources_of_this_checkout_are_listed() {
        let sources = sources();
        assert!(
            sources
                .iter()
                .any(|source| source.path == "tests/src/scan.rs")
        );
        assert!(
            !sources
                .iter()
                .any(|source| source.is("gguf") || source.path.starts_with("target/"))
        );
    }
}
