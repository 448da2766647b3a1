// sample: samples a token by the settings of its sequence, in llama.cpp's order, and moves the pass on. Logits get their
// bias and penalties; top-n-sigma, top-k, typical-p, top-p, min-p and XTC leave candidates, or mirostat does in their place;
// the temperature, which entropy may change, comes last.
// A workgroup for each row sampled after; lanes stride over the vocabulary. Thresholds are found without sorting, by
// bisection over the bits of a score (32 counts for top-k, 32 sums for top-p and typical-p). The token is sampled by
// inverting the cumulative distribution in the order lane by lane, with a number hashed from seed and position.
// Bound: reads the scores up to 105 times.
// Lanes are many and take four scores a turn because llvmpipe ends a shader's loops, silently, after 65,535 turns in all.
// Sockets: none; reduce comes with the variant.

struct Params { vocab_size: u32, stride: u32 }

struct Sampler {
    flags: u32, top_k: u32, top_n_sigma: f32, typical_p: f32, top_p: f32, min_p: f32, xtc_probability: f32,
    xtc_threshold: f32, temperature: f32, dynatemp_range: f32, dynatemp_exponent: f32, mirostat_tau: f32,
    mirostat_eta: f32, mirostat_mu: f32, repeat_penalty: f32, frequency_penalty: f32, presence_penalty: f32,
    seed_low: u32, seed_high: u32, unused: u32,
}

@group(0) @binding(0) var<storage, read> allowed: array<u32>;           // (sequences, stride / 32): a bit a token, where a grammar says
@group(0) @binding(1) var<storage, read> bias: array<f32>;              // (sequences, stride)
@group(0) @binding(2) var<storage, read> logits: array<f32>;            // (rows, stride)
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;      // (rows, stride): penalties of DRY; logits after all penalties
@group(0) @binding(4) var<storage, read_write> seen: array<u32>;        // (sequences, stride): times sampled; top bit: in the prompt
@group(0) @binding(6) var<storage, read_write> samplers: array<Sampler>; // (sequences)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> masses: array<f32, WORKGROUP_SIZE>;
var<workgroup> shared_value: f32;
var<workgroup> shared_row: Row;
var<workgroup> shared_sampler: Sampler;

const IN_PROMPT = 0x80000000u;
const HAS_GRAMMAR = 1u;
const HAS_BIAS = 2u;
const HAS_DRY = 4u;
// The score of a token that is no candidate.
const OUT = -3.0e38;
// Ways of adding up scores: ones, exp(score - centre), that times (score - centre), score, (score - centre)².
const ONES = 0u;
const MASSES = 1u;
const MOMENTS = 2u;
const SCORES = 3u;
const SQUARES = 4u;
// Masses with thresholds on the distance from where a token is as surprising as the average.
const NEAR = 5u;

// The scores that a workgroup works on, and those that are candidates: with keys of at least `cut`.
struct Candidates { start: u32, cut: u32 }

// Grows with v, for all finite v.
fn key(v: f32) -> u32 {
    let bits = bitcast<u32>(v);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn penalised(v: f32, times: u32, sampler: Sampler) -> f32 {
    if times == 0u { return v; }
    let sampled = times & ~IN_PROMPT;
    let repeated = select(v * sampler.repeat_penalty, v / sampler.repeat_penalty, v > 0.0);
    return repeated - f32(sampled) * sampler.frequency_penalty - select(0.0, sampler.presence_penalty, sampled > 0u);
}

// The score of token i after bias, penalties and grammar.
fn score(i: u32, start: u32, sequence: u32, sampler: Sampler) -> f32 {
    let own = sequence * params.stride;
    if (sampler.flags & HAS_GRAMMAR) != 0u {
        let word = allowed[sequence * (params.stride / 32u) + i / 32u];
        if ((word >> (i % 32u)) & 1u) == 0u { return OUT; }
    }
    var v = logits[start + i];
    if (sampler.flags & HAS_BIAS) != 0u { v += bias[own + i]; }
    v = penalised(v, seen[own + i], sampler);
    if (sampler.flags & HAS_DRY) != 0u { v -= scores[start + i]; }
    return clamp(v, OUT, -OUT);
}

// Integers to integers with every bit depending on every other (Wellons 2018, lowbias32).
fn mix(value: u32) -> u32 {
    var x = value;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}

// A number from 0 to 1.
fn uniform_number(random: u32) -> f32 { return f32(random >> 8u) / 16777216.0; }

// A value that all lanes have, so that compilers see that they do: what hangs on it has barriers.
fn same(v: f32, at: Invocation) -> f32 {
    if at.lane == 0u { shared_value = v; }
    return workgroupUniformLoad(&shared_value);
}

// The sum over candidates; for distances, over those whose negative distance from `centre` has a key of at least `near`.
fn total(all: Candidates, kind: u32, centre: f32, max_score: f32, near: u32, at: Invocation, wg: Workgroup) -> f32 {
    var sum = 0.0;
    for (var i = at.lane; i < params.vocab_size; i += 4u * WORKGROUP_SIZE) {
        sum += part(all, i, kind, centre, max_score, near)
            + part(all, i + WORKGROUP_SIZE, kind, centre, max_score, near)
            + part(all, i + 2u * WORKGROUP_SIZE, kind, centre, max_score, near)
            + part(all, i + 3u * WORKGROUP_SIZE, kind, centre, max_score, near);
    }
    return same(reduce_sum(sum, at, wg), at);
}

fn part(all: Candidates, i: u32, kind: u32, centre: f32, max_score: f32, near: u32) -> f32 {
    let v = scores[all.start + min(i, params.vocab_size - 1u)];
    if i >= params.vocab_size || key(v) < all.cut { return 0.0; }
    let distance = v - centre;
    switch kind {
        case ONES: { return 1.0; }
        case MASSES: { return exp(distance); }
        case MOMENTS: { return exp(distance) * distance; }
        case SCORES: { return v; }
        case SQUARES: { return distance * distance; }
        default: { return select(0.0, exp(v - max_score), key(-abs(distance)) >= near); }
    }
}

// The largest threshold at or above the candidates' that leaves at least `goal` above it.
fn threshold(all: Candidates, kind: u32, goal: f32, max_score: f32, at: Invocation, wg: Workgroup) -> u32 {
    var found = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        let next = found | bit;
        if next <= all.cut || total(Candidates(all.start, next), kind, max_score, max_score, 0u, at, wg) >= goal {
            found = next;
        }
    }
    return min(max(found, all.cut), key(max_score)); // the likeliest always stays
}

