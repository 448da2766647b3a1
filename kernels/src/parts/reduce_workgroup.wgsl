// reduce_sum, reduce_sum4, reduce_max over the workgroup, in every lane. Tree in workgroup memory; WORKGROUP_SIZE is a power of two.
// The same in all lanes of a workgroup; apart from what differs, so that compilers see that it is.
struct Workgroup {
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) count: vec3u,
}

struct Invocation {
    @builtin(local_invocation_index) lane: u32,
}

var<workgroup> reduce_scratch: array<f32, WORKGROUP_SIZE>;
var<workgroup> reduce_scratch4: array<vec4f, WORKGROUP_SIZE>;

fn reduce_sum(v: f32, at: Invocation, wg: Workgroup) -> f32 {
    reduce_scratch[at.lane] = v;
    workgroupBarrier();
    for (var width = WORKGROUP_SIZE / 2u; width > 0u; width /= 2u) {
        if at.lane < width { reduce_scratch[at.lane] += reduce_scratch[at.lane + width]; }
        workgroupBarrier();
    }
    let sum = reduce_scratch[0];
    workgroupBarrier(); // the scratch may be used again at once
    return sum;
}

fn reduce_sum4(v: vec4f, at: Invocation, wg: Workgroup) -> vec4f {
    reduce_scratch4[at.lane] = v;
    workgroupBarrier();
    for (var width = WORKGROUP_SIZE / 2u; width > 0u; width /= 2u) {
        if at.lane < width { reduce_scratch4[at.lane] += reduce_scratch4[at.lane + width]; }
        workgroupBarrier();
    }
    let sum = reduce_scratch4[0];
    workgroupBarrier();
    return sum;
}

fn reduce_max(v: f32, at: Invocation, wg: Workgroup) -> f32 {
    reduce_scratch[at.lane] = v;
    workgroupBarrier();
    for (var width = WORKGROUP_SIZE / 2u; width > 0u; width /= 2u) {
        if at.lane < width { reduce_scratch[at.lane] = max(reduce_scratch[at.lane], reduce_scratch[at.lane + width]); }
        workgroupBarrier();
    }
    let result = reduce_scratch[0];
    workgroupBarrier();
    return result;
}
