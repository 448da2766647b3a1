//! Draft blocks against the references: rows of a prompt, then drafts of drafts.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use lantern_engine::{
    Drafted, Drafts, EmbedOptions, Gpu, LoadOptions, Model, ModelFile, Pooling, Precision,
};
use pollster::block_on;
use serde::Deserialize;

use crate::support::{
    adapters,
    models::{folder, load},
    nmse,
};

/// Reference files with a draft block.
const FILES: [&str; 5] = [
    "qwen35-mtp",
    "qwen35-mtp-own",
    "qwen35moe-mtp",
    "deepseek2-flash-mtp",
    "nemotron-h-moe-mtp",
];

#[derive(Deserialize)]
struct Reference {
    tokens: Vec<u32>,
    mtp: Continuation,
}

/// The token after the prompt, and those that the block drafts behind it.
#[derive(Deserialize)]
struct Continuation {
    first: u32,
    draft: Vec<u32>,
    draft_margin: Vec<f32>,
}

fn exact() -> LoadOptions {
    LoadOptions::default().precision(Precision::Exact)
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let words = bytes.chunks_exact(4);
    words
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Rows of the model after its last norm, one after the other.
fn hidden_rows(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let options = EmbedOptions::default()
        .pooling(Pooling::None)
        .normalize(false);
    let mut go_on = |_, _| ControlFlow::Continue(());
    let mut embedder = model.embedder();
    let texts = [tokens.to_vec()];
    let all = block_on(embedder.embed(&texts, &options, &mut go_on)).unwrap();
    all.into_iter().flat_map(|text| text.values).collect()
}

fn forward(drafts: &mut Drafts, tokens: &[u32], hidden: &[f32]) -> Vec<Drafted> {
    block_on(drafts.forward(tokens, hidden)).unwrap()
}

fn logits(rows: &[Drafted]) -> Vec<f32> {
    rows.iter().flat_map(|row| row.logits.clone()).collect()
}

/// Faults of a file's draft block on a GPU.
fn check(gpu: &Arc<Gpu>, name: &str) -> Vec<String> {
    let path = folder("families-2026").join(format!("{name}.gguf"));
    let text = fs::read_to_string(path.with_extension("json")).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    let (tokens, mtp) = (reference.tokens, reference.mtp);
    let model = load(gpu, &path, &exact().draft(true));
    let dim = model.config().dim as usize;
    let hidden = hidden_rows(&model, &tokens);
    let before = &hidden[..(tokens.len() - 1) * dim];
    let mut drafts = block_on(model.drafts()).unwrap();

    let all = forward(&mut drafts, &tokens[1..], before);
    let error = nmse(&logits(&all), &floats(&path.with_extension("mtp.f32")));
    // Again from the eighth row on, in two passes.
    drafts.rewind(7).unwrap();
    let mut rest = Vec::new();
    for rows in [7..9, 9..tokens.len() - 1] {
        let own = &before[rows.start * dim..rows.end * dim];
        rest.extend(forward(&mut drafts, &tokens[1..][rows], own));
    }
    let again = nmse(&logits(&rest), &logits(&all[7..]));

    let (mut token, mut row) = (mtp.first, hidden[before.len()..].to_vec());
    let mut steps = Vec::new();
    let mut wrong = Vec::new();
    for (&draft, &margin) in mtp.draft.iter().zip(&mtp.draft_margin) {
        let [step] = &forward(&mut drafts, &[token], &row)[..] else {
            unreachable!("one row of one token")
        };
        let best = (0..).zip(&step.logits).max_by(|a, b| a.1.total_cmp(b.1));
        if best.unwrap().0 != draft && margin >= 1e-3 {
            wrong.push(format!("{name}: {best:?} in the place of {draft}"));
        }
        (token, row) = (draft, step.hidden.clone());
        steps.push(step.clone());
    }
    let wanted = floats(&path.with_extension("mtp-draft.f32"));
    let drafting = nmse(&logits(&steps), &wanted);
    println!("{name:<24} NMSE {error:.1e}, drafting {drafting:.1e}, in two passes {again:.1e}");
    if error > 1e-9 || drafting > 1e-9 || again > 1e-12 {
        wrong.push(format!(
            "{name}: NMSE {error:.1e}, {drafting:.1e}, {again:.1e}"
        ));
    }
    wrong
}

#[test]
fn draft_blocks_compute_what_the_references_do() {
    let mut wrong = Vec::new();
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        wrong.extend(FILES.iter().flat_map(|name| check(&gpu, name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_draft_block_is_loaded_where_it_is_asked_for() {
    let gpu = adapters::open(&adapters::main());
    let path = folder("families-2026").join("qwen35-mtp.gguf");
    let [plain, with] = [false, true].map(|draft| load(&gpu, &path, &exact().draft(draft)));
    assert!(plain.weight_bytes() < with.weight_bytes());
    let refused = block_on(plain.drafts()).err().expect("it is not there");
    assert!(refused.to_string().contains("without its draft block"));
    let mut drafts = block_on(with.drafts()).unwrap();
    assert!(block_on(drafts.forward(&[1], &[0.0; 3])).is_err());
    assert!(drafts.rewind(1).is_err());

    let none = ModelFile::open(&folder("families").join("llama.gguf")).unwrap();
    let mut each = |_, _| ControlFlow::Continue(());
    let options = exact().draft(true);
    let loading = Model::load(&gpu, &none, &options, &mut each);
    let refused = block_on(loading).err().expect("it has none").to_string();
    assert!(refused.contains("no draft block"), "{refused}");
}