// The largest score of candidates at most `most`.
fn largest(all: Candidates, most: f32, at: Invocation, wg: Workgroup) -> f32 {
    var best = OUT;
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let v = scores[all.start + i];
        if key(v) >= all.cut && v <= most { best = max(best, v); }
    }
    return same(reduce_max(best, at, wg), at);
}

// Typical-p: candidates stay that are about as surprising as the average, as few as have the mass (Meister et al. 2022).
fn keep_typical(all: Candidates, p: f32, max_score: f32, at: Invocation, wg: Workgroup) {
    let mass = total(all, MASSES, max_score, max_score, 0u, at, wg);
    let centre = max_score + total(all, MOMENTS, max_score, max_score, 0u, at, wg) / mass;
    var near = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        let next = near | bit;
        // No distance is less than none.
        if next <= key(-0.0) && total(all, NEAR, centre, max_score, next, at, wg) >= p * mass { near = next; }
    }
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        if key(-abs(scores[all.start + i] - centre)) < near { scores[all.start + i] = OUT; }
    }
}

// XTC: of the candidates with at least this probability only the least likely stays (p-e-w 2024). Returns its score.
fn exclude_top_choices(all: Candidates, least: f32, max_score: f32, at: Invocation, wg: Workgroup) -> f32 {
    let mass = total(all, MASSES, max_score, max_score, 0u, at, wg);
    var lowest = OUT; // negative
    var count = 0.0;
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let v = scores[all.start + i];
        if key(v) >= all.cut && exp(v - max_score) >= least * mass {
            lowest = max(lowest, -v);
            count += 1.0;
        }
    }
    let many = same(reduce_sum(count, at, wg), at) > 1.5;
    let stays = -same(reduce_max(lowest, at, wg), at);
    if !many { return max_score; }
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        if scores[all.start + i] > stays { scores[all.start + i] = OUT; }
    }
    return stays;
}

