//! Routing of a mixture of experts (Shazeer et al. 2017; Jiang et al. 2024, eq. 2): which experts see a token, and how
//! much each counts. Probabilities are a softmax or sigmoids (DeepSeek-V3, arXiv 2412.19437, eq. 13 to 16, which also has a
//! bias on the choice alone, and groups of experts).

use crate::{
    Call, Case, Kernel, Tolerance, Variant, bytes_of_params,
    call::{activations, words},
    padded,
    parts::{ExpertScale, REDUCE_WORKGROUP, Shift},
    pointwise::sigmoid,
    random::Random,
    tolerance::F32_NMSE,
};

/// The kernel; its grid covers the tokens.
pub static MOE_ROUTE: Kernel = Kernel {
    name: "moe_route",
    source: include_str!("moe_route.wgsl"),
    uses: &[],
    sockets: &[Shift::SUMMAND, ExpertScale::SOCKET],
    variants: &[
        Variant {
            name: "lanes8",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 8), ("GROUPS_MAX", GROUPS_MAX)],
            software: true,
        },
        Variant {
            name: "lanes64",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 64), ("GROUPS_MAX", GROUPS_MAX)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["expert_ids", "expert_weights"],
    grid: |_, _, tokens| [tokens, 1, 1],
    reference,
    tolerance: |_, _, output| match output {
        "expert_ids" => Tolerance::Exact,
        _ => Tolerance::F32(F32_NMSE),
    },
    cases: || Box::new(cases().into_iter()),
};

/// Groups of experts at most.
pub const GROUPS_MAX: u32 = 64;
/// The least that a sum of weights counts as, as llama.cpp has it: the smallest normal f16.
const WEIGHTS_MIN: f64 = 6.1035e-5;

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Experts that there are.
        experts: u32,
        /// Experts that a token uses.
        top_k: u32,
        /// From a token's logits to the next's, in f32.
        stride: u32,
        /// 0: probabilities are a softmax; 1: each a sigmoid.
        gating: u32,
        /// 1: experts are chosen by their logits; 0: by their probabilities with the bias.
        by_logit: u32,
        /// 1: the weights of a token's experts sum to 1, before the factor.
        normed: u32,
        /// A factor on weights.
        scale: f32,
        /// Groups of neighbouring experts; 1: none.
        groups: u32,
        /// Groups that a token's experts come from: those whose two best experts sum to most.
        groups_used: u32,
    }
}

/// `expert_ids` and `expert_weights` (tokens, top_k) from `router` (tokens, stride), `bias` (experts) and
/// `expert_scale` (experts).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (experts, top_k) = (p.experts as usize, p.top_k as usize);
    let router = call.floats("router");
    let bias = if Shift::of(&call.parts) == Some(Shift::Bias) {
        call.floats("bias")
    } else {
        vec![0.0; experts]
    };
    let scaled = ExpertScale::of(&call.parts) == Some(ExpertScale::Each);
    let scales = scaled.then(|| call.floats("expert_scale"));
    for token in 0..call.tokens as usize {
        let logits = &router[token * p.stride as usize..][..experts];
        let probabilities = probabilities(logits, p.gating);
        let score = |e: usize| match p.by_logit {
            1 => f64::from(logits[e]),
            _ => probabilities[e] + f64::from(bias[e]),
        };
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        if p.groups > 1 {
            let used = groups_used(&p, &order, score);
            order.retain(|e| used.contains(&(e / (experts / p.groups as usize))));
        }
        let chosen = &order[..top_k];
        let total: f64 = chosen.iter().map(|&e| probabilities[e]).sum();
        let divisor = if p.normed == 1 {
            total.max(WEIGHTS_MIN)
        } else {
            1.0
        };
        for (i, &e) in chosen.iter().enumerate() {
            let factor = f64::from(p.scale) * scales.as_ref().map_or(1.0, |s| s[e].into());
            let weight = probabilities[e] / divisor * factor;
            call.words("expert_ids")[token * top_k + i] = e as u32;
            call.floats_mut("expert_weights")[token * top_k + i] = weight as f32;
        }
    }
}

