//! A block on its way into a plan: x += attention(norm(x)); x += mlp(norm(x)); with what its tensors add to that.

use lantern_kernels::{
    Part, bytes_of_params, norm, padded,
    parts::{
        ACTIVATE_NONE, FINISH_ADD, FINISH_GATE, FINISH_GEGATE, FINISH_GEGLU, FINISH_GLU,
        FINISH_STORE, GELU, NORM_ADD, NORM_IN_PLACE, NORM_LAYER, NORM_RMS, NORM_STORE, SHIFT_BIAS,
        SHIFT_NONE,
    },
    pointwise,
};

use super::{
    build::{Builder, Width, dispatch},
    dispatch::{Binding, Dispatch, Slot},
    linear::Linear,
};
use crate::model::{
    block::{Affine, Ffn, Layer, MatrixId, Norm, QkNorm, VectorId},
    families::Activation,
};

impl Builder<'_> {
    pub(super) fn block(&self, layer: &Layer, width: Width, index: u32, all: &mut Vec<Dispatch>) {
        let qkv = (Slot::Qkv, self.config.qkv_dim());
        let x = self.input(layer.attention_norm, width, all);
        for &(matrix, y_start) in &layer.qkv {
            let linear = Linear::stored(matrix, x, qkv);
            self.linear(Linear { y_start, ..linear }, width, all);
        }
        if layer.qkv_bias.is_some() {
            all.push(self.pointwise(qkv, layer.qkv_bias, &ACTIVATE_NONE, 0.0));
        }
        if let Some(norm) = layer.qk_norm {
            self.qk_norm(norm, all);
        }
        self.rope(index, all);
        self.attention(index, width, all);
        let output = layer.attention_output;
        self.onto_stream(output, Slot::Attention, layer.attention_post, width, all);

        match &layer.ffn {
            Ffn::Gated(gate_up, down) => {
                let x = self.input(layer.ffn_norm, width, all);
                self.gated(gate_up, x, width, all);
                self.onto_stream(*down, Slot::Gated, layer.ffn_post, width, all);
            }
            Ffn::Plain(up, down) => {
                let x = self.input(layer.ffn_norm, width, all);
                let gated = (Slot::Gated, self.config.ffn_dim);
                self.linear(Linear::stored(up.matrix, x, gated), width, all);
                all.push(self.pointwise(gated, up.bias, &GELU, 0.0)); // no other family is without a gate
                self.onto_stream(*down, Slot::Gated, layer.ffn_post, width, all);
            }
            Ffn::Experts(experts, router, gate_up, down) => {
                let norm = layer.ffn_norm.map(|norm| self.norm(&norm, all));
                assert!(norm.is_some(), "experts read what a norm made");
                self.experts(*experts, [*router, *gate_up, *down], width, all);
            }
        }
    }

    /// Where a layer's normed input comes from: decoding norms on the way into the layer, prefilling before it.
    pub(super) fn input(
        &self,
        norm: Option<Norm>,
        width: Width,
        all: &mut Vec<Dispatch>,
    ) -> (Slot, Option<VectorId>) {
        match norm {
            None => (Slot::X, None),
            Some(norm) if width.is_decode() && !self.config.layer_norm => {
                (Slot::X, Some(norm.weight))
            }
            Some(norm) => {
                self.norm(&norm, all);
                (Slot::H, None)
            }
        }
    }

    /// h = norm(x)
    pub(super) fn norm(&self, norm: &Norm, all: &mut Vec<Dispatch>) {
        let p = norm::Params::rows(self.config.dim, self.config.stream_epsilon());
        let statistics = if self.config.layer_norm {
            &NORM_LAYER
        } else {
            &NORM_RMS
        };
        let mut dispatch = self.norm_of(
            norm.weight,
            [statistics, &NORM_STORE],
            (Slot::X, Slot::H),
            p,
            1,
        );
        dispatch
            .binds
            .extend(norm.bias.map(|bias| ("norm_bias", Binding::Vector(bias))));
        all.push(dispatch);
    }

    fn norm_of(
        &self,
        weight: VectorId,
        parts: [&'static Part; 2],
        (x, y): (Slot, Slot),
        params: norm::Params,
        groups: u32,
    ) -> Dispatch {
        let binds = vec![
            ("norm_weight", Binding::Vector(weight)),
            ("x", Binding::Slot(x)),
            ("y", Binding::Slot(y)),
        ];
        let what = format!("{} ({})", self.layout.vectors[weight].name(), params.cols);
        let shader = self.shader(&norm::NORM, &parts, &[]);
        let flow = format!("{} → {}", x.name(), y.name());
        dispatch(
            shader,
            &what,
            &flow,
            binds,
            bytes_of_params(&params),
            groups,
        )
    }

    fn qk_norm(&self, norm: QkNorm, all: &mut Vec<Dispatch>) {
        let config = self.config;
        let stride = padded(config.qkv_dim());
        let (heads, kv_heads) = (config.heads, config.kv_heads);
        let mut push = |weight, cols, start, split, groups| {
            let (eps, x_stride, y_stride) = (config.norm_epsilon, stride, stride);
            let p = norm::Params {
                cols,
                eps,
                x_stride,
                y_stride,
                start,
                split,
            };
            let parts: [&'static Part; 2] = [&NORM_RMS, &NORM_IN_PLACE];
            all.push(self.norm_of(weight, parts, (Slot::Qkv, Slot::Qkv), p, groups));
        };
        match norm {
            QkNorm::Heads(weight) => push(weight, config.head_dim, 0, heads, heads + kv_heads),
            QkNorm::Whole(q, k) => {
                let q_dim = heads * config.head_dim;
                push(q, q_dim, 0, 1, 1);
                push(k, kv_heads * config.head_dim, q_dim, 1, 1);
            }
        }
    }

    /// A bias, then `activation`, on every value of the rows of `cols` in `slot`.
    pub(super) fn pointwise(
        &self,
        (slot, cols): (Slot, u32),
        bias: Option<VectorId>,
        activation: &'static Part,
        factor: f32,
    ) -> Dispatch {
        let params = pointwise::Params {
            cols,
            stride: padded(cols),
            factor,
        };
        let mut binds = vec![("y", Binding::Slot(slot))];
        binds.extend(bias.map(|bias| ("bias", Binding::Vector(bias))));
        let shift = if bias.is_some() {
            &SHIFT_BIAS
        } else {
            &SHIFT_NONE
        };
        let name = bias.map(|bias| self.layout.vectors[bias].name());
        let what = format!("{} ({cols})", name.unwrap_or_default());
        let shader = self.shader(&pointwise::POINTWISE, &[shift, activation], &[]);
        let flow = format!("{0} → {0}", slot.name());
        dispatch(
            shader,
            what.trim(),
            &flow,
            binds,
            bytes_of_params(&params),
            cols,
        )
    }

    /// The one of two parts that has the MLP's activation.
    pub(super) fn activated(&self, silu: &'static Part, gelu: &'static Part) -> &'static Part {
        match self.config.activation {
            Activation::Silu => silu,
            Activation::Gelu => gelu,
        }
    }

    /// x += W y, normed before it is added where there is a norm for that.
    fn onto_stream(
        &self,
        affine: Affine,
        from: Slot,
        post: Option<VectorId>,
        width: Width,
        all: &mut Vec<Dispatch>,
    ) {
        let cols = self.config.dim;
        let (y, finish): (_, &'static Part) = if post.is_some() {
            (Slot::H, &FINISH_STORE)
        } else {
            (Slot::X, &FINISH_ADD)
        };
        let linear = Linear::stored(affine.matrix, (from, None), (y, cols));
        self.linear(Linear { finish, ..linear }, width, all);
        if affine.bias.is_some() {
            all.push(self.pointwise((y, cols), affine.bias, &ACTIVATE_NONE, 0.0));
        }
        if let Some(post) = post {
            let p = norm::Params::rows(cols, self.config.norm_epsilon);
            all.push(self.norm_of(post, [&NORM_RMS, &NORM_ADD], (Slot::H, Slot::X), p, 1));
        }
    }

    fn gated(
        &self,
        gate_up: &[MatrixId],
        x: (Slot, Option<VectorId>),
        width: Width,
        all: &mut Vec<Dispatch>,
    ) {
        if gate_up.iter().any(|&matrix| self.is_adapted(matrix)) {
            self.gated_adapted(gate_up, x, width, all);
            return;
        }
        let finishes: &[&'static Part] = if gate_up.len() == 1 {
            &[self.activated(&FINISH_GLU, &FINISH_GEGLU)]
        } else {
            &[&FINISH_STORE, self.activated(&FINISH_GATE, &FINISH_GEGATE)]
        };
        for (&matrix, &finish) in gate_up.iter().zip(finishes) {
            let linear = Linear::stored(matrix, x, (Slot::Gated, self.config.ffn_dim));
            self.linear(Linear { finish, ..linear }, width, all);
        }
    }
}
