//! Stored types that no program here writes: their blocks against PyPI's `gguf`, and models of them against models of F32.

use std::fs;

use lantern_engine::{GpuOptions, LoadOptions, ModelFile, file::Source};
use lantern_kernels::{CaseWeights, FORMATS, Format, random::Random};
use pollster::block_on;

use crate::support::{
    adapters,
    copies::metadata_of,
    gguf::{self, Gguf},
    models::{folder, load_file, logits, prefill_all, reference},
    nmse,
};

/// Types with blocks in `reference/formats/blocks`.
pub const TYPES: &[&str] = &[
    "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S", "NVFP4",
];

fn formats() -> impl Iterator<Item = (&'static str, &'static Format)> {
    let named = |name: &str| FORMATS.iter().find(|f| f.name.to_uppercase() == name);
    TYPES
        .iter()
        .map(move |&name| (name, *named(name).expect(name)))
}

/// Every code of each codebook is among them, and every scale of NVFP4.
#[test]
fn blocks_decode_to_what_gguf_reads_bit_for_bit() {
    for (name, format) in formats() {
        let path = folder("formats/blocks").join(name);
        let blocks = fs::read(path.with_extension("blocks")).unwrap();
        let expected = logits(&path);
        let (size, bytes) = (format.block as usize, format.bytes as usize);
        assert_eq!(blocks.len() / bytes, expected.len() / size, "{name}");
        let pairs = blocks.chunks_exact(bytes).zip(expected.chunks_exact(size));
        for (i, (block, expected)) in pairs.enumerate() {
            let mut weights = vec![f32::NAN; size];
            (format.decode)(block, &mut weights);
            let bits = |w: &[f32]| w.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&weights), bits(expected), "{name}: block {i}");
        }
    }
}

/// The model of `file` with random matrices of a type, and with the same weights as F32.
fn models(file: &ModelFile, format: &'static Format) -> [ModelFile; 2] {
    let mut random = Random::new(u64::from(format.ggml));
    let (mut tensors, mut data) = ([vec![], vec![]], [vec![], vec![]]);
    for t in file.tensors() {
        let stored = if let [cols, rows] = t.shape[..] {
            let weights = CaseWeights::random(format, rows as u32, cols as u32, &mut random);
            let whole = weights.decoded();
            let whole: Vec<u8> = whole.iter().flat_map(|w| w.to_le_bytes()).collect();
            [(format.ggml, weights.bytes), (0, whole)]
        } else {
            let bytes = block_on(file.data(t, 0..t.bytes)).unwrap();
            [(0, bytes.to_vec()), (0, bytes.to_vec())]
        };
        for (i, (kind, bytes)) in stored.into_iter().enumerate() {
            tensors[i].push(gguf::tensor(&t.name, &t.shape, kind, data[i].len() as u64));
            data[i].extend(bytes);
            data[i].resize(data[i].len().next_multiple_of(32), 0);
        }
    }
    let mut data = data.into_iter();
    tensors.map(|tensors| {
        let header = Gguf {
            metadata: metadata_of(file),
            tensors,
            data: 0,
            ..Gguf::sound()
        };
        let bytes = [header.bytes(), data.next().unwrap()].concat();
        ModelFile::from_source(Source::from_bytes(bytes)).unwrap()
    })
}

#[test]
fn models_of_these_types_compute_what_the_same_weights_do_as_f32() {
    let path = folder("formats/F32.gguf");
    let file = ModelFile::open(&path).unwrap();
    let tokens = reference(&path).tokens;
    let gpu = adapters::gpu(&adapters::main(), GpuOptions::default().checked(true));
    let gpu = std::sync::Arc::new(gpu);
    for (name, format) in formats() {
        let [own, whole] = models(&file, format).map(|file| {
            let model = load_file(&gpu, &file, &LoadOptions::default());
            let mut session = block_on(model.session()).unwrap();
            prefill_all(&mut session, &tokens)
        });
        let error = nmse(&own, &whole);
        println!("{name:<8} NMSE {error:.2e}");
        assert!(error <= 1e-9, "{name}: NMSE {error:.2e}");
    }
}
