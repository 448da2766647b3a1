//! A graph as text: a line for each op, with what it reads and what it makes.

use std::fmt;

use super::{Attend, Graph, Mask, Op, RowCount, Scores, Tensor};

impl Graph {
    /// The word for a tensor, with its number, since several may share a word.
    pub fn tensor_name(&self, tensor: Tensor) -> String {
        format!("{}%{}", self.spec(tensor).name, tensor.0)
    }
}

/// Heads, which positions they attend to, and what becomes of scores.
impl fmt::Display for Attend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} heads of {}", self.heads, self.head_dim)?;
        if self.values.is_none() {
            write!(f, ", values their first {}", self.value_dim)?;
        } else if self.value_dim != self.head_dim {
            write!(f, ", values of {}", self.value_dim)?;
        }
        match self.mask {
            Mask::Causal => {}
            Mask::Window(window) => write!(f, ", window {window}")?,
            Mask::Chunked(chunk) => write!(f, ", chunks of {chunk}")?,
            Mask::Symmetric(window) => write!(f, ", symmetric window {window}")?,
            Mask::None => write!(f, ", all positions")?,
        }
        match self.scores {
            Scores::Plain => Ok(()),
            Scores::Softcap(cap) => write!(f, ", softcap {cap}"),
            Scores::Sinks(_) => write!(f, ", sinks"),
            Scores::Alibi(max_bias) => write!(f, ", ALiBi {max_bias}"),
        }
    }
}

/// One line an op: block, output with its shape, name, inputs, and what attention does with them.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            let layer = node
                .layer
                .map_or_else(|| "-".to_owned(), |layer| format!("blk.{layer}"));
            let made = node.output.map_or_else(String::new, |output| {
                let spec = self.spec(output);
                let rows = match spec.rows {
                    RowCount::PerRow => "rows".to_owned(),
                    RowCount::Fixed(rows) => rows.to_string(),
                };
                format!("{} ({rows}, {})", self.tensor_name(output), spec.cols)
            });
            let reads: Vec<String> = node
                .op
                .reads()
                .into_iter()
                .map(|tensor| self.tensor_name(tensor))
                .collect();
            let (name, reads) = (node.op.name(), reads.join(", "));
            write!(f, "{layer:<7} {made:<28} = {name}({reads})")?;
            if let Op::Attend(attend) = &node.op {
                write!(f, ": {attend}")?;
            }
            writeln!(f)?;
        }
        for (number, state) in self.states.iter().enumerate() {
            writeln!(
                f,
                "state {number} {} of layer {}: {} bytes a sequence",
                state.name,
                state.layer,
                state.bytes(1)
            )?;
        }
        Ok(())
    }
}
