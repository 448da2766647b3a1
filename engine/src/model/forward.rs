//! The forward pass of a model as a graph: embedding, blocks, logits.

use super::{
    block::stream_norm,
    config::{Config, Pooling},
    draft::Draft,
    layout::Layout,
    mixer::Shape,
    pooling,
    tensors::Head,
};
use crate::graph::{
    Activate, Activation, Embed, Graph, Linear, Lookup, MatrixId, Section, Shift, StateSpec,
    Tensor, TensorSpec, Which,
};

/// Results that a pass ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Logits of the last row, or of every one.
    Logits,
    /// Rows of texts.
    Rows(Pooling),
    /// Logits and rows, both of every one, of the block that drafts further tokens.
    Draft,
}

impl Ending {
    /// The usual one of a model: logits, where it has some.
    pub fn of(config: &Config, layout: &Layout) -> Ending {
        match layout.head {
            Some(_) => Ending::Logits,
            None => Ending::Rows(config.usual_pooling()),
        }
    }

    /// The state that it keeps of each sequence.
    pub fn state(self, config: &Config) -> Option<StateSpec> {
        let pools = !matches!(
            self,
            Ending::Logits | Ending::Draft | Ending::Rows(Pooling::None)
        );
        pools.then(|| pooling::state(config))
    }
}

/// The graph of a model's pass that ends so: with the logits of these sections, or with rows of texts.
pub fn forward(
    (config, layout): (&Config, &Layout),
    shape: &Shape,
    (ending, heads): (Ending, &[Section]),
) -> Graph {
    let mut g = Graph::default();
    let table = (layout.embedding, config.dim);
    let x = look_up(&mut g, config, table, Lookup::Token);
    g.embedded = Some(x);
    g.set_section(Section::Body);
    let mut x = match layout.positions {
        Some(table) => {
            let positions = look_up(&mut g, config, (table, config.dim), Lookup::Position);
            g.add(x, positions)
        }
        None => x,
    };
    if let Some(shift) = layout.token_type {
        x = g.map(x, Shift { x, shift });
    }
    x = stream_norm(&mut g, x, layout.embedding_norm, config);
    let all = layout.layer_embeddings.as_ref();
    let embeddings = all.map(|all| all.ops(&mut g, x));
    for (index, layer) in (0..).zip(&layout.layers) {
        g.set_layer(Some(index));
        x = layer.ops(&mut g, (x, embeddings), index, (config, shape));
    }
    g.set_layer(None);
    match (ending, &layout.head) {
        (Ending::Logits, Some(head)) => {
            for &section in heads {
                g.set_section(section);
                let logits = logits(&mut g, x, (config, head), section);
                g.logits.push((section, logits));
            }
        }
        (Ending::Logits | Ending::Draft, _) => unreachable!("no such pass is of this model"),
        (Ending::Rows(pooling), _) => {
            g.set_section(Section::Hidden);
            let x = stream_norm(&mut g, x, layout.last_norm, config);
            g.result = Some(layout.pooler.ops(&mut g, x, pooling, config));
        }
    }
    g
}

/// The graph of a draft block's pass, with these sections at its end. Whoever runs it puts rows of the model behind those of
/// the embedding.
pub fn draft_forward(config: &Config, draft: &Draft, shape: &Shape, heads: &[Section]) -> Graph {
    let mut g = Graph::default();
    let table = (draft.embedding, 2 * config.dim);
    let both = look_up(&mut g, config, table, Lookup::Token);
    g.embedded = Some(both);
    g.set_section(Section::Body);
    let x = draft.ops(&mut g, both, (config, shape));
    for &section in heads {
        g.set_section(section);
        if section == Section::Hidden {
            g.result = Some(stream_norm(&mut g, x, Some(draft.last_norm), config));
        } else {
            let logits = logits(&mut g, x, (config, &draft.head), section);
            g.logits.push((section, logits));
        }
    }
    g
}

/// Rows of an embedding as the first of `cols` columns; the residual stream is kept without the factor on what layers add to it.
fn look_up(
    g: &mut Graph,
    config: &Config,
    (table, cols): (MatrixId, u32),
    lookup: Lookup,
) -> Tensor {
    let scale = match lookup {
        Lookup::Token => config.scales.embedding,
        Lookup::Position => 1.0,
    };
    let embed = Embed {
        table,
        lookup,
        scale: scale / config.scales.residual,
    };
    g.push(embed, TensorSpec::per_row("x", cols))
}

/// The last norm and the logits: of every row, or of the last.
fn logits(g: &mut Graph, x: Tensor, (config, head): (&Config, &Head), section: Section) -> Tensor {
    let h = stream_norm(g, x, Some(head.norm), config);
    let all = section == Section::AllLogits;
    let linear = Linear {
        x: h.from(0),
        weights: vec![(head.matrix, 0)],
        bias: None,
        which: if all { Which::All } else { Which::Last },
        into: None,
    };
    let spec = if all {
        TensorSpec::per_row("logits", config.vocab_size)
    } else {
        TensorSpec::fixed("logits", 1, config.vocab_size)
    };
    let logits = g.push(linear, spec);
    match config.scales.logit_softcap {
        Some(cap) => {
            let softcap = Activate {
                x: logits,
                activation: Activation::Softcap(cap),
            };
            g.map(logits, softcap)
        }
        None => logits,
    }
}
