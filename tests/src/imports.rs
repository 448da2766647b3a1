//! Which file of the engine takes names from which: read off `use` items, as text. Re-exports count as the file that they
//! name; what stands only in tests does not count.

use std::collections::{BTreeMap, BTreeSet};

use crate::scan::Source;

/// Folder whose files are read.
const ENGINE: &str = "engine/src/";

/// Arrow from one file to another that it takes names from; paths below `engine/src/`.
pub type Arrow = (String, String);

/// Every arrow between the engine's files.
pub fn arrows(sources: &[Source]) -> BTreeSet<Arrow> {
    let engine = Engine::read(sources);
    let mut all = BTreeSet::new();
    for (path, text) in &engine.files {
        for (public, names) in uses(text) {
            // What a parent hands on is an arrow of those who take it, not of the parent.
            if public && is_parent(path) {
                continue;
            }
            let target = engine.file_of(&absolute(path, &names), 0);
            all.extend(
                target
                    .filter(|t| t != path)
                    .map(|target| (path.clone(), target)),
            );
        }
    }
    all
}

/// The room of a file: the folder it lies in, or the file itself.
pub fn room(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Files that take names from each other in a circle, each circle in the order of paths.
pub fn circles(arrows: &BTreeSet<Arrow>) -> Vec<Vec<String>> {
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        reach.entry(from).or_default().insert(to);
    }
    loop {
        let mut grown = false;
        let files: Vec<&str> = reach.keys().copied().collect();
        for file in files {
            let near: Vec<&str> = reach[file].iter().copied().collect();
            let far: BTreeSet<&str> = near
                .iter()
                .filter_map(|next| reach.get(next))
                .flatten()
                .copied()
                .collect();
            let own = reach.entry(file).or_default();
            let before = own.len();
            own.extend(far);
            grown |= own.len() > before;
        }
        if !grown {
            break;
        }
    }
    let reaches = |a: &str, b: &str| reach.get(a).is_some_and(|all| all.contains(b));
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for &file in reach.keys().filter(|&&file| reaches(file, file)) {
        let together = reach
            .keys()
            .filter(|&&b| reaches(file, b) && reaches(b, file));
        found.insert(together.map(ToString::to_string).collect());
    }
    found.into_iter().collect()
}

struct Engine {
    /// Text by path below `engine/src/`.
    files: BTreeMap<String, String>,
}

impl Engine {
    fn read(sources: &[Source]) -> Engine {
        let own = sources.iter().filter(|source| source.is("rs"));
        let own = own.filter_map(|source| {
            let path = source.path.strip_prefix(ENGINE)?;
            let text = source.text.split("#[cfg(test)]\nmod ").next()?;
            Some((path.to_owned(), text.to_owned()))
        });
        Engine {
            files: own.collect(),
        }
    }

    /// The file that a path from the crate's root names something of.
    fn file_of(&self, names: &[String], depth: usize) -> Option<String> {
        for count in (0..=names.len()).rev() {
            let stem = names[..count].join("/");
            let candidates = match count {
                0 => vec!["lib.rs".to_owned()],
                _ => vec![format!("{stem}.rs"), format!("{stem}/mod.rs")],
            };
            let Some(file) = candidates.into_iter().find(|f| self.files.contains_key(f)) else {
                continue;
            };
            let name = names.get(count)?;
            if is_parent(&file) && depth < 8 {
                for (public, path) in uses(&self.files[&file]) {
                    if public && path.last() == Some(name) {
                        return self.file_of(&absolute(&file, &path), depth + 1);
                    }
                }
            }
            return (file != "lib.rs").then_some(file);
        }
        None
    }
}

fn is_parent(path: &str) -> bool {
    path == "lib.rs" || path.ends_with("mod.rs")
}

/// The modules that a file is, from the crate's root.
fn modules(path: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let names = stem
        .split('/')
        .filter(|name| !["mod", "lib"].contains(name));
    names.map(str::to_owned).collect()
}

/// A path as it stands in a file, from the crate's root; empty where it names another crate.
fn absolute(path: &str, names: &[String]) -> Vec<String> {
    let mut own = modules(path);
    match names.first().map(String::as_str) {
        Some("crate") => names[1..].to_vec(),
        Some("self") => own.into_iter().chain(names[1..].to_vec()).collect(),
        Some("super") => {
            let ups = names.iter().take_while(|name| *name == "super").count();
            own.truncate(own.len().saturating_sub(ups));
            own.into_iter().chain(names[ups..].to_vec()).collect()
        }
        // A parent names its own modules without `self`.
        Some(_) if is_parent(path) => own.into_iter().chain(names.to_vec()).collect(),
        _ => vec![],
    }
}

/// The paths of all `use` items, and whether each is handed on.
fn uses(text: &str) -> Vec<(bool, Vec<String>)> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let before = &rest[..at];
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let item = &rest[at + 4..];
        let end = item.find(';').unwrap_or(item.len());
        let public = line.starts_with("pub");
        if line.is_empty() || public && !line.contains(' ') || line.starts_with("pub(") {
            let tree = item[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            flatten(&tree, &[], &mut |path| all.push((public, path)));
        }
        rest = &item[end..];
    }
    all
}

/// Each path of a tree such as `a::{b, c::{d, e as f}}`.
fn flatten(tree: &str, prefix: &[String], each: &mut impl FnMut(Vec<String>)) {
    let tree = tree.trim();
    if let Some((head, group)) = tree.split_once('{') {
        let mut prefix = prefix.to_vec();
        let names = head
            .split("::")
            .map(str::trim)
            .filter(|name| !name.is_empty());
        prefix.extend(names.map(str::to_owned));
        let group = group.strip_suffix('}').unwrap_or(group);
        let (mut depth, mut start) = (0, 0);
        for (index, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    flatten(&group[start..index], &prefix, each);
                    start = index + 1;
                }
                _ => {}
            }
        }
        flatten(&group[start..], &prefix, each);
        return;
    }
    if tree.is_empty() {
        return;
    }
    let name = tree.split(" as ").next().unwrap_or(tree);
    let names = name.split("::").map(|name| name.trim().to_owned());
    let own = names.filter(|name| name != "self" || prefix.is_empty());
    each(prefix.iter().cloned().chain(own).collect());
}