/// A softmax over logits, or a sigmoid of each.
fn probabilities(logits: &[f32], gating: u32) -> Vec<f64> {
    let logits = logits.iter().map(|&v| f64::from(v));
    if gating == 1 {
        return logits.map(sigmoid).collect();
    }
    let max = logits.clone().fold(f64::MIN, f64::max);
    let sum: f64 = logits.clone().map(|v| (v - max).exp()).sum();
    logits.map(|v| (v - max).exp() / sum).collect()
}

/// The groups whose two best experts sum to most; `order` has experts from the best on.
fn groups_used(p: &Params, order: &[usize], score: impl Fn(usize) -> f64) -> Vec<usize> {
    let (groups, size) = (p.groups as usize, (p.experts / p.groups) as usize);
    let best_two = |group: usize| -> f64 {
        let own = order.iter().filter(|&&e| e / size == group);
        own.take(2).map(|&e| score(e)).sum()
    };
    let mut all: Vec<usize> = (0..groups).collect();
    all.sort_by(|&a, &b| best_two(b).total_cmp(&best_two(a)));
    all.truncate(p.groups_used as usize);
    all
}

/// Few experts and many, one expert a token and all, two alike; softmax and sigmoid, a bias, groups, a factor.
fn cases() -> Vec<Case> {
    let softmax = |experts, top_k| Params {
        experts,
        top_k,
        stride: padded(experts),
        gating: 0,
        by_logit: 1,
        normed: 1,
        scale: 1.0,
        groups: 1,
        groups_used: 1,
    };
    let sigmoid = |experts, top_k, groups, groups_used| Params {
        gating: 1,
        by_logit: 0,
        scale: 2.5,
        groups,
        groups_used,
        ..softmax(experts, top_k)
    };
    let all = [
        (softmax(8, 2), Shift::None, 1),
        (softmax(8, 3), Shift::None, 40),
        (softmax(128, 8), Shift::None, 5),
        (softmax(4, 4), Shift::None, 3),
        (softmax(2, 1), Shift::None, 9),
        (
            Params {
                normed: 0,
                ..softmax(70, 4)
            },
            Shift::None,
            3,
        ),
        (
            Params {
                by_logit: 0,
                ..softmax(6, 3)
            },
            Shift::Bias,
            5,
        ),
        (sigmoid(8, 3, 4, 2), Shift::Bias, 7),
        (sigmoid(256, 8, 8, 4), Shift::Bias, 3),
        (sigmoid(5, 2, 1, 1), Shift::Bias, 2),
        (
            Params {
                normed: 0,
                scale: 1.0,
                ..sigmoid(4, 1, 1, 1)
            },
            Shift::None,
            4,
        ),
    ];
    let mut random = Random::new(12);
    all.into_iter()
        .map(|(params, shift, tokens)| case(&mut random, &params, shift, tokens))
        .collect()
}

fn case(random: &mut Random, params: &Params, shift: Shift, tokens: u32) -> Case {
    let &Params { experts, top_k, .. } = params;
    let mut router = activations(random, tokens, experts);
    router[1] = router[0];
    let scale = if params.groups == 8 || experts == 70 {
        ExpertScale::Each
    } else {
        ExpertScale::None
    };
    let places = (tokens * top_k) as usize;
    let bias: Vec<f32> = random.floats(experts as usize);
    Case {
        name: format!(
            "{top_k} of {experts} for {tokens}, {} groups {}",
            params.groups, params.gating
        ),
        parts: vec![shift.part(), scale.part()],
        consts: vec![],
        params: bytes_of_params(params),
        units: 1,
        tokens,
        buffers: vec![
            ("router", router),
            ("bias", words(&bias)),
            ("expert_scale", words(&random.floats(experts as usize))),
            ("expert_ids", vec![0; places]),
            ("expert_weights", vec![0; places]),
        ],
        weights: None,
    }
}
