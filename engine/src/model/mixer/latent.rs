//! Multi-head latent attention (DeepSeek-V2, DeepSeek-AI 2024, section 2.1), absorbed: queries are taken to the space of
//! latent keys, of which each position keeps one, and what they find there back to the heads' values.

use super::Shape;
use crate::{
    Error, Result, Unsupported,
    graph::{
        Attend, Columns, Graph, Groups, HeadLinear, Mask, MatrixId, Norm, Rope, RopeStyle, Scores,
        StateSpec, StoreKv, Tensor, TensorSpec, VectorId,
    },
    model::{
        config::LatentConfig,
        tensors::{Affine, Finder},
    },
};

/// Latent attention's weights in one block, and its numbers.
#[derive(Debug)]
pub struct Latent {
    config: LatentConfig,
    rope_style: RopeStyle,
    dim: u32,
    norm_eps: f32,
    queries: Queries,
    /// Latent keys, and what is rotated of them behind.
    keys: Affine,
    /// Norm of the latent keys.
    key_norm: VectorId,
    /// From a query's head to the latent space.
    absorb: HeadMatrix,
    /// From the latent space to a value's head.
    values: HeadMatrix,
    /// From the heads to the residual stream.
    output: Affine,
}

/// The way to queries.
#[derive(Debug)]
enum Queries {
    /// One matrix.
    Direct(Affine),
    /// Two, with a norm between.
    LowRank {
        down: Affine,
        rank: u32,
        norm: VectorId,
        up: Affine,
    },
}

/// Matrices of all heads, in one.
#[derive(Debug, Clone, Copy)]
struct HeadMatrix {
    matrix: MatrixId,
    head_rows: u32,
    first_row: u32,
    rows: u32,
    cols: u32,
    transposed: bool,
}

impl LatentConfig {
    /// Latent keys of a layer.
    pub(super) fn state(&self, layer: u32, shape: &Shape) -> StateSpec {
        self.attention.state("keys", layer, shape)
    }
}

impl Latent {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        config: LatentConfig,
        index: u32,
    ) -> Result<Latent> {
        let (sizes, heads) = (config.sizes, config.attention.heads);
        let name = |part: &str| format!("blk.{index}.{part}");
        let dim = finder.config.dim;
        let [absorb, values] = find_heads(finder, &config, index)?;
        Ok(Latent {
            rope_style: finder.config.rope_style,
            dim,
            norm_eps: finder.inner_epsilon,
            queries: Queries::find(finder, &config, index)?,
            keys: finder.affine(&name("attn_kv_a_mqa"), dim, sizes.cached_dim())?,
            key_norm: finder.vector(&name("attn_kv_a_norm.weight"), sizes.latent_dim)?,
            absorb,
            values,
            output: finder.affine(&name("attn_output"), heads * sizes.value_dim, dim)?,
            config,
        })
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32, shape: &Shape) -> Tensor {
        let LatentConfig { attention, sizes } = self.config;
        let q = self.queries(g, h);
        let kv = self.normed_keys(g, h);
        let k = match attention.rope {
            Some(table) => {
                let rope = Rope {
                    skipped: sizes.latent_dim,
                    pairs: sizes.rotated_dim / 2,
                    ..self.rope(kv.from(0), (0, 1), sizes.cached_dim(), table)
                };
                g.push(rope, TensorSpec::per_row("k", sizes.cached_dim()))
            }
            None => kv,
        };
        let keys = g.keep(self.config.state(layer, shape));
        g.effect(StoreKv {
            k: k.from(0),
            v: kv.from(0),
            kv_heads: 1,
            head_dim: sizes.cached_dim(),
            value_dim: sizes.latent_dim,
            keys,
            values: None,
        });
        let attend = Attend {
            q,
            heads: attention.heads,
            kv_heads: 1,
            head_dim: sizes.cached_dim(),
            value_dim: sizes.latent_dim,
            keys,
            values: None,
            scale: attention.scale,
            scores: Scores::Plain,
            mask: Mask::Causal,
        };
        let cols = attention.heads * sizes.latent_dim;
        let att = g.push(attend, TensorSpec::per_row("latent", cols));
        let att = self.head_product(g, &self.values, (att, sizes.latent_dim), (0, "att"));
        self.output.ops(g, att, ("y", self.dim))
    }

    /// Queries in the space of latent keys, what rotates behind.
    fn queries(&self, g: &mut Graph, h: Tensor) -> Tensor {
        let LatentConfig { attention, sizes } = self.config;
        let (heads, key_dim) = (attention.heads, sizes.key_dim());
        let mut q = self.queries.ops(g, h, heads * key_dim, self.norm_eps);
        let grown = attention.query_rope.map(|table| (table, 0, key_dim));
        let rotated = attention
            .rope
            .map(|table| (table, sizes.plain_dim, sizes.rotated_dim));
        for (table, skipped, values) in [grown, rotated].into_iter().flatten() {
            let rope = Rope {
                skipped,
                pairs: values / 2,
                ..self.rope(q.from(0), (heads, 0), key_dim, table)
            };
            q = g.map(q, rope);
        }
        self.head_product(g, &self.absorb, (q, key_dim), (sizes.rotated_dim, "q"))
    }

    /// Keys, of which the latent part is normed.
    fn normed_keys(&self, g: &mut Graph, h: Tensor) -> Tensor {
        let sizes = self.config.sizes;
        let kv = self.keys.ops(g, h, ("kv", sizes.cached_dim()));
        let latent = Groups {
            alone: false,
            start: 0,
            count: 1,
            cols: sizes.latent_dim,
            split: 1,
        };
        let norm = Norm {
            groups: Some(latent),
            ..Norm::rms(kv, self.key_norm, self.norm_eps)
        };
        g.map(kv, norm)
    }

    fn rope(&self, x: Columns, (heads, kv_heads): (u32, u32), head_dim: u32, table: usize) -> Rope {
        Rope {
            x,
            heads,
            kv_heads,
            head_dim,
            pairs: 0,
            skipped: 0,
            style: self.rope_style,
            table,
        }
    }

    /// Every head of `x`, which are `x_head` apart, by its matrix; `kept` values behind each stay.
    fn head_product(
        &self,
        g: &mut Graph,
        by: &HeadMatrix,
        (x, x_head): (Tensor, u32),
        (kept, name): (u32, &'static str),
    ) -> Tensor {
        let heads = self.config.attention.heads;
        let linear = HeadLinear {
            x: x.from(0),
            x_head,
            heads,
            matrix: by.matrix,
            head_rows: by.head_rows,
            first_row: by.first_row,
            rows: by.rows,
            cols: by.cols,
            transposed: by.transposed,
            kept,
        };
        let cols = heads * linear.y_head();
        g.push(linear, TensorSpec::per_row(name, cols))
    }

    /// Whether `matrix` has a matrix for each head.
    pub(super) fn has_heads(&self, matrix: MatrixId) -> bool {
        [self.absorb.matrix, self.values.matrix].contains(&matrix)
    }
}

