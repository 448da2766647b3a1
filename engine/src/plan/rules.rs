//! The rules by which steps are fused, in their order. Each leaves what is computed as it is.

use lantern_kernels::{GROUP, padded};

use super::{
    lowering::{Lowering, small_rows},
    step::{Epilogue, FusedNorm, Step},
};
use crate::graph::{Activation, Columns, GateUp, Glu, Groups, Linear, NormKind, Op, Tensor, Which};

/// A rule's name, and what it does to the steps of a pass.
pub(super) type Rule = (
    &'static str,
    fn(&Lowering<'_>, &mut Vec<Step>, &'static str),
);

/// Every rule, in the order in which they are tried.
pub(super) const RULES: &[Rule] = &[
    ("norm into linear", norm_into_linear),
    ("bias and activation together", activation_after_bias),
    ("LoRA beside gate and up", lora_beside_gate_up),
    ("GLU as epilogue", glu_as_epilogue),
    ("gate as epilogue", gate_as_epilogue),
    ("sum as epilogue", sum_as_epilogue),
    ("norm of heads into rotation", head_norm_into_rope),
    ("keys rotated into the cache", rope_into_cache),
];

/// Numbers of the steps that read a tensor.
fn readers(steps: &[Step], tensor: Tensor) -> Vec<usize> {
    let reads = |&index: &usize| steps[index].read(tensor);
    (0..steps.len()).filter(reads).collect()
}

/// The step that makes a tensor.
fn maker(steps: &[Step], tensor: Tensor) -> Option<usize> {
    steps.iter().position(|step| step.output == Some(tensor))
}

/// Fuses steps into those that make what they read. `fused` gives the number of the maker and what becomes of it, which
/// makes what the step made; none: the step stays.
fn fuse_into_maker(
    steps: &mut Vec<Step>,
    name: &'static str,
    fused: impl Fn(&[Step], usize) -> Option<(usize, Step)>,
) {
    let mut index = 0;
    while index < steps.len() {
        let Some((made, mut step)) = fused(steps, index) else {
            index += 1;
            continue;
        };
        step.output = steps[index].output.or(step.output);
        step.rules.push(name);
        steps[made] = step;
        steps.remove(index);
    }
}

/// A linear layer's input is normed where it is read, by kernels that read one row: decoding, and the last row's logits.
fn norm_into_linear(lowering: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    let mut index = 0;
    while index < steps.len() {
        let Some((x, norm, readers)) = norm_to_fuse(lowering, steps, index) else {
            index += 1;
            continue;
        };
        for reader in readers {
            let step = &mut steps[reader];
            if let Op::Linear(linear) = &mut step.op {
                linear.x = x;
            }
            step.norm = Some(norm);
            step.rules.push(name);
        }
        steps.remove(index);
    }
}

/// Finds a norm's input, the norm, and its readers, where all of them can norm by themselves.
fn norm_to_fuse(
    lowering: &Lowering<'_>,
    steps: &[Step],
    index: usize,
) -> Option<(Columns, FusedNorm, Vec<usize>)> {
    let (Op::Norm(norm), Some(output)) = (&steps[index].op, steps[index].output) else {
        return None;
    };
    // Of a row's columns the first may be normed by themselves.
    let first = |groups: Groups| groups.alone && groups.count == 1 && groups.start == 0;
    let rows = norm.groups.is_none_or(first);
    let plain = norm.kind == NormKind::Rms && rows && norm.gate.is_none();
    let readers = readers(steps, output);
    // Squares are summed up to a whole group.
    let whole = |linear: &Linear| {
        let mut weights = linear.weights.iter();
        weights.all(|&(id, _)| ends_in_zeros(lowering, steps, (norm.x, lowering.matrix(id).cols)))
    };
    let one_row = |&reader: &usize| match &steps[reader].op {
        Op::Linear(linear) => {
            let last = linear.which == Which::Last && norm.groups.is_none();
            whole(linear) && (lowering.width.is_decode() || last)
        }
        _ => false,
    };
    let fused = FusedNorm {
        weight: norm.weight,
        eps: norm.eps,
    };
    let all = plain && !readers.is_empty() && readers.iter().all(one_row);
    all.then_some((norm.x.from(0), fused, readers))
}

