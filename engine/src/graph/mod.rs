//! Graph of a pass: ops over named tensors, in the order of the paper. Plain data that knows no adapter.
//!
//! Tensors are values: an op reads some and makes one, and nothing is overwritten. What is computed in place, fused or kept
//! in the same memory is decided when the graph is lowered to dispatches.

mod attend;
mod head_linear;
mod moe;
mod op;
mod pool;
mod recurrent;
mod state;
mod tensor;
mod text;

pub use attend::{Attend, Mask, Rope, RopeStyle, Scores, StoreKv};
pub use head_linear::HeadLinear;
pub use moe::{Combine, Experts, Gating, Route, Routing};
pub use op::{
    Activate, Activation, Add, Embed, Gate, GateUp, Glu, GluBias, Groups, Linear, Lookup, Norm,
    NormKind, NormedGate, Op, Scale, Shift, Which, Xielu,
};
pub use pool::{Pool, PooledRow};
pub use recurrent::{Conv, ConvForm, DeltaNet, KeyHeads, Scan, ScanDecay, TokenShift, Wkv7};
pub use state::{
    Paging, Purpose, SNAPSHOT_INTERVAL, SNAPSHOTS, StateId, StateKind, StateSpec, snapshot_bytes,
};
pub use tensor::{Columns, DType, MatrixId, RowCount, Tensor, TensorSpec, VectorId};

/// A part of a pass that runs, or does not, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Tokens to rows of the embedding; left out where a caller gives the rows.
    Embed,
    /// The blocks, up to the last hidden state.
    Body,
    /// Logits of every row.
    AllLogits,
    /// Logits of the last row.
    LastLogits,
    /// Every row after the last norm, of models and sessions without logits.
    Hidden,
    /// A row for each sequence, where those are pooled.
    Pool,
    /// Results of those rows.
    Pooled,
}

/// An op with its place in the model.
#[derive(Debug, Clone)]
pub struct Node {
    /// The block it belongs to.
    pub layer: Option<u32>,
    /// The part of the pass it belongs to.
    pub section: Section,
    /// The op.
    pub op: Op,
    /// The tensor that it makes; none where it only writes state.
    pub output: Option<Tensor>,
}

/// Ops in order, with the tensors that they make and the states that they keep.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Every tensor, by its number.
    pub tensors: Vec<TensorSpec>,
    /// Every state, by its number.
    pub states: Vec<StateSpec>,
    /// The ops, in the order in which they are computed.
    pub nodes: Vec<Node>,
    /// Rows of the embedding: what a caller may give in the place of tokens.
    pub embedded: Option<Tensor>,
    /// Logits of a section.
    pub logits: Vec<(Section, Tensor)>,
    /// Rows that a pass without logits ends in.
    pub result: Option<Tensor>,
    layer: Option<u32>,
    section: Section,
}

impl Default for Graph {
    fn default() -> Self {
        Graph {
            tensors: vec![],
            states: vec![],
            nodes: vec![],
            embedded: None,
            logits: vec![],
            result: None,
            layer: None,
            section: Section::Embed,
        }
    }
}

impl Graph {
    /// The block that the ops from here on belong to.
    pub fn set_layer(&mut self, layer: Option<u32>) {
        self.layer = layer;
    }

    /// The part of the pass that the ops from here on belong to.
    pub fn set_section(&mut self, section: Section) {
        self.section = section;
    }

    /// Declares a tensor that no op of this graph has made yet.
    pub fn declare(&mut self, spec: TensorSpec) -> Tensor {
        self.tensors.push(spec);
        Tensor(self.tensors.len() - 1)
    }

    /// Declares a state that sessions keep.
    pub fn keep(&mut self, spec: StateSpec) -> StateId {
        self.states.push(spec);
        StateId(self.states.len() - 1)
    }

    /// Declaration of `tensor`.
    pub fn spec(&self, tensor: Tensor) -> &TensorSpec {
        &self.tensors[tensor.0]
    }

    /// A state of another layer that was declared before.
    pub fn state_of(&self, layer: u32, name: &str) -> Option<StateId> {
        let mut all = self.states.iter();
        all.position(|state| state.layer == layer && state.name == name)
            .map(StateId)
    }

    /// A tensor of another layer that was made before, with all that ops have put into it.
    pub fn tensor_of(&self, layer: u32, name: &str) -> Option<Tensor> {
        let own = self.nodes.iter().filter(|node| node.layer == Some(layer));
        let mut made = own.filter_map(|node| node.output);
        made.rfind(|&tensor| self.spec(tensor).name == name)
    }

    /// Adds an op that makes a tensor.
    pub fn push(&mut self, op: impl Into<Op>, spec: TensorSpec) -> Tensor {
        let output = self.declare(spec);
        self.add_node(op.into(), Some(output));
        output
    }

    /// Adds an op that only writes state.
    pub fn effect(&mut self, op: impl Into<Op>) {
        self.add_node(op.into(), None);
    }

    fn add_node(&mut self, op: Op, output: Option<Tensor>) {
        let (layer, section) = (self.layer, self.section);
        self.nodes.push(Node {
            layer,
            section,
            op,
            output,
        });
    }

    /// W x + b of every row, as a tensor called `name`: of one matrix, or of several side by side.
    pub fn linear(
        &mut self,
        x: Tensor,
        weights: &[(MatrixId, u32)],
        bias: Option<VectorId>,
        (name, cols): (&'static str, u32),
    ) -> Tensor {
        let (weights, which) = (weights.to_vec(), Which::All);
        let linear = Linear {
            x: x.from(0),
            weights,
            bias,
            which,
            into: None,
        };
        self.push(linear, TensorSpec::per_row(name, cols))
    }

    /// a + b, named as `a`.
    pub fn add(&mut self, a: Tensor, b: Tensor) -> Tensor {
        let spec = self.spec(a).clone();
        self.push(Add { a, b }, spec)
    }

    /// A norm of whole rows, as a tensor called `name`.
    pub fn norm(&mut self, norm: Norm, name: &'static str) -> Tensor {
        let spec = TensorSpec {
            name,
            ..self.spec(norm.x).clone()
        };
        self.push(norm, spec)
    }

    /// x in other values, named and shaped as before: rotated, normed by heads, activated.
    pub fn map(&mut self, x: Tensor, op: impl Into<Op>) -> Tensor {
        let spec = self.spec(x).clone();
        self.push(op, spec)
    }
}
