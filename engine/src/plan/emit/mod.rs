//! Steps to dispatches: a file for each kind of kernel.

mod attention;
mod delta_net;
mod experts;
mod glu;
mod integer;
mod linear;
mod lora;
mod rows;
mod rwkv;

pub(super) use linear::xs_bytes;

use lantern_kernels::{Shader, padded};

use super::{
    cost::Cost,
    dispatch::{Binding, Dispatch},
    lowering::{ALL_LOGITS_ROWS, Lowering, Width},
    step::Step,
};
use crate::graph::{Graph, Op, Section, Tensor, TensorSpec};

/// Lists the dispatches of a pass.
pub(super) struct Emitter<'a> {
    pub lowering: &'a Lowering<'a>,
    pub graph: &'a Graph,
    /// The graph's tensors, and those that kernels need beside them.
    pub tensors: Vec<TensorSpec>,
    pub dispatches: Vec<Dispatch>,
    /// Bytes that kernels for eight rows bind; see `lower`.
    pub xs_bound: u64,
    /// Choices of experts that were sorted last, and the tiles and pairs that they became.
    sorted: Option<(Tensor, [Tensor; 2])>,
    layer: Option<u32>,
    section: Section,
    rules: Vec<&'static str>,
}

impl<'a> Emitter<'a> {
    pub fn new(lowering: &'a Lowering<'a>, graph: &'a Graph, xs_bound: u64) -> Emitter<'a> {
        Emitter {
            lowering,
            graph,
            tensors: graph.tensors.clone(),
            dispatches: vec![],
            xs_bound,
            sorted: None,
            layer: None,
            section: Section::Embed,
            rules: vec![],
        }
    }

    /// The dispatches of one step.
    pub fn step(&mut self, step: &Step) {
        (self.layer, self.section) = (step.layer, step.section);
        self.rules.clone_from(&step.rules);
        match &step.op {
            Op::Embed(embed) => self.embed(step, embed),
            Op::Norm(norm) => self.norm(step, norm),
            Op::Linear(linear) => self.linear_step(step, linear),
            Op::HeadLinear(linear) => self.head_linear(step, linear),
            Op::Activate(activate) => self.pointwise(activate.x, None, Some(activate.activation)),
            Op::Scale(scale) => self.scale_columns(scale),
            Op::Shift(shift) => self.pointwise(shift.x, Some(shift.shift), None),
            Op::Glu(glu) => self.glu_step(step, glu),
            Op::Rope(rope) => self.rope(step, rope),
            Op::StoreKv(store) => self.store_kv(store),
            Op::Attend(attend) => self.attend(step, attend),
            Op::Gate(gate) => self.gate(step, gate),
            Op::Conv(conv) => self.conv(step, conv),
            Op::DeltaNet(delta_net) => self.delta_net(step, delta_net),
            Op::Scan(scan) => self.scan(step, scan),
            Op::Route(route) => self.route(step, route),
            Op::Experts(experts) => self.experts_step(step, experts),
            Op::Combine(combine) => self.combine(step, combine),
            Op::Pool(pool) => self.pool(step, pool),
            Op::Add(add) => self.add(add),
            Op::TokenShift(shift) => self.token_shift(step, shift),
            Op::Wkv7(wkv7) => self.wkv7(step, wkv7),
        }
    }

    /// Kind of the pass; only some rows have all their logits computed at once, and rows of sequences are as many as those.
    fn width(&self) -> Width {
        match self.lowering.width {
            Width::Prefill(rows) if self.section == Section::AllLogits => {
                Width::Prefill(rows.min(ALL_LOGITS_ROWS))
            }
            Width::Prefill(rows) if self.section == Section::Pooled => {
                Width::Prefill(rows.min(self.lowering.sequences))
            }
            width => width,
        }
    }

    /// Declares a tensor that a kernel needs beside the graph's.
    fn declare(&mut self, spec: TensorSpec) -> Tensor {
        self.tensors.push(spec);
        Tensor(self.tensors.len() - 1)
    }

    fn spec(&self, tensor: Tensor) -> &TensorSpec {
        &self.tensors[tensor.0]
    }

    fn word(&self, tensor: Tensor) -> &'static str {
        self.spec(tensor).name
    }

    fn cols(&self, tensor: Tensor) -> u32 {
        self.spec(tensor).cols
    }

    /// From a row of a tensor to the next, in 32-bit elements.
    fn stride(&self, tensor: Tensor) -> u32 {
        padded(self.cols(tensor))
    }

    /// Adds a dispatch; `what` it computes with, and from which tensors to which.
    fn dispatch(
        &mut self,
        shader: Shader,
        (what, flow): (&str, String),
        mut binds: Vec<(&'static str, Binding)>,
        params: Vec<u8>,
        units: u32,
    ) -> &mut Dispatch {
        binds.push(("rows", Binding::Rows));
        self.dispatches.push(Dispatch {
            layer: self.layer,
            section: self.section,
            shader,
            what: what.trim().to_owned(),
            flow,
            binds,
            params,
            units,
            token_start: 0,
            last_row: false,
            x_range: None,
            cost: Cost::default(),
            rules: self.rules.clone(),
        });
        self.dispatches.last_mut().expect("just added")
    }

    fn flow(&self, from: Tensor, to: Tensor) -> String {
        format!("{} → {}", self.word(from), self.word(to))
    }
}
