//! Lowering: a graph to dispatches for one adapter. Rules fuse ops, each step then becomes the dispatches of its kernel, and
//! tensors are laid into few buffers by how long each is read.

use lantern_kernels::padded;

use super::{
    dispatch::{Dispatch, Plan},
    emit::{Emitter, xs_bytes},
    lowering::{Lowering, Width},
    place::{Placement, place},
    rules::RULES,
    step::{Step, steps},
};
use crate::{
    Gpu,
    graph::{Graph, Op, RowCount, Tensor, TensorSpec},
};

impl Lowering<'_> {
    /// The plan of a graph.
    pub fn lower(&self, graph: &Graph) -> Plan {
        let mut steps = steps(graph);
        for (name, rule) in RULES {
            rule(self, &mut steps, name);
        }
        let aliases = aliases(&steps);
        let mut emitter = Emitter::new(self, graph, xs_bound(self.gpu, graph));
        for step in &steps {
            emitter.step(step);
        }
        let Emitter {
            tensors,
            dispatches,
            xs_bound,
            ..
        } = emitter;
        let placement = place(&dispatches, &tensors, &aliases, graph, |spec| {
            spec_bytes(spec, self.width, xs_bound)
        });
        self.plan(dispatches, placement, graph)
    }

    fn plan(&self, mut dispatches: Vec<Dispatch>, placement: Placement, graph: &Graph) -> Plan {
        for (_, binding) in dispatches.iter_mut().flat_map(|d| &mut d.binds) {
            *binding = placement.resolve(*binding);
        }
        let buffer_of =
            |tensor: Option<Tensor>| tensor.and_then(|tensor| placement.buffer_of(tensor));
        Plan {
            embedded: buffer_of(graph.embedded),
            result: graph
                .result
                .and_then(|tensor| Some((buffer_of(Some(tensor))?, graph.spec(tensor).cols))),
            buffers: placement.sizes,
            dispatches,
            rows: self.width.rows(),
        }
    }
}

/// Pairs of tensors of which the first lies in the memory of the second.
///
/// # Panics
/// Where a tensor would be overwritten that a later step still reads: a mistake of a rule.
fn aliases(steps: &[Step]) -> Vec<(Tensor, Tensor)> {
    let mut all = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let (Some(output), Some(over)) = (step.output, step.in_place_of()) else {
            continue;
        };
        let later = steps[index + 1..].iter().any(|step| step.read(over));
        assert!(!later, "{} overwrites what is read later", step.op.name());
        all.push((output, over));
    }
    all
}

/// Bytes that kernels for eight rows at a time bind of each tensor whose eight rows fit a uniform buffer: as many as the
/// widest of these has, for a shader has their number as a constant, and so one serves all. 0 where uniform buffers do not
/// pay.
fn xs_bound(gpu: &Gpu, graph: &Graph) -> u64 {
    let max = gpu.max_uniform_bytes();
    let read = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Linear(linear) => Some(xs_bytes(graph.spec(linear.x.tensor).cols)),
        _ => None,
    });
    read.filter(|&bytes| bytes <= max).max().unwrap_or(0)
}

/// Bytes of a tensor. Kernels that take eight rows at a time bind all eight, whether there is a row for each or not; and
/// `xs_bound` where a tensor with longer rows shares their shader.
fn spec_bytes(spec: &TensorSpec, width: Width, xs_bound: u64) -> u64 {
    let row = u64::from(padded(spec.cols)) * 4;
    match spec.rows {
        RowCount::Fixed(rows) => u64::from(rows) * row,
        RowCount::PerRow if width.is_decode() => row,
        RowCount::PerRow => {
            let before_last = u64::from(width.rows().next_multiple_of(8)) - 8;
            before_last * row + (8 * row).max(xs_bound)
        }
    }
}
