//! `lantern report`: results of `bench`, from here or from browsers, as one page or one text. Who reads a result of someone
//! else's reads their text: it is cut, freed of control characters, and escaped on its way out.

mod charts;
mod figures;
mod html;
mod markdown;
mod tables;

use std::path::{Path, PathBuf};

use crate::{
    failure::{Failure, Result},
    files, notes, output,
    results::{self, Found},
};

/// `report`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Results of `lantern bench --json`, or of a browser
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write a page (.html) or Markdown (.md) to this file; - or md is Markdown on stdout
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Markdown,
}

/// Reads, and writes.
pub fn run(args: &Args) -> Result {
    let format = format_of(&args.output)?; // before any reading
    let mut found = Vec::new();
    for file in &args.files {
        found.extend(results::read(file)?);
    }
    let results = Results::of(&found);
    let text = match format {
        Format::Html => html::page(&results)?,
        Format::Markdown => markdown::text(&results),
    };
    if is_stdout(&args.output) {
        return output::text(&text);
    }
    files::write_whole(&args.output, |file| {
        file.write_all(text.as_bytes())
            .map_err(|error| Failure::io(&args.output, error))
    })?;
    let (path, kib) = (args.output.display(), text.len().div_ceil(1024));
    notes::note(&format!("{path}: {kib} KiB"));
    Ok(())
}

/// The names that stand for Markdown on stdout.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || path == Path::new("md")
}

fn format_of(path: &Path) -> Result<Format> {
    if is_stdout(path) {
        return Ok(Format::Markdown);
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("html" | "htm") => Ok(Format::Html),
        Some("md" | "markdown") => Ok(Format::Markdown),
        _ => {
            let problem = format!("-o {}: a report is .html or .md", path.display());
            Err(Failure::Usage(problem))
        }
    }
}

/// The results of a report, each with a letter.
#[derive(Debug)]
struct Results<'a> {
    all: Vec<(String, &'a Found)>,
    /// They are of several models, or of models loaded in several ways.
    mixed: bool,
}

impl<'a> Results<'a> {
    fn of(found: &'a [Found]) -> Results<'a> {
        let lettered = |(index, found)| (letters(index), found);
        let all: Vec<_> = found.iter().enumerate().map(lettered).collect();
        let mixed = found.iter().any(|other| kind(other) != kind(&found[0]));
        Results { all, mixed }
    }

    /// The results that can be held against each other: those of the same weights, loaded alike.
    fn groups(&self) -> Vec<(String, Vec<Numbered<'a>>)> {
        let mut groups: Vec<(_, String, Vec<_>)> = Vec::new();
        for (index, (letter, found)) in self.all.iter().enumerate() {
            let kind = kind(found);
            let one = Numbered {
                index,
                letter: letter.clone(),
                found,
            };
            match groups.iter_mut().find(|(there, ..)| *there == kind) {
                Some((.., group)) => group.push(one),
                None => groups.push((kind, what(found), vec![one])),
            }
        }
        let named = |(_, name, group)| (name, group);
        groups.into_iter().map(named).collect()
    }

    /// Facts that a reader has to know before the figures, a line each.
    fn summary(&self) -> Vec<String> {
        let count = |noun, mut names: Vec<String>| {
            names.sort();
            names.dedup();
            let shown = names.iter().take(4).map(|name| shown(name));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = if names.len() > 4 { ", …" } else { "" };
            format!("{noun}: {shown}{more}")
        };
        let each = |of: fn(&Found) -> String| self.all.iter().map(|(_, found)| of(found)).collect();
        let models = count("Model", each(|found| found.report.model.name.clone()));
        let loadings = count("Loaded", each(|found| results::loading(&found.report)));
        let adapters = count("Adapter", each(|found| results::adapter(&found.report)));
        let mut lines = vec![models, loadings, adapters];
        if self.mixed {
            lines.push(
                "These results are of several models, or of models loaded in several ways, which the columns say: speeds of unlike things are no \
                 comparison. Each has charts of its own."
                    .to_owned(),
            );
        }
        let any = |is: fn(&Found) -> bool| self.all.iter().any(|(_, found)| is(found));
        if any(|found| found.report.model.synthetic) {
            lines
                .push("A model here has random weights: only its speed means anything.".to_owned());
        }
        if any(|found| found.report.adapter.kind == "software") {
            lines.push(
                "An adapter here is software, on the CPU: its speeds say little of any GPU."
                    .to_owned(),
            );
        }
        lines
    }
}

/// A result among all.
#[derive(Debug)]
struct Numbered<'a> {
    index: usize,
    letter: String,
    found: &'a Found,
}

fn kind(found: &Found) -> (&str, String) {
    let report = &found.report;
    (&report.model.weights_xxh3, results::loading(report))
}

fn what(found: &Found) -> String {
    let (report, loading) = (&found.report, results::loading(&found.report));
    format!("{}, {loading}", shown(&report.model.name))
}

/// A, B, … Z, AA, AB, …
fn letters(index: usize) -> String {
    let last = char::from(b'A' + (index % 26) as u8).to_string();
    match index / 26 {
        0 => last,
        more => letters(more - 1) + &last,
    }
}

/// A text from a file, cut, and without control characters.
fn shown(text: &str) -> String {
    const LENGTH_MAX: usize = 160;
    notes::visible(text, LENGTH_MAX, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn the_name_of_the_file_says_what_is_written() {
        let format = |name: &str| format_of(Path::new(name));
        assert_eq!(format("-").unwrap(), Format::Markdown);
        assert_eq!(format("md").unwrap(), Format::Markdown);
        assert_eq!(format("a.HTML").unwrap(), Format::Html);
        assert_eq!(format("a.md").unwrap(), Format::Markdown);
        assert_eq!(format("a.json").unwrap_err().code(), 2);
    }

    #[test]
    fn unlike_results_are_apart_and_said_to_be() {
        let (one, mut other) = (sample::found(), sample::found());
        other.report.model.weights_xxh3 = "ff".to_owned();
        let found = [one.clone(), other, one];
        let results = Results::of(&found);
        let groups = results.groups();
        let indices = |group: usize| groups[group].1.iter().map(|one| one.index);
        assert!(indices(0).eq([0, 2]) && indices(1).eq([1]));
        let said = |results: &Results| results.summary().join(" ").contains("several models");
        assert!(said(&results) && !said(&Results::of(&found[..1])));
    }

    #[test]
    fn letters_go_on_after_z() {
        assert_eq!([0, 25, 26, 27].map(letters), ["A", "Z", "AA", "AB"]);
    }
}
