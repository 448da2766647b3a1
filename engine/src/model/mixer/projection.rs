//! Weights of attention in a file: queries, keys, values and gates, their norms, factors and biases.

use crate::{
    Error, Result, Unsupported,
    file::TensorInfo,
    graph::{Activation, Scores, VectorId},
    model::{
        config::{AttentionConfig, BlockConfig},
        families::HeadNorm,
        tensors::{Finder, Joined, NormWeights},
    },
};

/// Gates on a row of what attention finds.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputGate {
    /// How many there are: one for each value, or for each head.
    pub cols: u32,
    /// The function that they go through.
    pub activation: Activation,
}

/// Norms of queries and keys.
#[derive(Debug, Clone, Copy)]
pub(super) enum QkNorm {
    /// Each head is normed: the weights for queries and for keys, joined.
    Heads(VectorId),
    /// Each head is normed, with a weight of its own.
    Each(VectorId),
    /// All queries are normed together, and all keys: a norm for each.
    Whole(NormWeights, NormWeights),
}

/// Factors on queries, keys and values, where the layer has any.
pub(super) fn find_factor(
    finder: &mut Finder<'_>,
    sizes: &AttentionConfig,
    gate: Option<OutputGate>,
    index: u32,
) -> Result<Option<VectorId>> {
    let (q, kv) = (
        sizes.heads * sizes.head_dim,
        sizes.kv_heads * sizes.head_dim,
    );
    let parts = [("attn_q", q), ("attn_k", kv), ("attn_v", kv)];
    let parts = parts.map(|(part, rows)| (format!("blk.{index}.{part}"), rows));
    match (finder.factors(&parts)?, gate) {
        (Some(_), Some(_)) => Err(Error::unsupported(
            Unsupported::Tensor,
            format!("blk.{index}: factors on queries beside a gate are not run here"),
        )),
        (factor, _) => Ok(factor),
    }
}

/// Treatment of scores: sinks where the layer has them, a softcap, or none.
pub(super) fn find_scores(
    finder: &mut Finder<'_>,
    sizes: &AttentionConfig,
    index: u32,
) -> Result<Scores> {
    let name = format!("blk.{index}.attn_sinks.weight");
    let scales = finder.config.scales;
    let sinks = finder.vector_if_there(&name, sizes.heads)?;
    let treatments = [
        scales.score_softcap.map(Scores::Softcap),
        scales.alibi.map(Scores::Alibi),
        sinks.map(Scores::Sinks),
    ];
    let mut treatments = treatments.into_iter().flatten();
    match (treatments.next(), treatments.next()) {
        (one, None) => Ok(one.unwrap_or(Scores::Plain)),
        _ => Err(Error::unsupported(
            Unsupported::Tensor,
            format!("blk.{index}: only one of softcap, ALiBi and sinks is run here"),
        )),
    }
}

/// Gates that the queries' matrix or one of their own makes.
pub(super) fn find_gate(
    finder: &Finder<'_>,
    sizes: &AttentionConfig,
    index: u32,
) -> Result<Option<OutputGate>> {
    let row = finder.config.row;
    let q_dim = sizes.heads * sizes.head_dim;
    let gate = |cols| OutputGate {
        cols,
        activation: row.gate_activation,
    };
    if row.gated_queries {
        return Ok(Some(gate(q_dim)));
    }
    let name = format!("blk.{index}.attn_gate.weight");
    let Some(tensor) = finder.file.tensor(&name) else {
        return Ok(None);
    };
    let rows = tensor.shape.get(1).copied().unwrap_or(0);
    let cols = [sizes.heads, q_dim]
        .into_iter()
        .find(|&cols| u64::from(cols) == rows);
    cols.map(|cols| Some(gate(cols))).ok_or_else(|| {
        let heads = sizes.heads;
        Error::bad_file(format!(
            "{name} has {rows} rows, neither one for each of {heads} heads nor of {q_dim} values"
        ))
    })
}

/// Whether keys are values, too, as in families that may have it so where there is no matrix of values.
pub(super) fn values_are_keys(finder: &Finder<'_>, index: u32) -> bool {
    let has = |part: &str| finder.has(&format!("blk.{index}.{part}.weight"));
    finder.config.row.shared_keys && has("attn_k") && !has("attn_v")
}

