//! LoRA adapters of reference models, written as llama.cpp's converter writes them.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use half::f16;
use lantern_engine::ModelFile;
use lantern_kernels::random::Random;
use pollster::block_on;

use super::{
    copies::Entries,
    gguf::{self, Gguf},
    models::folder,
};

/// Name, shape and values.
pub type Tensor = (String, Vec<u64>, Vec<f32>);

pub const RANK: u64 = 4;
pub const ALPHA: f32 = 6.0;

/// A GGUF file in memory, of f32, and of f16 where a tensor's name ends in `halved`.
pub fn written(metadata: Entries, tensors: &[Tensor], halved: Option<&str>) -> Vec<u8> {
    let mut file = Gguf {
        metadata,
        tensors: vec![],
        data: 0,
        ..Gguf::sound()
    };
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        let half = halved.is_some_and(|end| name.ends_with(end));
        file.tensors.push(gguf::tensor(
            name,
            shape,
            u32::from(half),
            data.len() as u64,
        ));
        if half {
            data.extend(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()));
        } else {
            data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        data.resize(data.len().next_multiple_of(32), 0);
    }
    let mut bytes = file.bytes();
    bytes.extend(data);
    bytes
}

/// A file of its own, also among tests in threads of one process.
pub fn saved(name: &str, bytes: &[u8]) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Relaxed));
    let path = std::env::temp_dir().join(format!("lantern-lora-{process}-{count}-{name}.gguf"));
    fs::write(&path, bytes).unwrap();
    path
}

/// The references' path of a family.
pub fn path_of(family: &str) -> PathBuf {
    let file = format!("{family}.gguf");
    let old = folder("families").join(&file);
    if old.exists() {
        old
    } else {
        folder("families-2026").join(file)
    }
}

pub fn base(family: &str) -> (ModelFile, Vec<Tensor>) {
    let file = ModelFile::open(&path_of(family)).unwrap();
    let mut tensors = Vec::new();
    for tensor in file.tensors() {
        let bytes = block_on(file.data(tensor, 0..tensor.bytes)).unwrap();
        let floats = |b: &[u8]| match b {
            [a, b] => f16::from_le_bytes([*a, *b]).to_f32(),
            four => f32::from_le_bytes(four.try_into().unwrap()),
        };
        let size = if tensor.kind.name() == "F16" { 2 } else { 4 };
        let values = bytes.chunks_exact(size).map(floats).collect();
        tensors.push((tensor.name.clone(), tensor.shape.clone(), values));
    }
    (file, tensors)
}

/// Ends of names of tensors in the blocks that have rows and columns, and that no adapter changes, and words
/// of the refusal.
const NOT_ADAPTED: [(&str, &str); 14] = [
    ("conv1d.weight", NO_MATRIX),
    ("conv1d_q.weight", NO_MATRIX),
    ("conv1d_k.weight", NO_MATRIX),
    ("conv1d_v.weight", NO_MATRIX),
    ("conv.weight", NO_MATRIX),
    ("lerp_fused.weight", NO_MATRIX),
    ("lerp_k.weight", NO_MATRIX),
    ("ssm_a", NO_MATRIX),
    ("ssm_d", NO_MATRIX),
    ("ssm_norm.weight", NO_MATRIX),
    ("attn_k_b.weight", OF_HEADS),
    ("attn_v_b.weight", OF_HEADS),
    // The first layer's values are those that others look back at: it reads none of these.
    ("blk.0.time_mix_v1.weight", "does not have"),
    ("blk.0.time_mix_v2.weight", "does not have"),
];
const NO_MATRIX: &str = "no vectors are multiplied";
const OF_HEADS: &str = "matrices of heads";

/// Words of the refusal of an adapter of a tensor that takes none.
pub fn refusal_of(name: &str) -> Option<&'static str> {
    let mut all = NOT_ADAPTED.iter();
    Some(all.find(|(end, _)| name.ends_with(end))?.1)
}

/// A and B for every matrix of the blocks, experts' too, and for the output where it has one of its own.
pub fn low_rank(tensors: &[Tensor], seed: u64) -> Vec<Tensor> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for (name, shape, _) in tensors
        .iter()
        .filter(|t| (t.0.starts_with("blk.") || t.0 == "output.weight") && t.1.len() > 1)
        .filter(|t| refusal_of(&t.0).is_none())
    {
        let mut half = |end: &str, first: u64, second: u64| {
            let shape = [&[first, second], &shape[2..]].concat();
            let values = random.floats(shape.iter().product::<u64>() as usize);
            let small = values.iter().map(|v| v * 0.05).collect();
            all.push((format!("{name}.{end}"), shape, small));
        };
        half("lora_a", shape[0], RANK);
        half("lora_b", RANK, shape[1]);
    }
    all
}

pub fn lora_file(family: &str, tensors: &[Tensor]) -> Vec<u8> {
    let text = |v: &str| gguf::text(v.as_bytes());
    let metadata = vec![
        (b"general.type".to_vec(), text("adapter")),
        (b"adapter.type".to_vec(), text("lora")),
        (b"general.architecture".to_vec(), text(family)),
        (
            b"adapter.lora.alpha".to_vec(),
            gguf::value(gguf::F32, &ALPHA.to_le_bytes()),
        ),
    ];
    written(metadata, tensors, None)
}
