//! `lantern compress`, `expand` and `quantize`, on the default model and the quicker adapter.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use default_model::default_model as model;
use support::{folder, lantern, run};

/// Runs a verb; what it said where it succeeds, or on stderr.
fn ask(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = lantern(folder);
    let (_, devices, _) = run(lantern(folder).arg("devices"));
    if devices.contains("llvmpipe") {
        command.env("LANTERN_ADAPTER", "llvmpipe");
    }
    let (code, stdout, stderr) = run(command.args(arguments));
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