// The temperature, by how uncertain the model is where the sampler says so (Zhu et al. 2023, as llama.cpp has it).
fn entropy_temperature(all: Candidates, sampler: Sampler, max_score: f32, at: Invocation, wg: Workgroup) -> f32 {
    let count = total(all, ONES, max_score, max_score, 0u, at, wg);
    let mass = total(all, MASSES, max_score, max_score, 0u, at, wg);
    let entropy = log(mass) - total(all, MOMENTS, max_score, max_score, 0u, at, wg) / mass;
    if count < 1.5 { return sampler.temperature; }
    let lowest = max(0.0, sampler.temperature - sampler.dynatemp_range);
    let highest = sampler.temperature + sampler.dynatemp_range;
    let share = clamp(entropy / log(count), 0.0, 1.0);
    return max(lowest + (highest - lowest) * pow(share, sampler.dynatemp_exponent), 1.0e-4);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    if at.lane == 0u {
        shared_row = rows.row[sampled_row(wg)];
        shared_sampler = samplers[shared_row.sequence];
    }
    let row = workgroupUniformLoad(&shared_row);
    let sampler = workgroupUniformLoad(&shared_sampler);
    let start = wg.id.x * params.stride;
    var best = OUT;
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let lost = is_lost(logits[start + i]);
        let v = select(score(i, start, row.sequence, sampler), 0.0, lost);
        scores[start + i] = v; // a lane reads only what it wrote itself
        best = max(best, select(v, LOST, lost));
    }
    var max_score = same(reduce_max(best, at, wg), at);
    let finite = max_score < LOST;

    var all = Candidates(start, select(0u, key(OUT) + 1u, max_score > OUT));
    var temperature = sampler.temperature;
    if sampler.mirostat_tau > 0.0 {
        // Mirostat 2 (Basu et al. 2020): tokens that are not more surprising than mu, and the likeliest.
        let heated = max_score / temperature;
        var mass = 0.0;
        for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
            let v = scores[start + i];
            if key(v) >= all.cut { mass += exp(v / temperature - heated); }
        }
        mass = same(reduce_sum(mass, at, wg), at);
        let lowest = max_score + temperature * (log(mass) - sampler.mirostat_mu * 0.6931471805599453);
        all.cut = max(all.cut, min(key(clamp(lowest, OUT, -OUT)), key(max_score)));
    } else {
        if sampler.top_n_sigma > 0.0 {
            let count = total(all, ONES, 0.0, max_score, 0u, at, wg);
            let mean = total(all, SCORES, 0.0, max_score, 0u, at, wg) / count;
            let deviation = sqrt(total(all, SQUARES, mean, max_score, 0u, at, wg) / count);
            all.cut = max(all.cut, key(max_score - sampler.top_n_sigma * deviation));
        }
        if sampler.top_k > 0u && sampler.top_k < params.vocab_size {
            all.cut = threshold(all, ONES, f32(sampler.top_k), max_score, at, wg);
        }
        if sampler.typical_p < 1.0 {
            keep_typical(all, sampler.typical_p, max_score, at, wg);
            max_score = largest(all, -OUT, at, wg);
        }
        if sampler.top_p < 1.0 {
            let mass = total(all, MASSES, max_score, max_score, 0u, at, wg);
            all.cut = threshold(all, MASSES, sampler.top_p * mass, max_score, at, wg);
        }
        if sampler.min_p > 0.0 { all.cut = max(all.cut, key(max_score + log(sampler.min_p))); }
        let random = mix(sampler.seed_high ^ mix(sampler.seed_low ^ mix(row.position + 1u)));
        if sampler.xtc_probability > 0.0 && uniform_number(random) <= sampler.xtc_probability {
            max_score = exclude_top_choices(all, sampler.xtc_threshold, max_score, at, wg);
        }
        if sampler.dynatemp_range > 0.0 { temperature = entropy_temperature(all, sampler, max_score, at, wg); }
    }
    choose(all, row, sampler, temperature, max_score, finite, at, wg);
}

// Samples one of the candidates, and moves the pass on.
fn choose(
    all: Candidates, row: Row, sampler: Sampler, temperature: f32, max_score: f32, finite: bool, at: Invocation,
    wg: Workgroup,
) {
    let start = all.start;
    let greedy = temperature == 0.0;
    let cut = select(all.cut, key(max_score), greedy);
    let heat = select(temperature, 1.0, greedy);
    var mass = 0.0;
    var last = 0u; // the lane's last candidate, should rounding carry past the end
    var first = params.vocab_size; // and its first
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let v = scores[start + i];
        if key(v) >= cut {
            mass += exp((v - max_score) / heat);
            last = i;
            first = min(first, i);
        }
    }
    // An index below 2^24 is exact as f32.
    let first_of_all = u32(-reduce_max(-f32(first), at, wg));
    masses[at.lane] = mass;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) { sum += masses[i]; }
    let random = mix(sampler.seed_low ^ mix(sampler.seed_high ^ mix(row.position + 1u)));
    var target_mass = uniform_number(random) * sum;
    var chosen = 0u; // the lane whose share of the mass the target falls in
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
        if masses[i] > 0.0 { chosen = i; }
        if target_mass < masses[i] { break; }
        target_mass -= masses[i];
    }
    if greedy { chosen = first_of_all % WORKGROUP_SIZE; }
    if at.lane != chosen { return; }
    var token = last;
    for (var i = at.lane; i < params.vocab_size && !greedy; i += WORKGROUP_SIZE) {
        let v = scores[start + i];
        if key(v) < cut { continue; }
        let share = exp((v - max_score) / heat);
        if target_mass < share {
            token = i;
            break;
        }
        target_mass -= share;
    }
    if greedy { token = first_of_all; }
    token = min(token, params.vocab_size - 1u);
    if finite { seen[row.sequence * params.stride + token] += 1u; }
    if finite && sampler.mirostat_tau > 0.0 {
        let surprise = (log(sum) - (scores[start + token] - max_score) / heat) / 0.6931471805599453;
        samplers[row.sequence].mirostat_mu = sampler.mirostat_mu - sampler.mirostat_eta * (surprise - sampler.mirostat_tau);
    }
    advance(row, token, finite, wg);
}
