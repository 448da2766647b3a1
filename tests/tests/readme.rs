//! What the README says that runs is what the tables say, and what the references cover.

use std::{fs, path::Path};

use lantern_engine::{LoadOptions, ModelFile, file::Source, model::families::FAMILIES};
use lantern_kernels::{FORMATS, Format, formats::Order};

use crate::{
    references,
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

/// Families down, stored types across. A cross is a model of that family, its matrices of that type, for which a plan was
/// made; that the two sides of it compute right is what the references say, where a family and a type have theirs.
fn table() -> String {
    let gpu = adapters::open(&adapters::main());
    let upper = |format: &Format| format.name.to_uppercase();
    let mut lines = Vec::new();
    let row = |first: &str, cell: &dyn Fn(&Format) -> String| {
        let cells = FORMATS.iter().map(|format| format!(" {} |", cell(format)));
        format!("| {first} |{}", cells.collect::<Vec<_>>().concat())
    };
    lines.push(row("family, and other names of it", &|format| {
        let name = upper(format);
        let there = references::FORMATS.contains(&name.as_str());
        assert!(there, "{name} has no reference");
        name
    }));
    lines.push(format!("|---|{}", "---|".repeat(FORMATS.len())));
    for family in FAMILIES {
        let mut files = references::FAMILIES.iter();
        let file = files.find(|name| architecture(name) == family.name);
        let file = open(file.unwrap_or_else(|| panic!("{} has no reference", family.name)));
        let names: Vec<&str> = [family.name]
            .iter()
            .chain(family.aliases)
            .copied()
            .collect();
        lines.push(row(&names.join(", "), &|format| {
            let model = wider(&file, format);
            for width in [1, 32] {
                let plan = model.plan(&gpu, &LoadOptions::default(), width);
                let plan = plan.unwrap_or_else(|e| panic!("{} {}: {e}", family.name, format.name));
                assert!(plan.dispatches.len() > 10);
            }
            "×".to_owned()
        }));
    }
    let bits = |bytes: f64| format!("{:.2}", bytes * 8.0);
    lines.push(row("bits a weight in the file", &|format| {
        bits(f64::from(format.bytes) / f64::from(format.block))
    }));
    lines.push(row("on the GPU", &|format| {
        let planes = 0..format.planes.len();
        let bytes: u64 = planes
            .map(|plane| format.plane_bytes(Order::Rows, plane, 16, 4096))
            .sum();
        bits(bytes as f64 / (16.0 * 4096.0))
    }));
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

fn open(name: &str) -> ModelFile {
    ModelFile::open(&folder("families").join(format!("{name}.gguf"))).unwrap()
}

fn architecture(name: &str) -> String {
    let file = open(name);
    let text = file.metadata().text("general.architecture").unwrap();
    text.unwrap().to_owned()
}

#[test]
fn the_readme_says_what_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let start = readme.find(START).expect("the table's start") + START.len();
    let end = readme.find(END).expect("the table's end");
    let table = table();
    if std::env::var_os("LANTERN_BLESS").is_some() {
        fs::write(&path, [&readme[..start], &table, &readme[end..]].concat()).unwrap();
        return;
    }
    assert_eq!(&readme[start..end], table, "LANTERN_BLESS=1 writes it anew");
}
