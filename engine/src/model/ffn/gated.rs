//! A gated unit (Shazeer 2020): an MLP, an expert's, or that which all rows share.

use lantern_kernels::padded;

use crate::{
    Error, Result, Unsupported,
    file::TensorInfo,
    graph::{
        Activation, GateUp, Glu, GluBias, Graph, MatrixId, Norm, Tensor, TensorSpec, VectorId,
    },
    model::tensors::{Affine, Finder, scaled},
};

/// A gated unit.
#[derive(Debug)]
pub struct Gated {
    /// Gate and up: one matrix of alternating rows, or of all gates before all ups where those have a bias, or two where they
    /// are stored differently.
    gate_up: Vec<MatrixId>,
    /// The bias on gates and then ups.
    bias: Option<VectorId>,
    /// Factors on gate and up, alternating.
    factor: Option<VectorId>,
    /// The weight of a norm before down, and its epsilon.
    sub_norm: Option<(VectorId, f32)>,
    down: Affine,
    pub sizes: Sizes,
}

/// Sizes of an MLP, and its activation.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Size of the residual stream.
    pub dim: u32,
    /// Size of the hidden layer.
    pub ffn_dim: u32,
    /// Function of the gate.
    pub activation: Activation,
}

impl Gated {
    /// The weights of layer `index` whose names have this ending.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: Sizes,
        index: u32,
        ending: &str,
    ) -> Result<Gated> {
        let name = |part: &str| format!("blk.{index}.ffn_{part}{ending}");
        let shape = [sizes.dim, sizes.ffn_dim];
        let gate = finder.tensor(&format!("{}.weight", name("gate")), &shape)?;
        let up = finder.tensor(&format!("{}.weight", name("up")), &shape)?;
        let down = finder.affine(&name("down"), sizes.ffn_dim, sizes.dim)?;
        let mut unit = Gated::of(finder, sizes, [gate, up], down)?;
        let stems = [name("gate"), name("up")];
        unit.factor = finder.alternating_factors(stems, sizes.ffn_dim)?;
        if unit.factor.is_some() && unit.gate_up.len() > 1 {
            return Err(Error::unsupported(
                Unsupported::StoredType,
                format!(
                    "{}: factors on matrices of two types are not run here",
                    name("gate")
                ),
            ));
        }
        let eps = finder.config.norm_epsilon;
        let sub_norm = format!("blk.{index}.ffn_sub_norm{ending}.weight");
        let sub_norm = finder.vector_if_there(&sub_norm, sizes.ffn_dim)?;
        unit.sub_norm = sub_norm.map(|weight| (weight, eps));
        Ok(unit)
    }

    /// The unit of layer `index` whose gates and ups are one tensor, the gates first, with a bias where there is one.
    pub(super) fn fused(finder: &mut Finder<'_>, sizes: Sizes, index: u32) -> Result<Gated> {
        let name = |part: &str| format!("blk.{index}.ffn_{part}");
        let (dim, ffn_dim) = (sizes.dim, sizes.ffn_dim);
        let both = finder.tensor(&name("up.weight"), &[dim, 2 * ffn_dim])?;
        let down = finder.affine(&name("down"), ffn_dim, dim)?;
        let Some(bias) = finder.vector_if_there(&name("up.bias"), 2 * ffn_dim)? else {
            let (gate, up) = (both.rows(0, ffn_dim), both.rows(ffn_dim, ffn_dim));
            return Gated::of(finder, sizes, [gate, up], down);
        };
        sizes.check(true)?;
        Ok(Gated {
            gate_up: vec![finder.matrix(vec![both], false)?],
            bias: Some(bias),
            factor: None,
            sub_norm: None,
            down,
            sizes,
        })
    }

    /// A unit of these tensors of gate and up.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where no gated unit has the family's activation.
    pub(super) fn of(
        finder: &mut Finder<'_>,
        sizes: Sizes,
        [gate, up]: [TensorInfo; 2],
        down: Affine,
    ) -> Result<Gated> {
        sizes.check(true)?;
        let gate_up = if gate.kind == up.kind {
            vec![finder.matrix(vec![gate, up], true)?]
        } else {
            let gate = finder.matrix(vec![gate], false)?;
            vec![gate, finder.matrix(vec![up], false)?]
        };
        Ok(Gated {
            gate_up,
            bias: None,
            factor: None,
            sub_norm: None,
            down,
            sizes,
        })
    }

    /// f(gate h) · up h.
    pub(super) fn up_ops(&self, g: &mut Graph, h: Tensor) -> Tensor {
        let ffn_dim = self.sizes.ffn_dim;
        let gate_up = if let [both] = self.gate_up[..] {
            let cols = ("gate_up", 2 * ffn_dim);
            let both = g.linear(h, &[(both, 0)], self.bias, cols);
            match self.bias {
                Some(_) => GateUp::Halves(both),
                None => GateUp::Alternating(scaled(g, both, self.factor)),
            }
        } else {
            let parts = [("gate", self.gate_up[0]), ("up", self.gate_up[1])];
            let [gate, up] =
                parts.map(|(name, matrix)| g.linear(h, &[(matrix, 0)], None, (name, ffn_dim)));
            GateUp::Apart(gate, up)
        };
        self.sizes.glu(g, gate_up, 1, None)
    }

    /// down x.
    pub(super) fn down_ops(&self, g: &mut Graph, x: Tensor) -> Tensor {
        let x = match self.sub_norm {
            Some((weight, eps)) => g.norm(Norm::rms(x, weight, eps), "up"),
            None => x,
        };
        self.down.ops(g, x, ("y", self.sizes.dim))
    }
}

impl Sizes {
    /// Refuses activations that units with gates, or without, are not run with.
    pub(super) fn check(&self, gated: bool) -> Result<()> {
        let runs = match self.activation {
            Activation::Gelu | Activation::GeluErf => true,
            Activation::Silu | Activation::ClampedSwiglu => gated,
            Activation::Relu2 | Activation::Xielu(_) => !gated,
            _ => false,
        };
        if runs {
            return Ok(());
        }
        let (activation, gates) = (self.activation, if gated { "with" } else { "without" });
        Err(Error::unsupported(
            Unsupported::Setting,
            format!("units {gates} gates are not run here with {activation:?}"),
        ))
    }

    /// Whether the family has no MLP without a gate, as SiLU's have none.
    pub(super) fn gated(&self) -> bool {
        self.activation == Activation::Silu
    }

    /// f(gate) · up, in each of so many groups of a row, after biases of their experts.
    pub(super) fn glu(
        &self,
        g: &mut Graph,
        gate_up: GateUp,
        groups: u32,
        bias: Option<GluBias>,
    ) -> Tensor {
        let glu = Glu {
            gate_up,
            activation: self.activation,
            cols: self.ffn_dim,
            groups,
            bias,
        };
        let cols = if groups == 1 {
            self.ffn_dim
        } else {
            groups * padded(self.ffn_dim)
        };
        g.push(glu, TensorSpec::per_row("up", cols))
    }
}
