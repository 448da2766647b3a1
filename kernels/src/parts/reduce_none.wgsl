// Lanes share nothing: each has rows of its own.
struct Invocation {
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
}

fn reduce_sum(v: f32, at: Invocation) -> f32 { return v; }
