//! Attention (Vaswani et al. 2017), its queries grouped over shared keys and values (Ainslie et al. 2023).

use super::{
    Shape,
    projection::{
        OutputGate, QkNorm, find_factor, find_gate, find_qk_norm, find_qkv, find_scores,
        values_are_keys,
    },
};
use crate::{
    Result,
    file::TensorInfo,
    graph::{
        Attend, Columns, Gate, Graph, Groups, Norm, NormKind, Rope, RopeStyle, Scores, StateKind,
        StateSpec, StoreKv, Tensor, TensorSpec, VectorId,
    },
    model::{
        config::AttentionConfig,
        families::HeadNorm,
        tensors::{Affine, Finder, Joined, NormWeights, scaled},
    },
};

/// Weights that attention and another mixer of the block have together.
#[derive(Debug, Default)]
pub struct Shared {
    /// The other's matrix of what both read.
    pub input: Option<TensorInfo>,
    /// Whether one matrix takes both back to the residual stream.
    pub output: bool,
}

/// Attention's weights in one block, and its numbers.
#[derive(Debug)]
pub struct Attention {
    sizes: AttentionConfig,
    /// Pairs of a head that each table rotates.
    pairs: Vec<u32>,
    rope_style: RopeStyle,
    dim: u32,
    /// Queries, keys, values, and a gate where there is one: joined as far as they are stored alike.
    qkv: Joined,
    /// The bias on all of them.
    qkv_bias: Option<VectorId>,
    /// Factors on all of them.
    qkv_factor: Option<VectorId>,
    qk_norm: Option<QkNorm>,
    norm_eps: f32,
    norm_kind: NormKind,
    /// Gates on what attention finds, which lie behind the values.
    gate: Option<OutputGate>,
    norm_after_rope: bool,
    /// Whether keys are values, too, before their norms.
    values_are_keys: bool,
    /// The weight of the values' norm.
    value_norm: Option<VectorId>,
    /// Norm of what attention finds before it goes on.
    sub_norm: Option<VectorId>,
    /// From the heads to the residual stream; none: another mixer's matrix does that, too.
    output: Option<Affine>,
    scores: Scores,
    /// Columns behind its own that its matrices make for another mixer.
    behind: u32,
}