/// Queries, keys and values, in one tensor or three, with a gate and more tensors behind them, and their biases.
pub(super) fn find_qkv(
    finder: &mut Finder<'_>,
    sizes: &AttentionConfig,
    (gate, behind): (Option<OutputGate>, Vec<TensorInfo>),
    index: u32,
) -> Result<(Joined, Option<VectorId>)> {
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let (q_dim, kv_dim) = (
        sizes.heads * sizes.head_dim,
        sizes.kv_heads * sizes.head_dim,
    );
    let dim = finder.config.dim;
    if finder.config.row.gated_queries {
        return Ok((find_gated_qkv(finder, sizes, index)?, None));
    }
    let mut parts = if finder.has(&name("attn_qkv")) {
        vec![("attn_qkv", q_dim + 2 * kv_dim)]
    } else if sizes.shares.is_some() {
        vec![("attn_q", q_dim)]
    } else if values_are_keys(finder, index) {
        vec![("attn_q", q_dim), ("attn_k", kv_dim)]
    } else {
        vec![("attn_q", q_dim), ("attn_k", kv_dim), ("attn_v", kv_dim)]
    };
    let mut biases = Vec::new();
    for &(part, rows) in &parts {
        biases.push((format!("blk.{index}.{part}.bias"), rows));
    }
    parts.extend(gate.map(|gate| ("attn_gate", gate.cols)));
    let mut weights = parts
        .iter()
        .map(|&(part, rows)| finder.tensor(&name(part), &[dim, rows]))
        .collect::<Result<Vec<_>>>()?;
    weights.extend(behind);
    let bias = if biases.iter().any(|(name, _)| finder.has(name)) {
        if gate.is_some() {
            return Err(Error::unsupported(
                Unsupported::Tensor,
                format!("blk.{index}: biases of queries beside a gate are not run here"),
            ));
        }
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

pub(super) fn find_qk_norm(
    finder: &mut Finder<'_>,
    sizes: &AttentionConfig,
    index: u32,
) -> Result<Option<QkNorm>> {
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let (q, k) = (name("attn_q_norm"), name("attn_k_norm"));
    let head_dim = sizes.head_dim;
    let config = finder.config;
    // Llama 4 with 128 experts has none, and GGUF has no key that says so.
    let experts = |block: &BlockConfig| {
        let experts = block.ffn.and_then(|ffn| ffn.experts);
        experts.is_some_and(|e| e.n_experts == 128)
    };
    let stated = finder.file.metadata().bool("lantern.qk_norm")?;
    let normed = stated.unwrap_or_else(|| !config.blocks.iter().any(experts));
    let plain = config.row.head_norm == HeadNorm::AfterRopePlain;
    if plain && sizes.rope.is_some() && normed {
        return Ok(Some(QkNorm::Heads(finder.ones(2 * head_dim))));
    }
    let Some(found) = finder.file.tensor(&q) else {
        return Ok(None);
    };
    let (q_dim, kv_dim) = (sizes.heads * head_dim, sizes.kv_heads * head_dim);
    let each = [u64::from(head_dim), u64::from(sizes.heads)];
    Ok(Some(if found.shape == [u64::from(head_dim)] {
        let keys = sizes.shares.is_none().then_some((k, head_dim));
        let parts: Vec<_> = [(q, head_dim)].into_iter().chain(keys).collect();
        QkNorm::Heads(finder.vectors_joined(&parts, 1.0)?)
    } else if found.shape == each {
        let parts = [(q, sizes.heads), (k, sizes.kv_heads)];
        QkNorm::Each(finder.flat_vectors(&parts.map(|(name, heads)| (name, [head_dim, heads])))?)
    } else {
        let mut whole = |part: &str, dim| {
            let name = format!("blk.{index}.{part}");
            let weight = finder.vector(&format!("{name}.weight"), dim)?;
            let bias = finder.vector_if_there(&format!("{name}.bias"), dim)?;
            let kind = config.row.norm.kind();
            Ok::<_, Error>(NormWeights { kind, weight, bias })
        };
        QkNorm::Whole(whole("attn_q_norm", q_dim)?, whole("attn_k_norm", kv_dim)?)
    }))
}
