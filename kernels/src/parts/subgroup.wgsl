// A workgroup that is one subgroup of LANES: runs only where subgroups have exactly that size.
struct Invocation {
    @builtin(workgroup_id) group: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
}
