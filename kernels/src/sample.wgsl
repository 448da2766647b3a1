// sample: samples a token: penalties, then top-k, top-p, min-p, then temperature (llama.cpp's order), and moves the pass on.
// One workgroup; lanes stride over the vocabulary. Thresholds are found without sorting, by bisection over the bits of
// a score (32 counts for top-k, 32 sums for top-p). The token is sampled by inverting the cumulative distribution in the
// order lane by lane, with a number hashed from seed and position. Bound: reads the scores up to 67 times.
// Lanes are many and take four scores a turn because llvmpipe ends a shader's loops, silently, after 65,535 turns in all.
// Sockets: none; reduce comes with the variant.

struct Params {
    vocab_size: u32, top_k: u32, top_p: f32, min_p: f32, temperature: f32,
    repeat_penalty: f32, frequency_penalty: f32, presence_penalty: f32,
    seed_low: u32, seed_high: u32,
}

@group(0) @binding(2) var<storage, read> logits: array<f32>;       // (vocab_size)
@group(0) @binding(3) var<storage, read_write> scores: array<f32>; // (vocab_size): logits after penalties
@group(0) @binding(4) var<storage, read_write> seen: array<u32>;   // (vocab_size): times sampled; top bit: in the prompt
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> masses: array<f32, WORKGROUP_SIZE>;
var<workgroup> shared_value: f32;

const IN_PROMPT = 0x80000000u;

// Grows with v, for all finite v.
fn key(v: f32) -> u32 {
    let bits = bitcast<u32>(v);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn penalised(i: u32) -> f32 {
    let v = logits[i];
    let times = seen[i];
    if times == 0u { return v; }
    let sampled = times & ~IN_PROMPT;
    let repeated = select(v * params.repeat_penalty, v / params.repeat_penalty, v > 0.0);
    return repeated - f32(sampled) * params.frequency_penalty - select(0.0, params.presence_penalty, sampled > 0u);
}

// Integers to integers with every bit depending on every other (Wellons 2018, lowbias32).
fn mix(value: u32) -> u32 {
    var x = value;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}

// Sum over scores whose key is at least `cut`: of ones, or of exp(score - max_score).
fn above(cut: u32, max_score: f32, ones: bool, at: Invocation, wg: Workgroup) -> f32 {
    var sum = 0.0;
    for (var i = at.lane; i < params.vocab_size; i += 4u * WORKGROUP_SIZE) {
        sum += part(i, cut, max_score, ones) + part(i + WORKGROUP_SIZE, cut, max_score, ones)
            + part(i + 2u * WORKGROUP_SIZE, cut, max_score, ones) + part(i + 3u * WORKGROUP_SIZE, cut, max_score, ones);
    }
    return same(reduce_sum(sum, at, wg), at);
}

// A value that all lanes have, so that compilers see that they do: what hangs on it has barriers.
fn same(v: f32, at: Invocation) -> f32 {
    if at.lane == 0u { shared_value = v; }
    return workgroupUniformLoad(&shared_value);
}

fn part(i: u32, cut: u32, max_score: f32, ones: bool) -> f32 {
    let v = scores[min(i, params.vocab_size - 1u)];
    return select(0.0, select(exp(v - max_score), 1.0, ones), i < params.vocab_size && key(v) >= cut);
}

// The largest threshold at or above `lowest` that leaves at least `goal` above it.
fn threshold(lowest: u32, goal: f32, max_score: f32, ones: bool, at: Invocation, wg: Workgroup) -> u32 {
    var found = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        let next = found | bit;
        if next <= lowest || above(next, max_score, ones, at, wg) >= goal { found = next; }
    }
    return min(max(found, lowest), key(max_score)); // the likeliest always stays
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let position = next_position(); // read before the barriers: one lane advances it after them
    var best = -3.0e38;
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let lost = is_lost(logits[i]);
        let v = select(clamp(penalised(i), -3.0e38, 3.0e38), 0.0, lost);
        scores[i] = v; // a lane reads only what it wrote itself
        best = max(best, select(v, LOST, lost));
    }
    let max_score = same(reduce_max(best, at, wg), at);

    var cut = 0u;
    if params.top_k > 0u && params.top_k < params.vocab_size {
        cut = threshold(0u, f32(params.top_k), max_score, true, at, wg);
    }
    if params.top_p < 1.0 {
        let total = above(cut, max_score, false, at, wg);
        cut = threshold(cut, params.top_p * total, max_score, false, at, wg);
    }
    if params.min_p > 0.0 { cut = max(cut, key(max_score + log(params.min_p))); }

    var mass = 0.0;
    var last = 0u; // the lane's last candidate, should rounding carry past the end
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let v = scores[i];
        if key(v) >= cut {
            mass += exp((v - max_score) / params.temperature);
            last = i;
        }
    }
    masses[at.lane] = mass;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) { total += masses[i]; }
    let random = mix(params.seed_low ^ mix(params.seed_high ^ mix(position)));
    var target_mass = f32(random >> 8u) / 16777216.0 * total;
    var chosen = 0u; // the lane whose share of the mass the target falls in
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
        if masses[i] > 0.0 { chosen = i; }
        if target_mass < masses[i] { break; }
        target_mass -= masses[i];
    }
    if at.lane != chosen { return; }
    var token = last;
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let v = scores[i];
        if key(v) < cut { continue; }
        let share = exp((v - max_score) / params.temperature);
        if target_mass < share {
            token = i;
            break;
        }
        target_mass -= share;
    }
    let finite = max_score < LOST;
    if finite { seen[token] += 1u; }
    advance(token, finite);
}
