//! Files quantised here: readable, and about as near to the weights as those that llama.cpp quantised.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use lantern_engine::{LoadOptions, ModelFile, Precision, file::Value};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, load, logits, prefill_all, reference},
    nmse, python,
};

/// Files that tests of this process made.
static COUNT: AtomicU32 = AtomicU32::new(0);

fn quantised(from: &str, kind: &str) -> PathBuf {
    let file = ModelFile::open(&folder(&format!("{from}.gguf"))).unwrap();
    let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let name = format!("lantern-quantised-{process}-{number}.gguf");
    let path = std::env::temp_dir().join(name);
    let mut out = fs::File::create(&path).unwrap();
    let mut each = |_| ControlFlow::Continue(());
    block_on(file.quantised(kind).unwrap().write(&mut out, &mut each)).unwrap();
    path
}

/// The reference's own blocks differ from its weights as much; with the tokens chosen at random there is some luck in it.
#[test]
fn as_near_to_the_weights_as_the_reference() {
    let gpu = adapters::open(&adapters::main());
    let exact = LoadOptions::default().precision(Precision::Exact);
    let tokens = reference(&folder("formats/F32")).tokens;
    let whole = logits(&folder("formats/F32"));
    for kind in ModelFile::quantised_types() {
        let path = quantised("formats/F32", kind);
        let model = load(&gpu, &path, &exact);
        let mut session = block_on(model.session()).unwrap();
        let error = nmse(&prefill_all(&mut session, &tokens), &whole);
        let theirs = nmse(
            &logits(&folder(&format!("formats/{}", kind.to_uppercase()))),
            &whole,
        );
        println!("{kind}: NMSE {error:.2e}, the reference's {theirs:.2e}");
        assert!(
            error < theirs * 1.5,
            "{kind}: NMSE {error:.2e}, the reference's {theirs:.2e}"
        );
        fs::remove_file(path).unwrap();
    }
}

/// The family's rows of 64 and 96 are no blocks of 256: they become the next type, and what decides much stays.
#[test]
fn what_does_not_fit_becomes_the_next_type_or_stays() {
    let path = quantised("families/mixtral", "q4_k");
    let file = ModelFile::open(&path).unwrap();
    let original = ModelFile::open(&folder("families/mixtral.gguf")).unwrap();
    for (before, after) in original.tensors().iter().zip(file.tensors()) {
        assert_eq!((&before.name, &before.shape), (&after.name, &after.shape));
        let kept = before.shape.len() == 1 || before.name.contains("ffn_gate_inp");
        let wanted = if kept { before.kind.name() } else { "Q4_0" };
        assert_eq!(after.kind.name(), wanted, "{}", before.name);
    }
    let metadata = |file: &ModelFile, key: &str| file.metadata().get(key).cloned();
    assert_eq!(
        metadata(&file, "llama.rope.freq_base"),
        metadata(&original, "llama.rope.freq_base")
    );
    assert_eq!(
        metadata(&file, "llama.expert_count"),
        metadata(&original, "llama.expert_count")
    );
    assert_eq!(
        metadata(&file, "general.file_type"),
        Some(Value::Unsigned(2)),
        "mostly Q4_0"
    );
    fs::remove_file(path).unwrap();
    let whole = quantised("formats/F32", "q4_k");
    let file = ModelFile::open(&whole).unwrap();
    assert_eq!(
        metadata(&file, "general.file_type"),
        Some(Value::Unsigned(14))
    );
    fs::remove_file(whole).unwrap();
    let unknown = original.quantised("q3_k").err().unwrap().to_string();
    assert!(unknown.contains("q4_k"), "{unknown}");
}

/// Tensors and metadata that llama.cpp's Python package finds in a file, with the NMSE of each tensor against the file with
/// the weights. None where the package is not installed; in CI that is a failure.
fn read_by_others(made: &Path) -> Option<Vec<serde_json::Value>> {
    let read = python::script("gguf", "read_gguf.py")?
        .args([made, &folder("formats/F32.gguf")])
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{}: {problem}", made.display());
    let lines = String::from_utf8(read.stdout).unwrap();
    Some(
        lines
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect(),
    )
}

/// Another reader finds the same tensors in a file of ours and in one that llama.cpp quantised, about as near to the weights.
#[test]
fn others_read_what_is_written() {
    for kind in ModelFile::quantised_types() {
        let path = quantised("formats/F32", kind);
        let theirs = folder(&format!("formats/{}.gguf", kind.to_uppercase()));
        let both = read_by_others(&path).zip(read_by_others(&theirs));
        fs::remove_file(path).unwrap();
        let Some((ours, theirs)) = both else { return };
        assert_eq!(ours.len(), theirs.len(), "{kind}");
        let ((about, ours), (about_theirs, theirs)) =
            (ours.split_last().unwrap(), theirs.split_last().unwrap());
        for key in [
            "general.architecture",
            "general.file_type",
            "general.quantization_version",
        ] {
            assert_eq!(about[key], about_theirs[key], "{kind}: {key}");
        }
        for (ours, theirs) in ours.iter().zip(theirs) {
            for key in ["name", "type", "shape"] {
                assert_eq!(ours[key], theirs[key], "{kind}");
            }
            let [error, bound] = [ours, theirs].map(|t| t["nmse"].as_f64().unwrap());
            assert!(error <= bound * 1.1, "{kind}: {ours}, theirs {bound}");
        }
    }
}

/// Stopped between two strips.
#[test]
fn quantising_can_be_stopped() {
    let file = ModelFile::open(&folder("formats/F32.gguf")).unwrap();
    let mut out = Vec::new();
    let stopped = block_on(
        file.quantised("q8_0")
            .unwrap()
            .write(&mut out, &mut |_| ControlFlow::Break(())),
    );
    assert_eq!(stopped.unwrap_err().code(), "aborted");
}