impl Queries {
    fn find(finder: &mut Finder<'_>, config: &LatentConfig, index: u32) -> Result<Queries> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (dim, sizes) = (finder.config.dim, config.sizes);
        let rows = config.attention.heads * sizes.key_dim();
        if !finder.has(&name("attn_q_a.weight")) {
            return Ok(Queries::Direct(finder.affine(
                &name("attn_q"),
                dim,
                rows,
            )?));
        }
        let rank = sizes.query_rank.ok_or_else(|| {
            let tensor = name("attn_q_a.weight");
            Error::bad_file(format!(
                "metadata attention.q_lora_rank is missing beside {tensor}"
            ))
        })?;
        Ok(Queries::LowRank {
            down: finder.affine(&name("attn_q_a"), dim, rank)?,
            rank,
            norm: finder.vector(&name("attn_q_a_norm.weight"), rank)?,
            up: finder.affine(&name("attn_q_b"), rank, rows)?,
        })
    }

    fn ops(&self, g: &mut Graph, h: Tensor, cols: u32, eps: f32) -> Tensor {
        match self {
            Queries::Direct(matrix) => matrix.ops(g, h, ("q", cols)),
            Queries::LowRank {
                down,
                rank,
                norm,
                up,
            } => {
                let low = down.ops(g, h, ("q_a", *rank));
                let low = g.norm(Norm::rms(low, *norm, eps), "q_a");
                up.ops(g, low, ("q", cols))
            }
        }
    }
}

/// Matrices of heads into the latent space and out of it: two tensors, or one, of whose rows a head has some for its keys and
/// then some for its values, both from the latent space. Keys' are then multiplied transposed, as they are stored.
fn find_heads(
    finder: &mut Finder<'_>,
    config: &LatentConfig,
    index: u32,
) -> Result<[HeadMatrix; 2]> {
    let weight = |part: &str| format!("blk.{index}.{part}.weight");
    let (sizes, heads) = (config.sizes, config.attention.heads);
    let (latent, plain, value) = (sizes.latent_dim, sizes.plain_dim, sizes.value_dim);
    let joined = weight("attn_kv_b");
    if finder.has(&joined) {
        let head_rows = plain + value;
        let tensor = finder.tensor(&joined, &[latent, heads * head_rows])?;
        let matrix = finder.matrix(vec![tensor], false)?;
        check_whole(finder, matrix)?;
        let keys = HeadMatrix {
            matrix,
            head_rows,
            first_row: 0,
            rows: plain,
            cols: latent,
            transposed: true,
        };
        let values = HeadMatrix {
            first_row: plain,
            rows: value,
            transposed: false,
            ..keys
        };
        return Ok([keys, values]);
    }
    let mut find = |part: &str, cols: u32, rows: u32| {
        let tensor = finder.tensor(&weight(part), &[cols, rows, heads])?;
        let matrix = finder.matrix(vec![tensor.flat()?], false)?;
        check_whole(finder, matrix)?;
        Ok(HeadMatrix {
            matrix,
            head_rows: rows,
            first_row: 0,
            rows,
            cols,
            transposed: false,
        })
    };
    Ok([
        find("attn_k_b", plain, latent)?,
        find("attn_v_b", latent, value)?,
    ])
}

/// Refuses a matrix of heads that does not fit one binding.
fn check_whole(finder: &Finder<'_>, matrix: MatrixId) -> Result<()> {
    let matrix = &finder.matrices[matrix];
    if matrix.pieces.len() == 1 {
        return Ok(());
    }
    let name = &matrix.name;
    Err(Error::unsupported(
        Unsupported::Shape,
        format!(
            "{name} is larger than a binding of this adapter: matrices of heads are run here in one piece"
        ),
    ))
}
