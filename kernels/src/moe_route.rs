//! Routing of a mixture of experts (Shazeer et al. 2017; Jiang et al. 2024, eq. 2): which experts see a token, and how
//! much each counts.

use crate::{
    Call, Case, Kernel, Tolerance, bytes_of_params,
    call::{activations, consecutive},
    kernel::LANES_32,
    padded,
    parts::ROWS,
    random::Random,
    tolerance::F32_NMSE,
};

/// The kernel; its grid covers the tokens.
pub static MOE_ROUTE: Kernel = Kernel {
    name: "moe_route",
    source: include_str!("moe_route.wgsl"),
    uses: &[&ROWS],
    sockets: &[],
    variants: &LANES_32,
    params: Params::FIELDS,
    outputs: &["expert_ids", "expert_weights"],
    grid: |shader, _, tokens| [tokens.div_ceil(shader.constant("WORKGROUP_SIZE")), 1, 1],
    reference,
    tolerance: |_, _, output| match output {
        "expert_ids" => Tolerance::Exact,
        _ => Tolerance::F32(F32_NMSE),
    },
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Experts that there are.
        experts: u32,
        /// Experts that a token uses.
        top_k: u32,
        /// From a token's logits to the next's, in f32.
        stride: u32,
    }
}

/// `expert_ids` and `expert_weights` (tokens, top_k) from `router` (tokens, stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (experts, top_k) = (p.experts as usize, p.top_k as usize);
    let count = call.words("rows")[0] as usize;
    let router = call.floats("router");
    for token in 0..count {
        let logits = &router[token * p.stride as usize..][..experts];
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let weight = |&e: &usize| f64::from(logits[e] - logits[order[0]]).exp();
        let total: f64 = order[..top_k].iter().map(weight).sum();
        for (i, e) in order[..top_k].iter().enumerate() {
            call.words("expert_ids")[token * top_k + i] = *e as u32;
            call.floats_mut("expert_weights")[token * top_k + i] = (weight(e) / total) as f32;
        }
    }
}

/// Few experts and many, one expert a token and all, two alike.
fn cases() -> Vec<Case> {
    let mut random = Random::new(12);
    let mut cases = Vec::new();
    for (experts, top_k, tokens) in [(8, 2, 1), (8, 3, 40), (128, 8, 5), (4, 4, 3), (2, 1, 9)] {
        let stride = padded(experts);
        let mut router = activations(&mut random, tokens, experts);
        router[1] = router[0];
        let places = (tokens * top_k) as usize;
        cases.push(Case {
            name: format!("{top_k} of {experts} for {tokens}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params {
                experts,
                top_k,
                stride,
            }),
            units: 1,
            tokens: tokens + 1,
            buffers: vec![
                ("router", router),
                ("expert_ids", vec![0; places]),
                ("expert_weights", vec![0; places]),
                ("rows", consecutive(3, tokens)),
            ],
            weights: None,
        });
    }
    cases
}
