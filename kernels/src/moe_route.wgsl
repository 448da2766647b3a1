// moe_route: the experts that each token uses, and how much each counts.
// A workgroup takes one token; its lanes share the experts. Bound: reads the logits `top_k` times. Sockets: shift, expert scale.

struct Params {
    experts: u32, top_k: u32, stride: u32, gating: u32, by_logit: u32, normed: u32, scale: f32, groups: u32, groups_used: u32,
}

const SIGMOID = 1u;
const MIN = -3.0e38; // WGSL promises no infinities
const WEIGHTS_MIN = 6.1035e-5; // the smallest normal f16, which llama.cpp has for the least sum of weights

@group(0) @binding(3) var<storage, read> router: array<f32>;               // (tokens, stride)
@group(0) @binding(4) var<storage, read_write> expert_ids: array<u32>;     // (tokens, top_k)
@group(0) @binding(5) var<storage, read_write> expert_weights: array<f32>; // (tokens, top_k)
@group(0) @binding(8) var<uniform> params: Params;

// The best of each lane, and groups' sums.
var<workgroup> scores: array<f32, WORKGROUP_SIZE>;
var<workgroup> experts: array<u32, WORKGROUP_SIZE>;
var<workgroup> group_scores: array<f32, GROUPS_MAX>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let token = wg.id.x;
    let row = token * params.stride;
    let top = top_of(row, at, wg);
    if params.groups > 1u { score_groups(row, top, at.lane); }
    workgroupBarrier();
    var total = 0.0;
    var last = Choice(-MIN, 0u);
    for (var i = 0u; i < params.top_k; i++) {
        let own = next_of(row, top, last, i == 0u, at.lane);
        scores[at.lane] = own.score;
        experts[at.lane] = own.expert;
        workgroupBarrier();
        last = best_of_lanes();
        workgroupBarrier();
        let weight = probability(row, last.expert, top);
        total += weight;
        if at.lane == 0u {
            expert_ids[token * params.top_k + i] = last.expert;
            expert_weights[token * params.top_k + i] = weight;
        }
    }
    if at.lane == 0u {
        let factor = params.scale / select(1.0, max(total, WEIGHTS_MIN), params.normed == 1u);
        for (var i = 0u; i < params.top_k; i++) { 
            let place = token * params.top_k + i;
            expert_weights[place] = expert_scaled(expert_weights[place] * factor, expert_ids[place]);
        }
    }
}

// The largest logit of a row, and the sum of the exponentials beneath it.
struct Top { logit: f32, sum: f32 }
// An expert with what it is chosen by.
struct Choice { score: f32, expert: u32 }

fn top_of(row: u32, at: Invocation, wg: Workgroup) -> Top {
    var logit = MIN;
    for (var e = at.lane; e < params.experts; e += WORKGROUP_SIZE) { logit = max(logit, router[row + e]); }
    let largest = reduce_max(logit, at, wg);
    var sum = 0.0;
    for (var e = at.lane; e < params.experts; e += WORKGROUP_SIZE) { sum += exp(router[row + e] - largest); }
    return Top(largest, reduce_sum(sum, at, wg));
}

fn probability(row: u32, e: u32, top: Top) -> f32 {
    let logit = router[row + e];
    var result = exp(logit - top.logit) / top.sum;
    if params.gating == SIGMOID { result = 1.0 / (1.0 + exp(-max(logit, -80.0))); }
    return result;
}

// Logits are in the order of probabilities, and tell neighbours apart that those no longer do.
fn score_of(row: u32, e: u32, top: Top) -> f32 {
    var score = router[row + e];
    if params.by_logit == 0u { score = shifted(probability(row, e, top), e); }
    return score;
}

// The two best experts of each group, summed.
fn score_groups(row: u32, top: Top, lane: u32) {
    let size = params.experts / params.groups;
    for (var group = lane; group < params.groups; group += WORKGROUP_SIZE) {
        var first = MIN;
        var second = MIN;
        for (var e = group * size; e < (group + 1u) * size; e++) {
            let v = score_of(row, e, top);
            second = max(second, min(first, v));
            first = max(first, v);
        }
        group_scores[group] = first + select(0.0, second, size > 1u);
    }
}

// Whether fewer than `groups_used` groups are better.
fn group_counts(group: u32) -> bool {
    var better = 0u;
    for (var other = 0u; other < params.groups; other++) {
        let v = group_scores[other];
        let own = group_scores[group];
        better += select(0u, 1u, v > own || (v == own && other < group));
    }
    return better < params.groups_used;
}

// The best of a lane's experts that comes after `last`: less good, or as good and further on.
fn next_of(row: u32, top: Top, last: Choice, is_first: bool, lane: u32) -> Choice {
    var best = Choice(MIN, params.experts);
    for (var e = lane; e < params.experts; e += WORKGROUP_SIZE) {
        let v = score_of(row, e, top);
        let left = is_first || v < last.score || (v == last.score && e > last.expert);
        var counts = left && v > best.score;
        if counts && params.groups > 1u { counts = group_counts(e / (params.experts / params.groups)); }
        if counts { best = Choice(v, e); }
    }
    return best;
}

fn best_of_lanes() -> Choice {
    var best = Choice(scores[0], experts[0]);
    for (var lane = 1u; lane < WORKGROUP_SIZE; lane++) {
        let v = Choice(scores[lane], experts[lane]);
        if v.score > best.score || (v.score == best.score && v.expert < best.expert) { best = v; }
    }
    return Choice(best.score, min(best.expert, params.experts - 1u));
}
