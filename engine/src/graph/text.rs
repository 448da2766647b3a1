//! A graph as text: a line for each op, with what it reads and what it makes.

use std::fmt;

use super::{Graph, RowCount, Tensor};

impl Graph {
    /// The word for a tensor, with its number, since several may share a word.
    pub fn tensor_name(&self, tensor: Tensor) -> String {
        format!("{}%{}", self.spec(tensor).name, tensor.0)
    }
}

/// One line an op: block, output with its shape, name, inputs.
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
            writeln!(
                f,
                "{layer:<7} {made:<28} = {}({})",
                node.op.name(),
                reads.join(", ")
            )?;
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
