//! Attention (Vaswani et al. 2017), its queries grouped over shared keys and values (Ainslie et al. 2023).

use super::Shape;
use crate::{
    Result,
    graph::{
        Activation, Attend, Gate, Graph, Groups, Mask, Norm, NormKind, Rope, RopeStyle, StateKind,
        StateSpec, StoreKv, Tensor, TensorSpec, VectorId,
    },
    model::{
        config::AttentionConfig,
        tensors::{Affine, Finder, Joined},
    },
};

/// Attention's weights in one block, and its numbers.
#[derive(Debug)]
pub struct Attention {
    sizes: AttentionConfig,
    /// Pairs of a head that rotate.
    pairs: u32,
    rope_style: RopeStyle,
    dim: u32,
    /// Queries, keys, values, and a gate where there is one: joined as far as they are stored alike.
    qkv: Joined,
    /// The bias on all of them.
    qkv_bias: Option<VectorId>,
    qk_norm: Option<QkNorm>,
    norm_eps: f32,
    /// Whether what attention finds is multiplied with the sigmoid of a gate, which lies behind the values.
    gated: bool,
    /// From the heads to the residual stream.
    output: Affine,
    softcap: Option<f32>,
}

/// Norms of queries and keys.
#[derive(Debug, Clone, Copy)]
enum QkNorm {
    /// Each head is normed: the weights for queries and for keys, joined.
    Heads(VectorId),
    /// All queries are normed together, and all keys: a weight for each.
    Whole(VectorId, VectorId),
}

impl Attention {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: AttentionConfig,
        index: u32,
    ) -> Result<Attention> {
        let config = finder.config;
        let (qkv, qkv_bias) = find_qkv(finder, &sizes, index)?;
        let q_dim = sizes.heads * sizes.head_dim;
        Ok(Attention {
            pairs: config.rotated_pairs(&sizes),
            rope_style: config.rope_style,
            sizes,
            dim: config.dim,
            qkv,
            qkv_bias,
            qk_norm: find_qk_norm(finder, &sizes, index)?,
            norm_eps: config.norm_epsilon,
            gated: config.attention_gate,
            output: finder.affine(&format!("blk.{index}.attn_output"), q_dim, config.dim)?,
            softcap: config.scales.score_softcap,
        })
    }

    /// Writes attention's ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32, shape: &Shape) -> Tensor {
        let sizes = self.sizes;
        let (heads, kv_heads, head_dim) = (sizes.heads, sizes.kv_heads, sizes.head_dim);
        let (q_dim, kv_dim) = (heads * head_dim, kv_heads * head_dim);
        let gate_dim = if self.gated { q_dim } else { 0 };
        let cols = q_dim + 2 * kv_dim + gate_dim;
        let qkv = g.linear(h, &self.qkv, self.qkv_bias, ("qkv", cols));
        let qkv = self.normed(g, qkv);
        let qkv = self.rotated(g, qkv);
        let [keys, values] = sizes.states(layer, shape).map(|state| g.keep(state));
        g.effect(StoreKv {
            x: qkv,
            start: q_dim,
            kv_heads,
            head_dim,
            keys,
            values,
        });
        let attend = Attend {
            q: qkv,
            heads,
            kv_heads,
            head_dim,
            keys,
            values,
            scale: sizes.scale,
            softcap: self.softcap,
            mask: sizes.window.map_or(Mask::Causal, Mask::Window),
        };
        let att = g.push(attend, TensorSpec::per_row("att", q_dim));
        let att = if self.gated {
            let gate = Gate {
                x: att,
                gate: qkv.from(q_dim + 2 * kv_dim),
                activation: Activation::Sigmoid,
            };
            g.map(att, gate)
        } else {
            att
        };
        let output = [(self.output.matrix, 0)];
        g.linear(att, &output, self.output.bias, ("y", self.dim))
    }

    /// Queries and keys rotated by their positions, where they are.
    fn rotated(&self, g: &mut Graph, qkv: Tensor) -> Tensor {
        let sizes = self.sizes;
        let Some(table) = sizes.rope else {
            return qkv;
        };
        let rope = Rope {
            x: qkv,
            heads: sizes.heads,
            kv_heads: sizes.kv_heads,
            head_dim: sizes.head_dim,
            pairs: self.pairs,
            style: self.rope_style,
            table,
        };
        g.map(qkv, rope)
    }

    /// Queries and keys after their norms.
    fn normed(&self, g: &mut Graph, qkv: Tensor) -> Tensor {
        let sizes = self.sizes;
        let (heads, kv_heads, head_dim) = (sizes.heads, sizes.kv_heads, sizes.head_dim);
        let mut norm = |x, weight, groups| {
            let norm = Norm {
                x,
                kind: NormKind::Rms,
                weight,
                bias: None,
                eps: self.norm_eps,
                groups: Some(groups),
                gate: None,
            };
            g.map(x, norm)
        };
        match self.qk_norm {
            None => qkv,
            Some(QkNorm::Heads(weight)) => {
                let groups = Groups {
                    start: 0,
                    count: heads + kv_heads,
                    cols: head_dim,
                    split: heads,
                };
                norm(qkv, weight, groups)
            }
            Some(QkNorm::Whole(q, k)) => {
                let whole = |start, cols| Groups {
                    start,
                    count: 1,
                    cols,
                    split: 1,
                };
                let q_dim = heads * head_dim;
                let qkv = norm(qkv, q, whole(0, q_dim));
                norm(qkv, k, whole(q_dim, kv_heads * head_dim))
            }
        }
    }
}

