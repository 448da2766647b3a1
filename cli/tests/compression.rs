//! `lantern compress`, `expand` and `quantize`, on the default model and the quicker adapter.

#[path = "../../tests/tests/support/copies.rs"]
mod copies;
#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
#[path = "../../tests/tests/support/gguf.rs"]
mod gguf;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use copies::{metadata_of, with_metadata};
use default_model::default_model as model;
use lantern_engine::ModelFile;
use support::{folder, on_quicker, run};

/// Runs a verb; what it said where it succeeds, or on stderr.
fn ask(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let (code, stdout, stderr) = run(on_quicker(folder).args(arguments));
    if code == 0 {
        Ok(stdout + &stderr)
    } else {
        Err(stderr)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Compresses and expands `bytes`; the size in between.
fn round(folder: &Path, model: &Path, bytes: &[u8], flags: &[&str]) -> usize {
    let [plain, packed, back] = ["plain", "plain.lantern", "back"].map(|name| folder.join(name));
    for path in [&packed, &back] {
        let _ = fs::remove_file(path);
    }
    fs::write(&plain, bytes).unwrap();
    let (model, names) = (
        shown(model),
        [&plain, &packed, &back].map(|path| shown(path)),
    );
    ask(
        folder,
        &[&["compress", &names[0], "-m", &model], flags].concat(),
    )
    .unwrap();
    ask(
        folder,
        &[&["expand", &names[1], "-o", &names[2], "-m", &model], flags].concat(),
    )
    .unwrap();
    assert_eq!(fs::read(&back).unwrap(), bytes);
    fs::metadata(&packed).unwrap().len() as usize
}

/// Bytes that `xz -9` makes of a file. None where there is no xz; in CI that is a failure.
fn xz_size(path: &Path) -> Option<usize> {
    let packed = Command::new("xz")
        .args(["-9", "--stdout"])
        .arg(path)
        .output();
    if let Ok(packed) = packed {
        return Some(packed.stdout.len()).filter(|_| packed.status.success());
    }
    assert!(std::env::var_os("CI").is_none(), "xz is missing");
    eprintln!("left out: xz is missing");
    None
}

#[test]
fn gpu_what_is_compressed_comes_back() {
    let Some(model) = model() else { return };
    let folder = folder("compress");
    let licence = Path::new(env!("CARGO_MANIFEST_DIR")).join("../LICENSE-APACHE");
    let licence = fs::read_to_string(licence).unwrap();
    let start = licence.find("TERMS AND CONDITIONS").unwrap();
    let text = &licence[start..][..1200];
    let size = round(&folder, &model, text.as_bytes(), &["--context", "128"]); // more than one context
    assert!(size < text.len() * 2 / 3, "{size} of {}", text.len());
    if let Some(others) = xz_size(&folder.join("plain")) {
        assert!(size < others, "{size}, and xz -9 needs {others}");
    }
    round(&folder, &model, "naïve 🦙\r\n\0 tab\t".as_bytes(), &[]);
    // What is no text takes no model, and any amount of time a byte.
    let noise: Vec<u8> = (0..1u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for bytes in [&noise[..], &[]] {
        let size = round(&folder, Path::new("none"), bytes, &[]);
        assert!(size < bytes.len() + 300, "{size}");
    }
}

/// A reference model of 128 tokens, given a tokenizer: printable ASCII, and rules of up to 8192 dashes.
fn with_tokenizer(path: &Path) {
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/families/llama.gguf");
    let model = ModelFile::open(&model).unwrap();
    let mut tokens: Vec<String> = ('!'..='~').chain(['Ġ', 'Ċ']).map(String::from).collect();
    let rules = (0..13).map(|power| "-".repeat(1 << power));
    let merges: Vec<String> = rules.map(|half| format!("{half} {half}")).collect();
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    tokens.extend((tokens.len()..128).map(|number| format!("unused{number}")));
    let texts = |all: &[String]| {
        let items: Vec<_> = all
            .iter()
            .map(|text| gguf::counted(text.as_bytes()))
            .collect();
        gguf::array(gguf::TEXT, all.len() as u64, &items.concat())
    };
    let mut metadata = metadata_of(&model);
    for (key, value) in [
        ("model", gguf::text(b"gpt2")),
        ("pre", gguf::text(b"gpt-2")),
        ("tokens", texts(&tokens)),
        ("merges", texts(&merges)),
    ] {
        metadata.push((format!("tokenizer.ggml.{key}").into_bytes(), value));
    }
    fs::write(path, with_metadata(&model, metadata)).unwrap();
}

/// By random weights: what they expect is nothing, but the same both times.
#[test]
fn gpu_a_mebibyte_comes_back() {
    let folder = folder("mebibyte");
    let model = folder.join("model.gguf");
    with_tokenizer(&model);
    let line = |number| format!("{:-<8191}\n", format!("entry {number} "));
    let text: String = (0..128).map(line).collect();
    assert_eq!(text.len(), 1 << 20);
    let size = round(&folder, &model, text.as_bytes(), &["--context", "128"]);
    assert!(size < text.len() / 200, "{size}");
}

#[test]
fn gpu_what_cannot_be_expanded_says_why() {
    let Some(model) = model() else { return };
    let folder = folder("expand");
    let [plain, packed] = ["plain", "plain.lantern"].map(|name| folder.join(name));
    let (model, plain_name, packed_name) = (shown(&model), shown(&plain), shown(&packed));
    fs::write(
        &plain,
        "The quick brown fox jumps over the lazy dog. ".repeat(12),
    )
    .unwrap();
    ask(&folder, &["compress", &plain_name, "-m", &model]).unwrap();
    let expand = |more: &[&str]| {
        ask(
            &folder,
            &[&["expand", &packed_name, "-m", &model], more].concat(),
        )
    };
    let refused = |more: &[&str], says: &str| {
        let said = expand(more).unwrap_err();
        assert!(said.contains(says), "{more:?}: {said}");
    };
    refused(&[], "--force");
    fs::remove_file(&plain).unwrap();
    refused(&["--precision", "exact"], "the same flags");
    let whole = fs::read(&packed).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 0x55;
    fs::write(&packed, &flipped).unwrap();
    assert!(expand(&[]).is_err() && !plain.exists());
    // More tokens than the code can hold, and as many bytes: refused before years of work.
    let header = String::from_utf8_lossy(&whole).into_owned();
    let tokens = header.split("\"tokens\":").nth(1).unwrap();
    let tokens = &tokens[..tokens.find(',').unwrap()];
    let more = "9".repeat(tokens.len() + 9);
    let field = |number: &str| format!("\"tokens\":{number},").into_bytes();
    let at = whole.windows(field(tokens).len());
    let at = at.enumerate().find(|(_, w)| *w == field(tokens)).unwrap().0;
    let mut lying = [
        &whole[..at],
        &field(&more),
        &whole[at + field(tokens).len()..],
    ]
    .concat();
    lying[8] += 9;
    fs::write(&packed, &lying).unwrap();
    refused(&[], "damaged");
    fs::write(&packed, &whole[..40]).unwrap();
    refused(&[], "cut off");
    fs::write(&packed, "text").unwrap();
    refused(&[], "lantern compress");
}

#[test]
fn gpu_a_quantised_model_runs() {
    let Some(model) = model() else { return };
    let folder = folder("quantize");
    let out: PathBuf = folder.join("q8.gguf");
    let (model, out) = (shown(&model), shown(&out));
    let said = ask(&folder, &["quantize", &model, &out, "q8_0"]).unwrap();
    assert!(said.contains("MB of"), "{said}");
    let again = ask(&folder, &["quantize", &model, &out, "q8_0"]).unwrap_err();
    assert!(again.contains("--force"), "{again}");
    let prompt = [
        "--raw",
        "--greedy",
        "-n",
        "6",
        "-p",
        "The capital of France is",
    ];
    let text = ask(&folder, &[&["run", &out], &prompt[..]].concat()).unwrap();
    assert!(text.contains("Paris"), "{text}");
    let unknown = ask(&folder, &["quantize", &model, &out, "q3_k"]).unwrap_err();
    assert!(unknown.contains("q4_k"), "{unknown}");
}
