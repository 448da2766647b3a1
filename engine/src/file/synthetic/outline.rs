//! Header of a model of a known shape: its metadata and tensors, listed by its family.

use super::super::{Metadata, TensorInfo, Value, types::TensorType};

/// A known model.
pub struct Shape {
    /// The name that it is asked for by.
    pub name: &'static str,
    /// `general.architecture`, the prefix of its keys.
    pub family: &'static str,
    /// Tokens of its vocabulary.
    pub vocab_size: u64,
    /// Whether logits come from the embedding's own matrix.
    pub tied: bool,
    /// Whole numbers of its metadata, as its publisher's `config.json` has them.
    pub keys: &'static [(&'static str, u64)],
    /// Lists all else.
    pub rest: fn(&mut Outline),
}

/// A header while it is written.
pub struct Outline {
    pub metadata: Metadata,
    pub tensors: Vec<TensorInfo>,
    family: &'static str,
    kind: TensorType,
}

impl Shape {
    /// The header of this model, its weights of a stored type.
    pub fn outline(&self, kind: TensorType) -> Outline {
        let mut outline = Outline {
            metadata: Metadata::default(),
            tensors: vec![],
            family: self.family,
            kind,
        };
        let stored = kind.name().to_lowercase();
        let mut text = |key: &str, text: String| {
            outline.metadata.0.insert(key.to_owned(), Value::Text(text));
        };
        text("general.architecture", self.family.to_owned());
        text("general.name", format!("{} {stored}, synthetic", self.name));
        for &(key, number) in self.keys {
            outline.put(key, Value::Unsigned(number));
        }
        let dim = outline.dim();
        outline.matrix("token_embd", dim, self.vocab_size);
        if !self.tied {
            outline.matrix("output", dim, self.vocab_size);
        }
        (self.rest)(&mut outline);
        outline
    }
}

impl Outline {
    /// Puts a value under a key of the family.
    pub fn put(&mut self, key: &str, value: Value) {
        let key = format!("{}.{key}", self.family);
        self.metadata.0.insert(key, value);
    }

    /// A whole number of the metadata; 0 where there is none.
    pub fn number(&self, key: &str) -> u64 {
        match self.metadata.0.get(&format!("{}.{key}", self.family)) {
            Some(Value::Unsigned(number)) => *number,
            _ => 0,
        }
    }

    /// A whole number of a layer, of those that have one each.
    pub fn number_of(&self, key: &str, layer: u64) -> u64 {
        match self.metadata.0.get(&format!("{}.{key}", self.family)) {
            Some(Value::Integers(all)) => all[layer as usize] as u64,
            _ => self.number(key),
        }
    }

    /// Values of the residual stream.
    pub fn dim(&self) -> u64 {
        self.number("embedding_length")
    }

    /// Numbers of all layers.
    pub fn layers(&self) -> std::ops::Range<u64> {
        0..self.number("block_count")
    }

    /// Adds a matrix of `rows` of `cols` weights.
    pub fn matrix(&mut self, name: &str, cols: u64, rows: u64) {
        self.tensor(&format!("{name}.weight"), self.kind, vec![cols, rows]);
    }

    /// Adds a matrix whose rows may be no multiple of a block: then it is Q8_0, as converters have it.
    pub fn narrow(&mut self, name: &str, shape: Vec<u64>) {
        let whole = shape[0].is_multiple_of(self.kind.block_weights());
        let kind = if whole { self.kind } else { TensorType::Q8_0 };
        self.tensor(&format!("{name}.weight"), kind, shape);
    }

    /// Adds matrices of all experts.
    pub fn experts(&mut self, name: &str, cols: u64, rows: u64) {
        let shape = vec![cols, rows, self.number("expert_count")];
        self.narrow(name, shape);
    }

    /// Adds a vector.
    pub fn vector(&mut self, name: &str, len: u64) {
        self.floats(&format!("{name}.weight"), vec![len]);
    }

    /// Adds a tensor of f32, by its whole name.
    pub fn floats(&mut self, name: &str, shape: Vec<u64>) {
        self.tensor(name, TensorType::F32, shape);
    }

    fn tensor(&mut self, name: &str, kind: TensorType, shape: Vec<u64>) {
        self.tensors.push(TensorInfo {
            bytes: shape.iter().product::<u64>() / kind.block_weights() * kind.block_bytes(),
            name: name.to_owned(),
            shape,
            kind,
            offset: 0,
            part: 0,
        });
    }

    /// Adds queries, keys and values, and the matrix behind them.
    pub fn attention(&mut self, layer: u64, head_dim: u64) {
        let (dim, name) = (self.dim(), |part: &str| format!("blk.{layer}.{part}"));
        let heads = self.number("attention.head_count") * head_dim;
        let keys = self.number_of("attention.head_count_kv", layer) * head_dim;
        self.matrix(&name("attn_q"), dim, heads);
        self.matrix(&name("attn_k"), dim, keys);
        self.matrix(&name("attn_v"), dim, keys);
        self.matrix(&name("attn_output"), heads, dim);
    }

    /// Adds norms of heads of queries and keys.
    pub fn head_norms(&mut self, layer: u64, head_dim: u64) {
        self.vector(&format!("blk.{layer}.attn_q_norm"), head_dim);
        self.vector(&format!("blk.{layer}.attn_k_norm"), head_dim);
    }

    /// Adds an MLP with a gate.
    pub fn mlp(&mut self, layer: u64, ffn_dim: u64) {
        let (dim, name) = (self.dim(), |part: &str| format!("blk.{layer}.{part}"));
        self.matrix(&name("ffn_gate"), dim, ffn_dim);
        self.matrix(&name("ffn_up"), dim, ffn_dim);
        self.narrow(&name("ffn_down"), vec![ffn_dim, dim]);
    }

    /// Adds a router and experts with gates.
    pub fn mixture(&mut self, layer: u64) {
        let (dim, name) = (self.dim(), |part: &str| format!("blk.{layer}.{part}"));
        let ffn_dim = self.number("expert_feed_forward_length");
        let router = vec![dim, self.number("expert_count")];
        self.floats(&name("ffn_gate_inp.weight"), router);
        self.experts(&name("ffn_gate_exps"), dim, ffn_dim);
        self.experts(&name("ffn_up_exps"), dim, ffn_dim);
        self.experts(&name("ffn_down_exps"), ffn_dim, dim);
    }

    /// Adds the expert that all rows share.
    pub fn shared_expert(&mut self, layer: u64, ffn_dim: u64) {
        let (dim, name) = (self.dim(), |part: &str| format!("blk.{layer}.{part}"));
        self.matrix(&name("ffn_gate_shexp"), dim, ffn_dim);
        self.matrix(&name("ffn_up_shexp"), dim, ffn_dim);
        self.matrix(&name("ffn_down_shexp"), ffn_dim, dim);
    }
}
