//! Models without their weights: the header of a file, or of a known shape, over random bytes. They run as fast as
//! the real ones, and say nothing. For measuring before a download, and without one. Weights that stay on the GPU are made
//! there; read as a file, they are the same.

use std::sync::Arc;

use super::{
    Header, Metadata, ModelFile, Source, TensorInfo, metadata::Value, noise::Noise,
    types::TensorType,
};
use crate::{Error, Result};

/// Sizes of a known model.
struct Shape {
    name: &'static str,
    layers: u64,
    dim: u64,
    heads: u64,
    kv_heads: u64,
    head_dim: u64,
    ffn_dim: u64,
    vocab_size: u64,
    context: u64,
    /// Logits come from the embedding's own matrix.
    tied: bool,
    /// Experts that a token uses, and how many there are, in the place of the MLP; none where there are 0.
    experts: (u64, u64),
}

macro_rules! shapes {
    ($($name:literal $layers:literal $dim:literal $heads:literal / $kv_heads:literal x $head_dim:literal $ffn:literal $vocab_size:literal $context:literal $tied:literal $used:literal of $experts:literal)*) => {
        &[$(Shape {
            name: $name, layers: $layers, dim: $dim, heads: $heads, kv_heads: $kv_heads, head_dim: $head_dim,
            ffn_dim: $ffn, vocab_size: $vocab_size, context: $context, tied: $tied,
            experts: ($used, $experts),
        }),*]
    };
}

/// Known models, as their publishers' `config.json` has them: layers, dim, heads / key heads x head_dim, MLP,
/// vocab_size, context, tied, experts.
const SHAPES: &[Shape] = shapes! {
    "smollm2-135m"   30 576   9 / 3  x 64  1536  49152  8192   true  0 of 0
    "smollm2-360m"   32 960  15 / 5  x 64  2560  49152  8192   true  0 of 0
    "tinyllama-1.1b" 22 2048 32 / 4  x 64  5632  32000  2048   false 0 of 0
    "llama-1b"       16 2048 32 / 8  x 64  8192  128256 131072 true  0 of 0
    "smollm2-1.7b"   24 2048 32 / 32 x 64  8192  49152  8192   true  0 of 0
    "llama-3b"       28 3072 24 / 8  x 128 8192  128256 131072 true  0 of 0
    "mistral-7b"     32 4096 32 / 8  x 128 14336 32768  32768  false 0 of 0
    "llama-8b"       32 4096 32 / 8  x 128 14336 128256 131072 false 0 of 0
    "llama-13b"      40 5120 40 / 40 x 128 13824 32000  4096   false 0 of 0
    "llama-70b"      80 8192 64 / 8  x 128 28672 128256 131072 false 0 of 0
    "qwen3-30b-a3b"  48 2048 32 / 4  x 128 768   151936 40960  false 8 of 128
};

impl ModelFile {
    /// A model of random weights: `shape:type`, such as `llama-1b:q8_0`.
    ///
    /// # Errors
    /// [`Error::BadInput`] names the shapes and the types that there are.
    pub fn synthetic(wanted: &str) -> Result<ModelFile> {
        let (name, stored) = wanted.split_once(':').unwrap_or((wanted, "q4_0"));
        let list = |names: Vec<&str>| names.join(", ");
        let shape = SHAPES.iter().find(|shape| shape.name == name);
        let shape = shape.ok_or_else(|| {
            let known = list(SHAPES.iter().map(|shape| shape.name).collect());
            Error::BadInput(format!("there is no shape {name:?}; there are {known}"))
        })?;
        let format = lantern_kernels::FORMATS
            .iter()
            .find(|format| format.name == stored);
        let kind = format.and_then(|format| TensorType::from_id(format.ggml));
        let kind = kind.ok_or_else(|| {
            let known = list(
                lantern_kernels::FORMATS
                    .iter()
                    .map(|format| format.name)
                    .collect(),
            );
            Error::BadInput(format!(
                "weights of type {stored:?} are not run here; known are {known}"
            ))
        })?;
        let tensors = shape.tensors(kind);
        let broken = |tensor: &&TensorInfo| {
            let block = tensor.kind.block_weights();
            !tensor.shape[0].is_multiple_of(block)
        };
        if let Some(TensorInfo { shape, kind, .. }) = tensors.iter().find(broken) {
            let (width, block) = (shape[0], kind.block_weights());
            return Err(Error::BadInput(format!(
                "{name} has rows of {width} weights, not a multiple of the {block} that a block of {kind} holds"
            )));
        }
        let metadata = shape.metadata(&kind.name().to_lowercase());
        Ok(with_random_weights(metadata, tensors))
    }
}

/// A file of these tensors, their weights random.
pub(crate) fn with_random_weights(metadata: Metadata, mut tensors: Vec<TensorInfo>) -> ModelFile {
    let mut end = 0;
    for tensor in &mut tensors {
        (tensor.offset, tensor.part) = (end, 0);
        end += tensor.bytes.next_multiple_of(32);
    }
    let label = "a model of random weights".to_owned();
    let noise = Arc::new(Noise::over(&tensors));
    let source = Source::remote(label.clone(), end, Box::new(noise.clone()));
    let header = Header::of(metadata, tensors).expect("tensors of different names");
    let (joints, transposed) = Default::default();
    let file = ModelFile::of_parts(label, header, vec![source], joints, transposed);
    file.with_noise(noise)
}