impl Attention {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: AttentionConfig,
        index: u32,
    ) -> Result<Attention> {
        Attention::find_beside(finder, sizes, index, &Shared::default())
    }

    /// The weights of layer `index` beside those of another mixer.
    pub(super) fn find_beside(
        finder: &mut Finder<'_>,
        sizes: AttentionConfig,
        index: u32,
        shared: &Shared,
    ) -> Result<Attention> {
        let config = finder.config;
        let gate = find_gate(finder, &sizes, index)?;
        let behind = shared.input.iter().cloned();
        let (qkv, qkv_bias) = find_qkv(finder, &sizes, (gate, behind.collect()), index)?;
        let q_dim = sizes.heads * sizes.head_dim;
        Ok(Attention {
            pairs: config
                .ropes
                .iter()
                .map(|rope| rope.dimensions / 2)
                .collect(),
            rope_style: config.rope_style,
            sizes,
            dim: config.dim,
            qkv,
            qkv_bias,
            qkv_factor: find_factor(finder, &sizes, gate, index)?,
            qk_norm: find_qk_norm(finder, &sizes, index)?,
            norm_eps: config.norm_epsilon,
            gate,
            norm_after_rope: config.row.head_norm != HeadNorm::BeforeRope,
            values_are_keys: values_are_keys(finder, index),
            value_norm: (config.row.shared_keys).then(|| finder.ones(sizes.head_dim)),
            norm_kind: config.row.norm.kind(),
            sub_norm: finder
                .vector_if_there(&format!("blk.{index}.attn_sub_norm.weight"), q_dim)?,
            output: if shared.output {
                None
            } else {
                let stem = format!("blk.{index}.attn_output");
                Some(finder.affine(&stem, q_dim, config.dim)?)
            },
            scores: find_scores(finder, &sizes, index)?,
            behind: shared.input.as_ref().map_or(0, |t| t.shape[1] as u32),
        })
    }

    /// Writes attention's ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32, shape: &Shape) -> Tensor {
        let qkv = self.input(g, h);
        let spec = TensorSpec::per_row("att", self.q_dim());
        let att = self.attended(g, (qkv, spec), layer, shape);
        self.output(g, att)
    }

    /// Columns of queries, keys, values and gates.
    pub(super) fn input_cols(&self) -> u32 {
        let kv_dim = self.sizes.kv_heads * self.sizes.head_dim;
        let gate_dim = self.gate.map_or(0, |gate| gate.cols);
        self.q_dim() + self.key_matrices() * kv_dim + gate_dim
    }

    /// Queries, keys, values and gates, and what is another mixer's.
    pub(super) fn input(&self, g: &mut Graph, h: Tensor) -> Tensor {
        let cols = self.input_cols() + self.behind;
        let qkv = g.linear(h, &self.qkv, self.qkv_bias, ("qkv", cols));
        scaled(g, qkv, self.qkv_factor)
    }

    /// Results of all heads on their way back to the residual stream.
    pub(super) fn output(&self, g: &mut Graph, att: Tensor) -> Tensor {
        let output = self.output.as_ref().expect("a matrix of its own");
        output.ops(g, att, ("y", self.dim))
    }

    /// Finds what queries ask for, in the first columns of a tensor like `spec`.
    pub(super) fn attended(
        &self,
        g: &mut Graph,
        (qkv, spec): (Tensor, TensorSpec),
        layer: u32,
        shape: &Shape,
    ) -> Tensor {
        let sizes = self.sizes;
        let (heads, kv_heads, head_dim) = (sizes.heads, sizes.kv_heads, sizes.head_dim);
        let (q_dim, kv_dim) = (heads * head_dim, kv_heads * head_dim);
        let (v, made) = (self.values(g, qkv), qkv);
        let (q, k, qkv) = self.queries_and_keys(g, qkv);
        // Norms of whole rows of queries and keys leave values beside them.
        let beside = Columns { tensor: qkv, ..v };
        let v = if v.tensor == made { beside } else { v };
        let [keys, values] = match sizes.shares {
            Some(other) => ["keys", "values"].map(|name| {
                let state = g.state_of(other, name);
                state.expect("layers share what one before them keeps")
            }),
            None => sizes.states(layer, shape).map(|state| g.keep(state)),
        };
        if sizes.shares.is_none() {
            g.effect(StoreKv {
                k,
                v,
                kv_heads,
                head_dim,
                value_dim: head_dim,
                keys,
                values: Some(values),
            });
        }
        let attend = Attend {
            q,
            heads,
            kv_heads,
            head_dim,
            value_dim: head_dim,
            keys,
            values: Some(values),
            scale: sizes.scale,
            scores: self.scores,
            mask: sizes.mask,
        };
        let att = g.push(attend, spec);
        let att = match self.gate {
            Some(OutputGate { cols, activation }) => {
                let gate = Gate {
                    x: att,
                    gate: qkv.from(q_dim + self.key_matrices() * kv_dim),
                    dense: false,
                    share: q_dim / cols,
                    activation,
                };
                g.map(att, gate)
            }
            None => att,
        };
        match self.sub_norm {
            Some(weight) => g.norm(self.norm_of(att, weight, None), "att"),
            None => att,
        }
    }

    /// Queries, keys, and the tensor that has values and gates, after norms and rotation in the family's order.
    fn queries_and_keys(&self, g: &mut Graph, qkv: Tensor) -> (Tensor, Columns, Tensor) {
        if self.norm_after_rope {
            let (q, k) = self.rotated(g, qkv);
            if self.qk_norm.is_none() {
                return (q, k, qkv);
            }
            let (qk, _) = self.normed(g, q);
            return (qk, qk.from(self.q_dim()), qkv);
        }
        let (qk, qkv) = self.normed(g, qkv);
        let (q, k) = self.rotated(g, qk);
        (q, k, qkv)
    }

    /// Queries and keys of `qk` rotated by their positions, where they are: together, or by tables of their own.
    fn rotated(&self, g: &mut Graph, qk: Tensor) -> (Tensor, Columns) {
        let (sizes, keys) = (self.sizes, qk.from(self.q_dim()));
        match (sizes.rope, sizes.query_rope) {
            (None, None) => (qk, keys),
            (Some(table), None) => {
                let rope = self.rope(qk.from(0), (sizes.heads, self.key_heads()), table);
                let qk = g.push(rope, self.heads_spec());
                (qk, qk.from(self.q_dim()))
            }
            (own, Some(table)) => {
                let rope = self.rope(qk.from(0), (sizes.heads, 0), table);
                let q = g.push(rope, TensorSpec::per_row("q", self.q_dim()));
                let Some(table) = own else {
                    return (q, keys);
                };
                let rope = self.rope(keys, (0, sizes.kv_heads), table);
                let cols = sizes.kv_heads * sizes.head_dim;
                let k = g.push(rope, TensorSpec::per_row("k", cols));
                (q, k.from(0))
            }
        }
    }

    fn rope(&self, x: Columns, (heads, kv_heads): (u32, u32), table: usize) -> Rope {
        Rope {
            x,
            heads,
            kv_heads,
            head_dim: self.sizes.head_dim,
            pairs: self.pairs[table],
            skipped: 0,
            style: self.rope_style,
            table,
        }
    }

    /// Values of all queries.
    pub(super) fn q_dim(&self) -> u32 {
        self.sizes.heads * self.sizes.head_dim
    }

    /// Queries and keys by themselves.
    fn heads_spec(&self) -> TensorSpec {
        let sizes = self.sizes;
        TensorSpec::per_row("qk", (sizes.heads + self.key_heads()) * sizes.head_dim)
    }

    /// Key heads of its own.
    fn key_heads(&self) -> u32 {
        let sizes = self.sizes;
        sizes.shares.map_or(sizes.kv_heads, |_| 0)
    }

    /// How many of keys and values have rows in its matrix: neither, keys for both, or both.
    fn key_matrices(&self) -> u32 {
        match (self.sizes.shares, self.values_are_keys) {
            (Some(_), _) => 0,
            (None, true) => 1,
            (None, false) => 2,
        }
    }

    /// The values, after their norm where they have one.
    fn values(&self, g: &mut Graph, qkv: Tensor) -> Columns {
        let sizes = self.sizes;
        let (q_dim, kv_dim) = (
            sizes.heads * sizes.head_dim,
            sizes.kv_heads * sizes.head_dim,
        );
        let start = q_dim + if self.values_are_keys { 0 } else { kv_dim };
        let Some(weight) = self.value_norm.filter(|_| sizes.shares.is_none()) else {
            return qkv.from(start);
        };
        let groups = Groups {
            alone: true,
            start,
            count: sizes.kv_heads,
            cols: sizes.head_dim,
            split: sizes.kv_heads,
        };
        let norm = self.norm_of(qkv, weight, Some(groups));
        let v = g.push(norm, TensorSpec::per_row("v", kv_dim));
        v.from(0)
    }

    /// A norm of `x`, or of groups of it.
    fn norm_of(&self, x: Tensor, weight: VectorId, groups: Option<Groups>) -> Norm {
        Norm {
            x,
            kind: self.norm_kind,
            weight,
            bias: None,
            eps: self.norm_eps,
            groups,
            gate: None,
        }
    }

    /// Queries and keys after their norms, and the tensor that has values and gates.
    fn normed(&self, g: &mut Graph, qkv: Tensor) -> (Tensor, Tensor) {
        let sizes = self.sizes;
        let (heads, kv_heads, head_dim) = (sizes.heads, sizes.kv_heads, sizes.head_dim);
        let by_heads = |split| Groups {
            alone: true,
            start: 0,
            count: heads + self.key_heads(),
            cols: head_dim,
            split,
        };
        match self.qk_norm {
            None => (qkv, qkv),
            Some(QkNorm::Heads(weight)) => {
                let norm = self.norm_of(qkv, weight, Some(by_heads(heads)));
                (g.push(norm, self.heads_spec()), qkv)
            }
            Some(QkNorm::Each(weight)) => {
                let norm = self.norm_of(qkv, weight, Some(by_heads(0)));
                (g.push(norm, self.heads_spec()), qkv)
            }
            Some(QkNorm::Whole(q, k)) => {
                let whole = |start, cols| Groups {
                    alone: false,
                    start,
                    count: 1,
                    cols,
                    split: 1,
                };
                let q_dim = heads * head_dim;
                let k_groups = whole(q_dim, kv_heads * head_dim);
                let parts = [(q, whole(0, q_dim)), (k, k_groups)];
                let normed = parts.into_iter().fold(qkv, |qkv, (norm, groups)| {
                    let NormWeights { kind, weight, bias } = norm;
                    let norm = self.norm_of(qkv, weight, Some(groups));
                    g.map(qkv, Norm { kind, bias, ..norm })
                });
                (normed, normed)
            }
        }
    }
}