/// Whether behind the first columns of a tensor lie zeros up to a whole group, if not nothing.
fn ends_in_zeros(lowering: &Lowering<'_>, steps: &[Step], (x, cols): (Tensor, u32)) -> bool {
    let zeros = |made: usize| match &steps[made].op {
        Op::Linear(linear) if linear.bias.is_none() => match linear.weights[..] {
            [(id, 0)] => lowering.matrix(id).has_zeros(cols..padded(cols)),
            _ => false,
        },
        _ => false,
    };
    cols.is_multiple_of(GROUP) || maker(steps, x).is_some_and(zeros)
}

/// An activation that follows a linear layer is computed with the layer's bias.
fn activation_after_bias(_: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    fuse_into_maker(steps, name, |steps, index| {
        let Op::Activate(activate) = &steps[index].op else {
            return None;
        };
        let made = maker(steps, activate.x)?;
        let linear = matches!(steps[made].op, Op::Linear(_));
        let alone = linear && readers(steps, activate.x) == [index];
        let step = || Step {
            activation: Some(activate.activation),
            ..steps[made].clone()
        };
        alone.then(|| (made, step()))
    });
}

/// The linear layers without a bias, or experts, of a gated unit's gate and up, where nothing else reads what they make.
fn gate_up_makers(steps: &[Step], index: usize) -> Option<Vec<usize>> {
    let Op::Glu(glu) = &steps[index].op else {
        return None;
    };
    let tensors = match glu.gate_up {
        GateUp::Alternating(both) => vec![both],
        GateUp::Apart(gate, up) => vec![gate, up],
        GateUp::Halves(_) | GateUp::Beside(..) => return None,
    };
    let alone = tensors.iter().all(|&t| readers(steps, t) == [index]);
    let makers: Option<Vec<usize>> = tensors.iter().map(|&t| maker(steps, t)).collect();
    makers.filter(|makers| {
        let linear = |&m: &usize| match &steps[m].op {
            Op::Linear(linear) => linear.bias.is_none(),
            Op::Experts(_) => true,
            _ => false,
        };
        alone && makers.iter().all(linear)
    })
}

/// Whether LoRA changes what a step computes.
fn is_adapted(lowering: &Lowering<'_>, step: &Step) -> bool {
    match &step.op {
        Op::Linear(linear) => linear
            .weights
            .iter()
            .any(|&(id, _)| lowering.is_adapted(id)),
        Op::Experts(experts) => lowering.is_adapted(experts.matrix),
        _ => false,
    }
}

/// Adds LoRA's part of gates and ups before their product: one step computes all of it.
fn lora_beside_gate_up(lowering: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    let mut index = 0;
    while index < steps.len() {
        let makers = gate_up_makers(steps, index).filter(|makers| {
            let mut makers = makers.iter();
            makers.any(|&maker| is_adapted(lowering, &steps[maker]))
        });
        if let Some(makers) = makers {
            steps[index].gate_up = makers.iter().map(|&m| steps[m].clone()).collect();
            steps[index].rules.push(name);
            for &made in makers.iter().rev() {
                steps.remove(made);
            }
            index -= makers.len();
        }
        index += 1;
    }
}

/// A gated unit that can be an epilogue, and whose gate and up no step computes with LoRA.
fn plain_glu(step: &Step) -> Option<&Glu> {
    match &step.op {
        Op::Glu(glu) if step.gate_up.is_empty() && glu.bias.is_none() => {
            let epilogue = matches!(glu.activation, Activation::Silu | Activation::Gelu);
            epilogue.then_some(glu)
        }
        _ => None,
    }
}

/// Gate and up that alternate in one matrix become their product where they are made.
fn glu_as_epilogue(_: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    fuse_into_maker(steps, name, |steps, index| {
        let glu = plain_glu(&steps[index])?;
        let &[made] = gate_up_makers(steps, index)?.as_slice() else {
            return None;
        };
        let step = Step {
            epilogue: Epilogue::Glu(glu.activation),
            ..steps[made].clone()
        };
        Some((made, step))
    });
}

/// A gate that lies in memory is multiplied with the up that is made after it.
fn gate_as_epilogue(_: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    fuse_into_maker(steps, name, |steps, index| {
        let glu = plain_glu(&steps[index])?;
        let GateUp::Apart(gate, _) = glu.gate_up else {
            return None;
        };
        let &[_, up] = gate_up_makers(steps, index)?.as_slice() else {
            return None;
        };
        let step = Step {
            epilogue: Epilogue::Gate(glu.activation, gate),
            ..steps[up].clone()
        };
        Some((up, step))
    });
}

