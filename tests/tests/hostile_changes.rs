//! Templates and tokenizers changed by chance: what is computed from them is what the originals compute, or an error. And what
//! `cargo fuzz-inputs` starts from and has found, read once more.

use std::{fs, path::Path, process::Stdio};

use lantern_engine::{Error, ModelFile, Tokenizer};
use serde_json::{Value as Json, json};

use crate::{
    fuzz::{
        TARGETS,
        json::{Random, change},
    },
    jinja::{Cases, has_address, rendered_by_jinja2, rendered_here},
    support::{hugging_face, python, shapes, shared},
};

/// Inputs that a script of Python gets at once.
const BATCH: usize = 5000;

/// How many changed inputs are tried, and the seed they are made with; `LANTERN_CHANGES=1000000 LANTERN_SEED=7` tries others.
fn wanted(usual: usize) -> (usize, u32) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("LANTERN_SEED").map_or(1, |seed| seed as u32);
    (number("LANTERN_CHANGES").unwrap_or(usual), seed)
}

#[test]
fn every_seed_and_find_of_the_fuzzer_is_read() {
    for (name, read) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let entries = fs::read_dir(corpus.join(name)).unwrap();
        let mut count = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            read(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 2, "{name}: {count} seeds");
    }
}

/// A template cut into words, marks, strings and spaces.
fn pieces(template: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        let word: fn(char) -> bool = |c| c.is_alphanumeric() || c == '_';
        let run = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        let marks = [
            "{{-", "{{", "-}}", "}}", "{%-", "{%", "-%}", "%}", "==", "!=", "<=", ">=", "//", "**",
        ];
        let mark = marks.iter().find(|mark| rest.starts_with(**mark));
        let len = match first {
            _ if mark.is_some() => mark.map_or(0, |mark| mark.len()),
            '\'' | '"' => rest[1..].find(first).map_or(1, |end| end + 2),
            c if word(c) => run(word),
            c if c.is_whitespace() => run(char::is_whitespace),
            c => c.len_utf8(),
        };
        let (piece, after) = rest.split_at(len);
        all.push(piece);
        rest = after;
    }
    all
}

/// A template with a few of its pieces changed: left out, doubled, moved, or from another.
fn changed(all: &[Vec<&str>], random: &mut Random) -> String {
    let mut own = all[random.below(all.len())].clone();
    for _ in 0..=random.below(3) {
        let other = &all[random.below(all.len())];
        let (at, there) = (random.below(own.len()), random.below(other.len()));
        match random.below(6) {
            0 => drop(own.remove(at)),
            1 => own.insert(at, own[at]),
            2 => {
                let to = random.below(own.len());
                own.swap(at, to);
            }
            3 => {
                let end = (there + 1 + random.below(6)).min(other.len());
                drop(own.splice(at..at, other[there..end].iter().copied()));
            }
            _ => own[at] = other[there],
        }
        if own.is_empty() {
            break;
        }
    }
    own.concat()
}

/// Answers of two programs: as Jinja2 gives it, and as Lantern does.
fn differ(theirs: &Json, ours: &Result<String, Error>) -> bool {
    match (theirs["output"].as_str(), ours) {
        // An address in memory is another each time.
        (Some(theirs), Ok(ours)) => theirs != ours && !has_address(theirs),
        // What is refused here with a reason is no silent difference.
        (_, Err(Error::Template(_))) => false,
        (None, Ok(_)) => {
            let error = theirs["error"].as_str().unwrap_or_default();
            let faults = ["name 'nan'", "name 'inf'", "Tried to resolve a name"]; // of the code that Jinja2 makes
            let fault = faults.iter().any(|fault| error.contains(fault));
            theirs.get("stopped").is_none() && !fault
        }
        (_, Err(_)) => true,
    }
}

/// Templates to change, and what they are given.
fn templates() -> (Vec<String>, Json) {
    let cases = Cases::read();
    let list = |name: &str| cases.list(name).into_iter();
    let mut all: Vec<String> = list("templates").map(str::to_owned).collect();
    all.extend(list("expressions").map(|one| format!("{{{{ {one} }}}}")));
    for (a, b) in list("values").cycle().zip(list("filters")) {
        all.push(format!("{{{{ ({a}) | {b} }}}}"));
    }
    for (a, b) in list("receivers").cycle().zip(list("methods")) {
        all.push(format!("{{{{ ({a}).{b} }}}}"));
    }
    let others = shared::reference("chat-templates").map(|path| fs::read_dir(path).unwrap());
    let others = others.into_iter().flatten().map(|one| one.unwrap().path());
    let mut others: Vec<_> = others
        .filter(|path| path.extension().is_some_and(|end| end == "jinja"))
        .collect();
    others.sort();
    all.extend(others.iter().map(|path| fs::read_to_string(path).unwrap()));
    let mut input = cases.0["input"].clone();
    input["messages"] = input["m"].clone();
    input["messages"][1] = json!({"role": "user", "content": "Hi there"}); // null would be left out here
    input["add_generation_prompt"] = json!(true);
    (all, input)
}

