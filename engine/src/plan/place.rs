//! Where tensors lie: those that are never needed at the same time share a buffer. A buffer is never both read and written
//! by one dispatch, for WebGPU tells its uses apart by whole buffers; so no two tensors of a dispatch share one, unless one
//! lies in the memory of the other by intent.

use std::ops::Range;

use lantern_kernels::padded;

use super::dispatch::{Binding, Dispatch};
use crate::graph::{Graph, Section, Tensor, TensorSpec};

/// Where each tensor lies.
pub(super) struct Placement {
    /// Bytes of each buffer, the largest first.
    pub sizes: Vec<u64>,
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// In an activation buffer.
    Buffer(usize),
    /// With the session, as the logits of a section.
    Logits(Section),
    /// Nowhere: no dispatch binds it.
    None,
}

impl Placement {
    /// The buffer that a tensor lies in.
    pub fn buffer_of(&self, tensor: Tensor) -> Option<usize> {
        match self.places[tensor.0] {
            Place::Buffer(index) => Some(index),
            _ => None,
        }
    }

    /// A binding with the buffer in the place of the tensor.
    pub fn resolve(&self, binding: Binding) -> Binding {
        let Binding::Tensor(tensor) = binding else {
            return binding;
        };
        match self.places[tensor.0] {
            Place::Buffer(index) => Binding::Activations(index),
            Place::Logits(section) => Binding::Logits(section),
            Place::None => unreachable!("a dispatch binds it"),
        }
    }
}

/// A tensor, or several that lie in one another's memory: from the first dispatch that binds it to the last.
struct Life {
    tensor: Tensor,
    first: usize,
    last: usize,
    bytes: u64,
    /// Columns where kernels rely on zeros.
    ragged: Ragged,
}

/// Columns of a row that something relies on being zeros: those from the first number up to a whole group, and gaps. Only
/// tensors with the same may share memory.
type Ragged = (Option<u32>, Vec<Range<u32>>);

/// Lays tensors into buffers. `aliases` names tensors that lie in the memory of another; `bytes` what each takes.
pub(super) fn place(
    dispatches: &[Dispatch],
    tensors: &[TensorSpec],
    aliases: &[(Tensor, Tensor)],
    graph: &Graph,
    bytes: impl Fn(&TensorSpec) -> u64,
) -> Placement {
    let roots = roots(tensors.len(), aliases);
    let mut places = vec![Place::None; tensors.len()];
    for &(section, tensor) in &graph.logits {
        places[roots[tensor.0]] = Place::Logits(section);
    }
    let mut lives: Vec<Option<Life>> = (0..tensors.len()).map(|_| None).collect();
    for (index, dispatch) in dispatches.iter().enumerate() {
        for (_, binding) in &dispatch.binds {
            let Binding::Tensor(tensor) = *binding else {
                continue;
            };
            let (root, spec) = (roots[tensor.0], &tensors[tensor.0]);
            if places[root] != Place::None {
                continue;
            }
            let behind = (padded(spec.cols) != spec.cols).then_some(spec.cols);
            let ragged = (behind, spec.gaps.clone());
            let life = lives[root].get_or_insert(Life {
                tensor: Tensor(root),
                first: index,
                last: index,
                bytes: 0,
                ragged,
            });
            life.last = index;
            life.bytes = life.bytes.max(bytes(spec));
        }
    }
    // What a pass ends in is read after it.
    let result = graph
        .result
        .and_then(|tensor| lives[roots[tensor.0]].as_mut());
    if let Some(result) = result {
        result.last = dispatches.len();
    }
    let lives: Vec<Life> = lives.into_iter().flatten().collect();
    let sizes = colour(lives, &mut places);
    for tensor in 0..tensors.len() {
        places[tensor] = places[roots[tensor]];
    }
    Placement { sizes, places }
}

/// Gives each life a buffer, the largest lives first, and says how large the buffers are.
fn colour(mut lives: Vec<Life>, places: &mut [Place]) -> Vec<u64> {
    lives.sort_by_key(|life| std::cmp::Reverse(life.bytes));
    let mut buffers: Vec<Vec<Life>> = Vec::new();
    for life in lives {
        let fits = |buffer: &Vec<Life>| {
            buffer.iter().all(|other| {
                let apart = life.last < other.first || other.last < life.first;
                apart && other.ragged == life.ragged
            })
        };
        let index = buffers.iter().position(fits).unwrap_or(buffers.len());
        if index == buffers.len() {
            buffers.push(vec![]);
        }
        places[life.tensor.0] = Place::Buffer(index);
        buffers[index].push(life);
    }
    let size = |buffer: &Vec<Life>| buffer.iter().map(|life| life.bytes).max();
    buffers.iter().filter_map(size).collect()
}

/// For each tensor the one whose memory it lies in.
fn roots(count: usize, aliases: &[(Tensor, Tensor)]) -> Vec<usize> {
    let mut roots: Vec<usize> = (0..count).collect();
    for &(tensor, over) in aliases {
        let (from, to) = (roots[tensor.0], roots[over.0]);
        for root in &mut roots {
            if *root == from {
                *root = to;
            }
        }
    }
    roots
}