/// Adds into the memory of a tensor that nothing reads any more, in the step that makes the other summand. Where something
/// between the two makes it or still reads it, that step is computed in the place of the sum.
fn sum_as_epilogue(_: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    let mut index = 0;
    while index < steps.len() {
        let Some((made, into)) = sum_to_fuse(steps, index) else {
            index += 1;
            continue;
        };
        let between = &steps[made + 1..index];
        let uses = |step: &Step| step.read(into) || step.output == Some(into);
        let waits = between.iter().any(uses);
        let output = steps[index].output;
        let mut step = steps[made].clone();
        step.epilogue = Epilogue::Add(into);
        step.output = output.or(step.output);
        step.rules.push(name);
        steps[if waits { index } else { made }] = step;
        steps.remove(if waits { made } else { index });
    }
}

/// The step whose result the sum `index` adds, and what it adds it to.
fn sum_to_fuse(steps: &[Step], index: usize) -> Option<(usize, Tensor)> {
    let Op::Add(add) = &steps[index].op else {
        return None;
    };
    let made = maker(steps, add.b)?;
    let step = &steps[made];
    let adds = match &step.op {
        Op::Norm(norm) => !norm.in_place() && norm.gate.is_none(),
        Op::Linear(linear) => linear.which == Which::All && step.activation.is_none(),
        Op::Embed(_) | Op::Combine(_) => true,
        _ => false,
    };
    let alone = readers(steps, add.b) == [index];
    let over = readers(steps, add.a).iter().all(|&reader| reader <= index);
    // What the step reads must still be there when the first summand is.
    let reads = step.reads();
    let kept = steps[made + 1..index]
        .iter()
        .filter_map(Step::in_place_of)
        .all(|tensor| !reads.contains(&tensor));
    (adds && alone && over && kept && step.epilogue == Epilogue::Store).then_some((made, add.a))
}

/// Heads are normed where they are rotated, in passes of few rows: each lane then sums all of its head.
fn head_norm_into_rope(lowering: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    if lowering.width.rows() > small_rows(lowering.gpu) {
        return;
    }
    let mut index = 0;
    while index < steps.len() {
        let Some((reader, x, norm)) = head_norm_to_fuse(steps, index) else {
            index += 1;
            continue;
        };
        let step = &mut steps[reader];
        if let Op::Rope(rope) = &mut step.op {
            rope.x = x;
        }
        step.norm = Some(norm);
        step.rules.push(name);
        steps.remove(index);
    }
}

/// The rotation that alone reads a norm of heads, the columns that the norm reads, and the norm.
fn head_norm_to_fuse(steps: &[Step], index: usize) -> Option<(usize, Columns, FusedNorm)> {
    let (Op::Norm(norm), Some(output)) = (&steps[index].op, steps[index].output) else {
        return None;
    };
    let groups = norm.groups.filter(|groups| groups.alone)?;
    let &[reader] = readers(steps, output).as_slice() else {
        return None;
    };
    let Op::Rope(rope) = &steps[reader].op else {
        return None;
    };
    let all = groups.count == rope.heads + rope.kv_heads && groups.split == rope.heads;
    let plain = norm.kind == NormKind::Rms && norm.gate.is_none();
    let fused = FusedNorm {
        weight: norm.weight,
        eps: norm.eps,
    };
    (all && plain).then_some((reader, norm.x.from(groups.start), fused))
}

/// Keys are rotated on their way into a cache that keeps them value by value, and values go with them.
fn rope_into_cache(lowering: &Lowering<'_>, steps: &mut Vec<Step>, name: &'static str) {
    if lowering.cache.block_words().is_some() {
        return;
    }
    fuse_into_maker(steps, name, |steps, index| {
        let Op::StoreKv(store) = &steps[index].op else {
            return None;
        };
        let made = maker(steps, store.k.tensor)?;
        let Op::Rope(rope) = &steps[made].op else {
            return None;
        };
        let step = || Step {
            store: Some(store.clone()),
            ..steps[made].clone()
        };
        let keys = rope.heads * rope.head_dim;
        (store.k.start == keys).then(|| (made, step()))
    });
}
