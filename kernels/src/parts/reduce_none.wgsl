// Lanes share nothing: each has rows of its own.
// The same in all lanes of a workgroup; apart from what differs, so that compilers see that it is.
struct Workgroup {
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) count: vec3u,
}

struct Invocation {
    @builtin(local_invocation_index) lane: u32,
}

fn reduce_sum(v: f32, at: Invocation, wg: Workgroup) -> f32 { return v; }
