//! A dispatch and a plan, as plain data with a text form.

use std::{fmt, ops::Range};

use lantern_kernels::Shader;

use super::cost::{Cost, Load};
use crate::{
    Ceilings,
    graph::{MatrixId, Section, StateId, Tensor, VectorId},
};

/// Resource that is bound to a name of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// A tensor, before it is known where it lies.
    Tensor(Tensor),
    /// A buffer of the model's that tensors take turns in.
    Activations(usize),
    /// The logits that a session keeps of a section.
    Logits(Section),
    /// The rows of the pass: tokens, positions, sequences.
    Rows,
    /// Memory that tokens are sampled with.
    Sampler(SamplerMemory),
    /// All planes of a piece of a matrix, each under its own name.
    Weights(MatrixId, usize),
    /// A vector.
    Vector(VectorId),
    /// A table of cosines and sines, (context, pairs, 2).
    RopeTable(usize),
    /// State that a layer keeps of a session's sequences.
    State(StateId),
}

/// Memory that sampling binds beside logits and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerMemory {
    /// The tokens sampled last, a ring for each row sampled after.
    Sampled,
    /// Logits after penalties, (rows, padded vocab_size).
    Scores,
    /// How often each token was seen, (sequences, padded vocab_size).
    Seen,
    /// A bit for each token that a grammar allows, (sequences, padded vocab_size / 32).
    Allowed,
    /// Added to logits, (sequences, padded vocab_size).
    Bias,
    /// How tokens are sampled, (sequences).
    Settings,
}

/// One dispatch.
#[derive(Clone)]
pub struct Dispatch {
    /// The block it belongs to.
    pub layer: Option<u32>,
    /// The part of the pass it belongs to.
    pub section: Section,
    /// The kernel with its choices.
    pub shader: Shader,
    /// The weights' name and shape, or what it does.
    pub what: String,
    /// From which tensors to which.
    pub flow: String,
    /// Names of the kernel and what is bound to them.
    pub binds: Vec<(&'static str, Binding)>,
    /// The parameter struct's bytes.
    pub params: Vec<u8>,
    /// Units, for the grid.
    pub units: u32,
    /// The first row of the pass that it works on.
    pub token_start: u32,
    /// Whether it computes the last row alone, of a pass of any number.
    pub last_row: bool,
    /// The part of binding x that it binds, in bytes: start and size; all of it where none is given.
    pub x_range: Option<(u64, u64)>,
    /// Its least work.
    pub cost: Cost,
    /// Names of the rules of lowering that made it what it is.
    pub rules: Vec<&'static str>,
}

impl Dispatch {
    /// Workgroups for a pass of `rows` rows.
    pub fn grid(&self, rows: u32) -> [u32; 3] {
        let rows = if self.last_row { 1 } else { rows };
        (self.shader.kernel.grid)(&self.shader, self.units, rows)
    }

    /// Resource that is bound to a name of the kernel; all planes of weights go by one.
    ///
    /// # Panics
    /// Where nothing is.
    pub fn binding(&self, name: &str) -> Binding {
        let wanted = if name.starts_with("w_") {
            "weights"
        } else {
            name
        };
        let found = self.binds.iter().find(|(name, _)| *name == wanted);
        let missing = || panic!("{}: nothing is bound to {name}", self.shader.label());
        found.unwrap_or_else(missing).1
    }
}

/// Dispatches in order, for passes of up to `rows` rows.
#[derive(Clone)]
pub struct Plan {
    /// The dispatches.
    pub dispatches: Vec<Dispatch>,
    /// Rows of a pass at most.
    pub rows: u32,
    /// Bytes of each buffer that its tensors take turns in.
    pub buffers: Vec<u64>,
    /// The buffer that the rows of the embedding are written to.
    pub embedded: Option<usize>,
    /// The buffer of the rows that a pass without logits ends in, and their columns.
    pub result: Option<(usize, u32)>,
}

impl Plan {
    /// A plan of dispatches that bind no activations.
    pub fn of(dispatches: Vec<Dispatch>, rows: u32) -> Plan {
        Plan {
            dispatches,
            rows,
            buffers: vec![],
            embedded: None,
            result: None,
        }
    }

    /// The dispatches of a section.
    pub fn section(&self, section: Section) -> Range<usize> {
        let is = |d: &Dispatch| d.section == section;
        let first = self.dispatches.iter().position(is).unwrap_or(0);
        let count = self.dispatches[first..].iter().take_while(|d| is(d));
        first..first + count.count()
    }
}

impl Dispatch {
    /// Its work in a pass of `tokens` that begins at `position`; nothing where it is left out of that pass.
    pub fn load(&self, tokens: u32, position: u32) -> Load {
        let left = tokens.saturating_sub(self.token_start);
        if left == 0 {
            return Load::default();
        }
        let cost = &self.cost;
        let max = if self.last_row {
            1
        } else {
            cost.tokens.unwrap_or(u32::MAX)
        };
        let tokens = left.min(max);
        let attention = cost.position_operations > 0;
        let (read, attended) = if attention {
            cost.positions(tokens, position)
        } else {
            Default::default()
        };
        let operations = cost.operations * u64::from(tokens) + cost.position_operations * attended;
        let matrices = self.shader.needs_cooperative();
        Load {
            bytes: cost.bytes + cost.position_bytes * read,
            operations,
            matrix_operations: if matrices { operations } else { 0 },
            dispatches: 1,
        }
    }
}

impl Plan {
    /// Work of all dispatches in a pass of `tokens` that begins at `position`.
    pub fn load(&self, tokens: u32, position: u32) -> Load {
        let loads = self.dispatches.iter().map(|d| d.load(tokens, position));
        loads.fold(Load::default(), Load::and)
    }

    /// Seconds of such a pass on an adapter that reaches its ceilings all the time: each dispatch either reads or
    /// computes, whichever takes longer, and costs what a dispatch costs.
    pub fn seconds(&self, tokens: u32, position: u32, ceilings: &Ceilings) -> f64 {
        let dispatches = self.dispatches.iter().map(|d| d.load(tokens, position));
        dispatches.map(|load| load.seconds(ceilings)).sum()
    }
}

/// One line a dispatch: block, label, weights, flow, workgroups, bytes of weights; with `{:#}` the rules that fired.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.dispatches {
            let layer = d
                .layer
                .map_or_else(|| "-".to_string(), |l| format!("blk.{l}"));
            let grid: Vec<String> = d.grid(self.rows).iter().map(ToString::to_string).collect();
            let grid = grid.join("×").trim_end_matches("×1").to_string();
            write!(
                f,
                "{layer:<7} {:<32} {:<40} {:<18} [{grid}]",
                d.shader.label(),
                d.what,
                d.flow
            )?;
            if d.cost.bytes > 0 {
                write!(f, " {:.2} MB", d.cost.bytes as f64 / 1e6)?;
            }
            if f.alternate() && !d.rules.is_empty() {
                write!(f, "  ({})", d.rules.join(", "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
