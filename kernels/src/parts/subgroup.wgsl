// A workgroup that is one subgroup of WORKGROUP_SIZE: runs only where subgroups have exactly that size.
// The same in all lanes of a workgroup; apart from what differs, so that compilers see that it is.
struct Workgroup {
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) count: vec3u,
}

struct Invocation {
    @builtin(subgroup_invocation_id) lane: u32,
}
