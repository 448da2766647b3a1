// reduce_sum, reduce_max over the workgroup, in every lane. Tree in workgroup memory; LANES is a power of two.
struct Invocation {
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
}

var<workgroup> reduce_scratch: array<f32, LANES>;

fn reduce_sum(v: f32, at: Invocation) -> f32 {
    reduce_scratch[at.lane] = v;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if at.lane < width { reduce_scratch[at.lane] += reduce_scratch[at.lane + width]; }
        workgroupBarrier();
    }
    let sum = reduce_scratch[0];
    workgroupBarrier(); // the scratch may be used again at once
    return sum;
}

fn reduce_max(v: f32, at: Invocation) -> f32 {
    reduce_scratch[at.lane] = v;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if at.lane < width { reduce_scratch[at.lane] = max(reduce_scratch[at.lane], reduce_scratch[at.lane + width]); }
        workgroupBarrier();
    }
    let most = reduce_scratch[0];
    workgroupBarrier();
    return most;
}
