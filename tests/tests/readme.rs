//! The README's sentences on what runs are those of the engine's tables, and the references cover them.

use std::{collections::BTreeMap, fs, path::Path};

use lantern_engine::{
    LoadOptions, ModelFile,
    file::Source,
    internals::{ENCODERS, FAMILIES, STATE_SPACES},
};
use lantern_kernels::{FORMATS, Format};

use crate::{
    blocks, references,
    support::{
        adapters,
        copies::metadata_of,
        gguf::{self, Gguf},
        models::folder,
    },
};

const START: &str =
    "<!-- what runs: `LANTERN_BLESS=1 cargo nextest run -E 'test(readme)'` writes it -->\n";
const END: &str = "<!-- end of what runs -->";
const LAB_START: &str = "<!-- where it ran: tests/results/lab.json; the same test writes it -->\n";
const LAB_END: &str = "<!-- end of where it ran -->";

/// Families and stored types that run: of each family of `families/` a model was planned in each type, of a newer one its
/// reference file. That both sides of a plan compute right is what the references say.
fn sentences() -> String {
    let gpu = adapters::open(&adapters::main());
    let mut families = Vec::new();
    for family in FAMILIES.iter().chain(STATE_SPACES).chain(ENCODERS) {
        let planned = |model: &ModelFile| {
            for width in [1, 32] {
                let plan = model.plan(&gpu, &LoadOptions::default(), width);
                let plan = plan.unwrap_or_else(|e| panic!("{}: {e}", family.name));
                assert!(plan.dispatches.len() > 10);
            }
        };
        let of = |kind: &'static str, names: &[&'static str]| {
            let mut names = names.iter();
            let found = names.find(|name| architecture(kind, name) == family.name);
            found.map(|name| open(kind, name))
        };
        if let Some(file) = of("families", references::FAMILIES) {
            for format in FORMATS {
                planned(&wider(&file, format));
            }
        } else {
            let file = of("families-2026", references::FAMILIES_2026)
                .or_else(|| of("families-2026", references::ENCODERS));
            planned(&file.unwrap_or_else(|| panic!("{} has no reference", family.name)));
        }
        families.push(match family.aliases {
            [] => family.name.to_owned(),
            others => format!("{} (also {})", family.name, others.join(", ")),
        });
    }
    let types: Vec<String> = FORMATS.iter().map(|f| f.name.to_uppercase()).collect();
    for name in &types {
        let there = [references::FORMATS, blocks::TYPES]
            .concat()
            .contains(&name.as_str());
        assert!(there, "{name} has no reference");
    }
    let encoders = families.split_off(families.len() - ENCODERS.len());
    let all = format!(
        "Families: {}; encoders: {}; each in any of the stored types {}.",
        families.join(", "),
        encoders.join(", "),
        types.join(", ")
    );
    wrapped(&all)
}

/// Lines of at most 118 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= 118 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n") + "\n"
}

/// A model of the same shape, 16 times as wide, so that its rows are blocks of every type; matrices are of one, and zeros.
fn wider(file: &ModelFile, format: &Format) -> ModelFile {
    const WIDTHS: [&str; 6] = [
        ".embedding_length",
        ".feed_forward_length",
        ".key_length",
        ".value_length",
        ".dimension_count",
        ".expert_feed_forward_length",
    ];
    let mut metadata = metadata_of(file);
    for (key, bytes) in &mut metadata {
        let key = std::str::from_utf8(key).unwrap();
        if WIDTHS.iter().any(|width| key.ends_with(width)) {
            let width = file.metadata().u32(key).unwrap().unwrap();
            *bytes = gguf::value(gguf::U32, &(16 * width).to_le_bytes());
        }
    }
    let (mut tensors, mut data) = (Vec::new(), 0);
    for t in file.tensors() {
        let vocabulary = ["token_embd.weight", "output.weight"].contains(&t.name.as_str());
        let rows_stay = vocabulary
            || ["position_embd", "gate_inp"]
                .iter()
                .any(|n| t.name.contains(n));
        let widened = if rows_stay { 1 } else { 2 };
        let mut shape = t.shape.clone();
        shape.iter_mut().take(widened).for_each(|size| *size *= 16);
        let matrix = shape.len() > 1 && !t.name.contains("gate_inp");
        let (kind, block, bytes) = if matrix {
            (format.ggml, format.block, format.bytes)
        } else {
            (0, 1, 4)
        };
        tensors.push(gguf::tensor(&t.name, &shape, kind, data));
        let weights: u64 = shape.iter().product();
        data += (weights / u64::from(block) * u64::from(bytes)).next_multiple_of(32);
    }
    let header = Gguf {
        metadata,
        tensors,
        data: data as usize,
        ..Gguf::sound()
    };
    ModelFile::from_source(Source::from_bytes(header.bytes())).unwrap()
}

fn open(kind: &str, name: &str) -> ModelFile {
    ModelFile::open(&folder(kind).join(format!("{name}.gguf"))).unwrap()
}

fn architecture(kind: &str, name: &str) -> String {
    let file = open(kind, name);
    let text = file.metadata().text("general.architecture").unwrap();
    text.unwrap().to_owned()
}

/// Table of where the lab ran Lantern, a row for each of its steps, from the file of its results.
fn lab() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/lab.json");
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<BTreeMap<String, String>> = serde_json::from_str(&text).unwrap();
    assert!(rows.len() >= 4, "{} results", rows.len());
    let row = |row: &BTreeMap<String, String>| {
        let fields = ["step", "on", "did", "result", "date"].map(|name| row[name].as_str());
        format!("| {} |\n", fields.join(" | "))
    };
    let rows: String = rows.iter().map(row).collect();
    format!("| step | on | what ran | result | date |\n|---|---|---|---|---|\n{rows}")
}

#[test]
fn the_readme_says_what_runs_and_where() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    for (start, end, text) in [(START, END, sentences()), (LAB_START, LAB_END, lab())] {
        let readme = fs::read_to_string(&path).unwrap();
        let first = readme.find(start).expect(start) + start.len();
        let last = readme.find(end).expect(end);
        if std::env::var_os("LANTERN_BLESS").is_some() {
            fs::write(&path, [&readme[..first], &text, &readme[last..]].concat()).unwrap();
        } else {
            let held = &readme[first..last];
            assert_eq!(held, text, "LANTERN_BLESS=1 writes it anew");
        }
    }
}
