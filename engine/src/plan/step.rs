//! Steps: ops of a graph on their way to dispatches, with what rules have fused into them.

use crate::graph::{Activation, Graph, Node, Op, Section, StoreKv, Tensor, VectorId};

/// Operation on a result on its way to memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Epilogue {
    /// y = v.
    Store,
    /// y = this + v, in the memory of this.
    Add(Tensor),
    /// y = f(gate) · up, of columns that alternate.
    Glu(Activation),
    /// y = f(this) · v, in the memory of this.
    Gate(Activation, Tensor),
}

/// RMSNorm on the way into a linear layer or a rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FusedNorm {
    pub weight: VectorId,
    pub eps: f32,
}

/// An op with what is fused into it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub layer: Option<u32>,
    pub section: Section,
    pub op: Op,
    pub output: Option<Tensor>,
    /// Norm that a linear layer's input, or a head, goes through first.
    pub norm: Option<FusedNorm>,
    pub epilogue: Epilogue,
    /// Activation of a linear layer's result, after its bias.
    pub activation: Option<Activation>,
    /// Rotated keys, and values, go into the cache at once.
    pub store: Option<StoreKv>,
    /// Linear layers of gate and up that LoRA changes; this step computes them.
    pub gate_up: Vec<Step>,
    /// Names of the rules that fired here.
    pub rules: Vec<&'static str>,
}

impl Step {
    /// The tensors that it reads.
    pub fn reads(&self) -> Vec<Tensor> {
        let mut all = self.op.reads();
        match self.epilogue {
            Epilogue::Add(tensor) | Epilogue::Gate(_, tensor) => all.push(tensor),
            Epilogue::Store | Epilogue::Glu(_) => {}
        }
        all.extend(self.gate_up.iter().flat_map(Step::reads));
        all
    }

    pub fn read(&self, tensor: Tensor) -> bool {
        self.reads().contains(&tensor)
    }

    /// The tensor in whose memory the output lies.
    pub fn in_place_of(&self) -> Option<Tensor> {
        match (&self.op, self.epilogue) {
            (_, Epilogue::Add(tensor) | Epilogue::Gate(_, tensor)) => Some(tensor),
            (Op::Norm(norm), _) if norm.in_place() => Some(norm.x),
            (Op::Add(add), _) => Some(add.a),
            (Op::Gate(gate), _) => Some(gate.x),
            (Op::Activate(activate), _) => Some(activate.x),
            (Op::Scale(scale), _) => Some(scale.x),
            (Op::Linear(linear), _) => linear.into,
            (Op::Shift(shift), _) => Some(shift.x),
            (Op::Scan(scan), _) => scan.into.map(|into| into.tensor),
            _ => None,
        }
    }
}

/// A step for each op of a graph.
pub(super) fn steps(graph: &Graph) -> Vec<Step> {
    let step = |node: &Node| Step {
        layer: node.layer,
        section: node.section,
        op: node.op.clone(),
        output: node.output,
        norm: None,
        epilogue: Epilogue::Store,
        activation: None,
        store: None,
        gate_up: vec![],
        rules: vec![],
    };
    graph.nodes.iter().map(step).collect()
}
