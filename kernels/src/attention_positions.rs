//! Attention while decoding, for adapters whose subgroups have one known size: positions lie across the lanes.

use crate::{
    Call, Case, Kernel,
    attention::{self, ONE_SUBGROUP, Params, cases_with},
    attention_join::PARTS,
    parts::{END_PART, END_WHOLE, ENDING, PAIRS, PAIRS_F16, PAIRS_F32, STATE},
};

/// The kernel; units are query heads / `HEADS`. Constants: `HEAD`, `GROUP`, and `HEADS`, which divides it; `PARTS` for the
/// ending `END_PART`.
pub static ATTENTION_POSITIONS: Kernel = Kernel {
    name: "attention_positions",
    source: include_str!("attention_positions.wgsl"),
    uses: &[&STATE],
    sockets: &[PAIRS, ENDING],
    variants: &ONE_SUBGROUP,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, heads, tokens| {
        let split = shader
            .parts
            .iter()
            .any(|p| std::ptr::eq(*p, &raw const END_PART));
        let parts = if split { shader.constant("PARTS") } else { 1 };
        [heads, tokens, parts]
    },
    twin,
    cases,
};

/// `y` as `attention` has it; of parts (heads, parts, head size sums, maximum, total).
fn twin(call: &mut Call) {
    if !call.has(&END_PART) {
        return attention::twin(call);
    }
    let (parts, lanes) = (call.constant("PARTS"), call.constant("LANES"));
    let head = call.constant("HEAD") as usize;
    let count = call.words("state")[0] + 1;
    let step = count.div_ceil(parts * lanes) * lanes;
    let all: Vec<_> = (0..parts)
        .map(|part| {
            let range = (part * step).min(count)..((part + 1) * step).min(count);
            attention::unjoined(call, 0, range.start as usize..range.end as usize)
        })
        .collect();
    let y = call.floats_mut("y");
    for (i, place) in y.chunks_exact_mut(head + 2).enumerate() {
        let found = &all[i % parts as usize][i / parts as usize];
        let numbers = found.sums.iter().chain([&found.most, &found.total]);
        place
            .iter_mut()
            .zip(numbers)
            .for_each(|(y, v)| *y = *v as f32);
    }
}

/// Those of `attention`, and positions in parts.
fn cases() -> Vec<Case> {
    let caches = [&PAIRS_F32, &PAIRS_F16];
    let mut cases = Vec::new();
    for mut case in cases_with(caches, 256) {
        // Nearer to the start some part would be empty.
        let far = (case.buffers[4].1[0] >= 100).then(|| in_parts(case.clone()));
        case.parts.push(&END_WHOLE);
        cases.push(case);
        cases.extend(far);
    }
    cases
}

/// The case with one token, each head's positions in parts.
fn in_parts(mut case: Case) -> Case {
    let heads = case.units * case.consts[2].1;
    case.name.push_str(", in parts");
    case.parts.push(&END_PART);
    case.consts.push(("PARTS", PARTS));
    case.tokens = 1;
    case.buffers[4].1[1] = 1;
    case.buffers[3].1 = vec![0; (heads * PARTS * (case.consts[0].1 + 2)) as usize];
    case
}