#[test]
fn changed_templates_render_as_jinja2_renders_them() {
    let (templates, input) = templates();
    let all = templates.iter().map(|one| pieces(one));
    let all: Vec<Vec<&str>> = all.filter(|one| !one.is_empty()).collect();
    let (count, seed) = wanted(4000);
    let mut random = Random(seed);
    let (mut rendered, mut refused, mut differences) = (0, 0, Vec::new());
    for start in (0..count).step_by(BATCH) {
        let batch = start..count.min(start + BATCH);
        let batch: Vec<String> = batch.map(|_| changed(&all, &mut random)).collect();
        let Some(theirs) = rendered_by_jinja2(&input, &batch) else {
            return;
        };
        assert_eq!(theirs.len(), batch.len());
        for (template, theirs) in batch.iter().zip(theirs) {
            // Chance, a clock, and what only newer Pythons have.
            let unlike = ["random", "lipsum", "strftime_now", "is_integer"];
            if unlike.iter().any(|part| template.contains(part)) {
                continue;
            }
            let ours = rendered_here(&input, template);
            rendered += usize::from(ours.is_ok());
            refused += usize::from(ours.is_err() && theirs["output"].is_string());
            if differ(&theirs, &ours) {
                differences.push(format!(
                    "{template:?}\n  Jinja2: {theirs}\n  here:   {ours:?}"
                ));
            }
        }
    }
    println!("{count} changed templates, {rendered} of them rendered, {refused} only by Jinja2");
    assert!(
        rendered > count / 20,
        "{rendered} of {count} were templates"
    );
    none(&differences);
}

fn none(differences: &[String]) {
    let (count, some) = (differences.len(), differences.iter().take(10));
    let some: Vec<&str> = some.map(String::as_str).collect();
    assert!(count == 0, "{count} differ:\n{}", some.join("\n"));
}

/// Ids of a text with what the post-processor adds, without, with special tokens as text, and the text of the last.
type Row = (Vec<u32>, Vec<u32>, Vec<u32>, String);

#[test]
fn changed_tokenizers_give_the_ids_of_the_original() {
    let (shapes, texts) = (shapes::shapes(), shapes::texts(12));
    let (count, seed) = wanted(600);
    let mut random = Random(seed);
    let path = hugging_face::folder("changed-tokenizers");
    hugging_face::model_around(&path, 1 << 16).unwrap();
    let (mut opened, mut differences) = (0, Vec::new());
    for start in (0..count).step_by(BATCH) {
        let mut any = || shapes[random.below(shapes.len())].1.clone();
        let pairs = (start..count.min(start + BATCH)).map(|_| (any(), any()));
        let pairs: Vec<(Json, Json)> = pairs.collect();
        let files = pairs.into_iter().map(|(mut file, other)| {
            for _ in 0..=random.below(3) {
                change(&mut file, &other, &mut random);
            }
            file.to_string()
        });
        let files: Vec<String> = files.collect();
        let Some(rows) = originals(&files, &texts) else {
            return;
        };
        assert_eq!(rows.len(), files.len());
        for (file, rows) in files.iter().zip(rows) {
            fs::write(path.join("tokenizer.json"), file).unwrap();
            let own = ModelFile::open(&path).and_then(|file| file.tokenizer());
            let Ok(own) = own else { continue };
            opened += 1;
            let differs = match rows {
                None => Some("the original has no such tokenizer".to_owned()),
                Some(rows) => texts
                    .iter()
                    .zip(rows)
                    .find_map(|(text, row)| unlike(&own, text, row.as_ref())),
            };
            differences.extend(differs.map(|what| format!("{file}\n  {what}")));
        }
    }
    println!("{count} changed tokenizers, {opened} of them opened");
    assert!(opened > count / 20, "{opened} of {count} were tokenizers");
    none(&differences);
}

/// Rows of each file; none where it is no tokenizer. None of all where Python's tokenizers is not installed.
fn originals(files: &[String], texts: &[String]) -> Option<Vec<Option<Vec<Option<Row>>>>> {
    let mut rows = Vec::new();
    while rows.len() < files.len() {
        let mut script = python::script("tokenizers", "tokens_of_texts.py")?;
        script.stderr(Stdio::null()); // it panics, and tells
        let left = &files[rows.len()..];
        let input = json!({"files": left, "texts": texts, "changed": true});
        let (said, sound) = python::said(script, &input);
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.extend(lines);
        if !sound {
            println!("Python ends at {}", files[rows.len()]);
            rows.push(None);
        }
    }
    Some(rows)
}

/// The difference, where a text has tokens here, and they are not the original's.
fn unlike(own: &Tokenizer, text: &str, row: Option<&Row>) -> Option<String> {
    let whole = own.encode(text, true).ok()?;
    let (bare, plain) = (
        own.encode_rendered(text).ok()?,
        own.encode(text, false).ok()?,
    );
    let same = row.is_some_and(|row| (&whole, &bare, &plain) == (&row.0, &row.1, &row.2));
    (!same).then(|| format!("{text:?}: {row:?}\n  here: {whole:?}, {bare:?}, {plain:?}"))
}
