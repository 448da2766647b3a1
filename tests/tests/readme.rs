//! What the README says that runs is what the tables say, and what the references cover.

use std::{fs, path::Path};

use lantern_engine::{ModelFile, model::families::FAMILIES};
use lantern_kernels::{FORMATS, Format, formats::Order};

use crate::{references, support::models::folder};

const START: &str =
    "<!-- what runs: `LANTERN_BLESS=1 cargo nextest run -E 'test(readme)'` writes it -->\n";
const END: &str = "<!-- end of what runs -->";

/// Families down, stored types across: any of them meets any, since a type is decoded in one place.
fn table() -> String {
    let mut lines = vec![
        "| family (`general.architecture`) | also | reference files |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for family in FAMILIES {
        let files: Vec<&str> = references::FAMILIES
            .iter()
            .copied()
            .filter(|name| architecture(name) == family.name)
            .collect();
        assert!(!files.is_empty(), "{} has no reference", family.name);
        lines.push(format!(
            "| {} | {} | {} |",
            family.name,
            family.aliases.join(", "),
            files.join(", ")
        ));
    }
    lines.push(String::new());
    let bits = |bytes: f64| format!("{:.2}", bytes * 8.0);
    let cells = |cell: &dyn Fn(&Format) -> String| -> String {
        let cells = FORMATS.iter().map(|format| format!(" {} |", cell(format)));
        cells.collect::<Vec<_>>().concat()
    };
    let names = cells(&|format| {
        let name = format.name.to_uppercase();
        let there = references::FORMATS.contains(&name.as_str());
        assert!(there, "{name} has no reference");
        name
    });
    let stored = cells(&|format| bits(f64::from(format.bytes) / f64::from(format.block)));
    let packed = cells(&|format| {
        let planes = 0..format.planes.len();
        let bytes: u64 = planes
            .map(|plane| format.plane_bytes(Order::Rows, plane, 16, 4096))
            .sum();
        bits(bytes as f64 / (16.0 * 4096.0))
    });
    lines.push(format!("| stored type, any in any family |{names}"));
    lines.push(format!("|---|{}", "---|".repeat(FORMATS.len())));
    lines.push(format!("| bits a weight in the file |{stored}"));
    lines.push(format!("| on the GPU |{packed}"));
    lines.join("\n") + "\n"
}

fn architecture(name: &str) -> String {
    let file = ModelFile::open(&folder("families").join(format!("{name}.gguf"))).unwrap();
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