impl AttentionConfig {
    /// Keys and values of a layer: cells for every position, or a ring where there is a window.
    pub(super) fn states(&self, layer: u32, shape: &Shape) -> [StateSpec; 2] {
        ["keys", "values"].map(|name| StateSpec {
            name,
            layer,
            kind: StateKind::PerPosition {
                heads: self.kv_heads,
                cells: cells(self.window, shape),
                cell_bytes: shape.cache.bytes(u64::from(self.head_dim)) as u32,
                window: self.window,
            },
        })
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

/// Queries, keys and values, in one tensor or three, and their biases.
fn find_qkv(
    finder: &mut Finder<'_>,
    sizes: &AttentionConfig,
    index: u32,
) -> Result<(Joined, Option<VectorId>)> {
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let (q_dim, kv_dim) = (
        sizes.heads * sizes.head_dim,
        sizes.kv_heads * sizes.head_dim,
    );
    let dim = finder.config.dim;
    if finder.config.attention_gate {
        return Ok((find_gated_qkv(finder, sizes, index)?, None));
    }
    let fused = [("attn_qkv", q_dim + 2 * kv_dim)];
    let three = [("attn_q", q_dim), ("attn_k", kv_dim), ("attn_v", kv_dim)];
    let parts: &[(&str, u32)] = if finder.has(&name("attn_qkv")) {
        &fused
    } else {
        &three
    };
    let mut weights = Vec::new();
    let mut biases = Vec::new();
    for &(part, rows) in parts {
        weights.push(finder.tensor(&name(part), &[dim, rows])?);
        biases.push((format!("blk.{index}.{part}.bias"), rows));
    }
    let bias = if biases.iter().any(|(name, _)| finder.has(name)) {
        Some(finder.vectors_joined(&biases, 1.0)?)
    } else {
        None
    };
    Ok((finder.joined(weights)?, bias))
}

/// Queries, keys, values and gates, of a file whose query tensor has, head by head, the query and then its gate: rows are
/// gathered so that each of the four is one piece.
fn find_gated_qkv(finder: &mut Finder<'_>, sizes: &AttentionConfig, index: u32) -> Result<Joined> {
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let (dim, heads, head_dim) = (finder.config.dim, sizes.heads, sizes.head_dim);
    let kv_dim = sizes.kv_heads * head_dim;
    let both = finder.tensor(&name("attn_q"), &[dim, 2 * heads * head_dim])?;
    let of_head = |head: u32, half: u32| both.rows((2 * head + half) * head_dim, head_dim);
    let mut tensors: Vec<_> = (0..heads).map(|head| of_head(head, 0)).collect();
    for part in ["attn_k", "attn_v"] {
        tensors.push(finder.tensor(&name(part), &[dim, kv_dim])?);
    }
    tensors.extend((0..heads).map(|head| of_head(head, 1)));
    finder.joined(tensors)
}

fn find_qk_norm(
    finder: &mut Finder<'_>,
    sizes: &AttentionConfig,
    index: u32,
) -> Result<Option<QkNorm>> {
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let (q, k) = (name("attn_q_norm"), name("attn_k_norm"));
    let Some(found) = finder.file.tensor(&q) else {
        return Ok(None);
    };
    let head_dim = sizes.head_dim;
    let (q_dim, kv_dim) = (sizes.heads * head_dim, sizes.kv_heads * head_dim);
    Ok(Some(if found.shape == [u64::from(head_dim)] {
        QkNorm::Heads(finder.vectors_joined(&[(q, head_dim), (k, head_dim)], 1.0)?)
    } else {
        QkNorm::Whole(finder.vector(&q, q_dim)?, finder.vector(&k, kv_dim)?)
    }))
}