impl AttentionConfig {
    /// Keys and values of a layer: cells for every position, or a ring where there is a window of the past.
    pub(super) fn states(&self, layer: u32, shape: &Shape) -> [StateSpec; 2] {
        ["keys", "values"].map(|name| self.state(name, layer, shape))
    }

    /// Keys, or values, of a layer.
    pub(super) fn state(&self, name: &'static str, layer: u32, shape: &Shape) -> StateSpec {
        let window = self.window();
        let cells = cells(window, shape);
        StateSpec {
            name,
            layer,
            kind: StateKind::PerPosition {
                heads: self.kv_heads,
                cells,
                cell_bytes: shape.cache.bytes(u64::from(self.head_dim)) as u32,
                // A ring as long as the context never turns.
                window: window.filter(|_| cells < shape.context),
            },
        }
    }
}

/// Cells of a cache: one for each position; with a window that many, and what a pass or an overshoot of sampled tokens
/// writes before it is read.
fn cells(window: Option<u32>, shape: &Shape) -> u32 {
    let ring = |window: u32| window + shape.prefill_batch.max(OVERSHOOT);
    window.map_or(shape.context, |window| ring(window).min(shape.context))
}

/// Tokens that may be in a cache beyond what is then kept of them.
const OVERSHOOT: u32 = 32;