impl Shape {
    fn metadata(&self, stored: &str) -> Metadata {
        let (used, experts) = self.experts;
        let family = if experts > 0 { "qwen3moe" } else { "llama" };
        let number = |key: &str, value| (format!("{family}.{key}"), Value::Unsigned(value));
        let float = |key: &str, value| (format!("{family}.{key}"), Value::Float(value));
        let of_experts = [
            number("expert_used_count", used),
            number("expert_count", experts),
            number("expert_feed_forward_length", self.ffn_dim),
        ];
        let of_experts = of_experts.into_iter().filter(|_| experts > 0);
        let text = |key: &str, value: String| (format!("general.{key}"), Value::Text(value));
        let entries = [
            text("architecture", family.to_owned()),
            text("name", format!("{} {stored}, synthetic", self.name)),
            number("block_count", self.layers),
            number("embedding_length", self.dim),
            number("attention.head_count", self.heads),
            number("attention.head_count_kv", self.kv_heads),
            number("attention.key_length", self.head_dim),
            number("attention.value_length", self.head_dim),
            number("feed_forward_length", self.ffn_dim),
            number("context_length", self.context),
            number("rope.dimension_count", self.head_dim),
            float("attention.layer_norm_rms_epsilon", 1e-5),
            float("rope.freq_base", 1e4),
        ];
        Metadata(entries.into_iter().chain(of_experts).collect())
    }

    fn tensors(&self, kind: TensorType) -> Vec<TensorInfo> {
        let tensor = |name: String, kind: TensorType, shape: Vec<u64>| TensorInfo {
            bytes: shape.iter().product::<u64>() / kind.block_weights() * kind.block_bytes(),
            name: format!("{name}.weight"),
            shape,
            kind,
            offset: 0,
            part: 0,
        };
        let matrix = |name: &str, cols, rows| tensor(name.to_owned(), kind, vec![cols, rows]);
        let vector = |name: &str, cols| tensor(name.to_owned(), TensorType::F32, vec![cols]);
        let norm = |name: &str| vector(name, self.dim);
        let mut all = vec![
            matrix("token_embd", self.dim, self.vocab_size),
            norm("output_norm"),
        ];
        all.extend((!self.tied).then(|| matrix("output", self.dim, self.vocab_size)));
        let (queries, keys) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        for layer in 0..self.layers {
            let named = |name: &str| format!("blk.{layer}.{name}");
            all.push(norm(&named("attn_norm")));
            all.push(matrix(&named("attn_q"), self.dim, queries));
            all.push(matrix(&named("attn_k"), self.dim, keys));
            all.push(matrix(&named("attn_v"), self.dim, keys));
            all.push(matrix(&named("attn_output"), queries, self.dim));
            all.push(norm(&named("ffn_norm")));
            let (_, experts) = self.experts;
            if experts == 0 {
                all.push(matrix(&named("ffn_gate"), self.dim, self.ffn_dim));
                all.push(matrix(&named("ffn_up"), self.dim, self.ffn_dim));
                all.push(matrix(&named("ffn_down"), self.ffn_dim, self.dim));
                continue;
            }
            let of_all =
                |name: &str, cols, rows| tensor(named(name), kind, vec![cols, rows, experts]);
            let router = vec![self.dim, experts];
            all.push(vector(&named("attn_q_norm"), self.head_dim));
            all.push(vector(&named("attn_k_norm"), self.head_dim));
            all.push(tensor(named("ffn_gate_inp"), TensorType::F32, router));
            all.push(of_all("ffn_gate_exps", self.dim, self.ffn_dim));
            all.push(of_all("ffn_up_exps", self.dim, self.ffn_dim));
            all.push(of_all("ffn_down_exps", self.ffn_dim, self.dim));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{ModelFile, SHAPES};
    use crate::Config;

    #[test]
    fn known_shapes_have_the_sizes_of_their_names() {
        for (name, billions) in [
            ("llama-1b", 1.24),
            ("llama-8b", 8.03),
            ("llama-70b", 70.6),
            ("qwen3-30b-a3b", 30.5),
        ] {
            let file = ModelFile::synthetic(&format!("{name}:f16")).unwrap();
            let weights = file.len() as f64 / 2e9;
            assert!((weights / billions - 1.0).abs() < 0.01, "{name}: {weights}");
        }
        assert!(
            SHAPES
                .iter()
                .all(|shape| ModelFile::synthetic(shape.name).is_ok())
        );
    }

    #[test]
    fn a_synthetic_model_of_fewer_layers_has_these_alone() {
        let file = ModelFile::synthetic("smollm2-135m:q8_0").unwrap();
        let synthetic = file.synthetic_layers(2).unwrap();
        assert_eq!(Config::of(&synthetic).unwrap().layers, 2);
        assert_eq!(synthetic.tensors().len(), 2 + 2 * 9);
    }

    #[test]
    fn unknown_names_are_told_what_there_is() {
        let error = |wanted| ModelFile::synthetic(wanted).unwrap_err().to_string();
        assert!(error("llama-2b").contains("llama-1b"));
        assert!(error("llama-1b:q9").contains("q8_0"));
        assert!(error("smollm2-135m:q4_k").contains("rows of 576 weights"));
    }
}
