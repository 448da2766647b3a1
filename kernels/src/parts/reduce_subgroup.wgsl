// reduce_sum, reduce_sum4, reduce_max over the workgroup, in every lane: within subgroups of whatever size, then over their
// results.
// The same in all lanes of a workgroup; apart from what differs, so that compilers see that it is.
struct Workgroup {
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(subgroup_size) subgroup_size: u32,
}

struct Invocation {
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) subgroup_lane: u32,
}

var<workgroup> reduce_scratch: array<f32, WORKGROUP_SIZE>;
var<workgroup> reduce_scratch4: array<vec4f, WORKGROUP_SIZE>;

// Every subgroup leaves its result in the place of its first lane, the rest hold the neutral value.
fn reduce_sum(v: f32, at: Invocation, wg: Workgroup) -> f32 {
    let part = subgroupAdd(v);
    if wg.subgroup_size >= WORKGROUP_SIZE { return part; }
    reduce_scratch[at.lane] = select(0.0, part, at.subgroup_lane == 0u);
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < WORKGROUP_SIZE; i += wg.subgroup_size) { sum += reduce_scratch[i + at.subgroup_lane]; }
    workgroupBarrier(); // the scratch may be used again at once
    return subgroupAdd(sum);
}

fn reduce_sum4(v: vec4f, at: Invocation, wg: Workgroup) -> vec4f {
    let part = subgroup_sum4(v);
    if wg.subgroup_size >= WORKGROUP_SIZE { return part; }
    reduce_scratch4[at.lane] = select(vec4f(0.0), part, at.subgroup_lane == 0u);
    workgroupBarrier();
    var sum = vec4f(0.0);
    for (var i = 0u; i < WORKGROUP_SIZE; i += wg.subgroup_size) { sum += reduce_scratch4[i + at.subgroup_lane]; }
    workgroupBarrier();
    return subgroup_sum4(sum);
}

fn subgroup_sum4(v: vec4f) -> vec4f {
    return vec4f(subgroupAdd(v.x), subgroupAdd(v.y), subgroupAdd(v.z), subgroupAdd(v.w));
}

fn reduce_max(v: f32, at: Invocation, wg: Workgroup) -> f32 {
    let part = subgroupMax(v);
    if wg.subgroup_size >= WORKGROUP_SIZE { return part; }
    reduce_scratch[at.lane] = part;
    workgroupBarrier();
    var result = v;
    for (var i = 0u; i < WORKGROUP_SIZE; i += wg.subgroup_size) { result = max(result, reduce_scratch[i + at.subgroup_lane]); }
    workgroupBarrier();
    return subgroupMax(result);
}
