//! Dispatches that a layer costs while decoding: each is some microseconds on a GPU, whatever it computes. Plans are read,
//! not run.

use lantern_engine::{BrowserAdapter, Gpu, GpuOptions, LoadOptions, ModelFile};

use crate::support::{adapters, models::folder};

/// Dispatches of a recurrent layer beyond those of attention in its place.
const MORE_MAX: usize = 2;

/// Models with recurrent layers, and as many dispatches as such a layer has beyond attention where that is more.
const MODELS: [(&str, Option<usize>); 14] = [
    ("falcon-h1", None),
    ("granitehybrid", None),
    ("granitehybrid-moe", None),
    ("jamba", None),
    ("kimi-linear", None),
    ("lfm2", None),
    ("lfm2moe", None),
    ("mamba", None),
    ("mamba2", None),
    ("nemotron-h", None),
    ("qwen35", None),
    ("qwen35moe", None),
    ("qwen3next", None),
    // Three matrices and four pairs of low rank, each of an input of its own, with activations between.
    ("rwkv7", Some(13)),
];

/// Dispatches of a layer's mixer.
struct Mixer {
    recurrent: bool,
    count: usize,
}

/// The mixers of a model in a step of decode.
fn mixers(gpu: &Gpu, name: &str) -> Vec<Mixer> {
    let path = if name == "llama" {
        "families"
    } else {
        "families-2026"
    };
    let file = ModelFile::open(&folder(path).join(format!("{name}.gguf"))).unwrap();
    let plan = file.plan(gpu, &LoadOptions::default(), 1).unwrap();
    let last = plan.dispatches.iter().filter_map(|d| d.layer).max();
    let mixers = (0..=last.unwrap()).filter_map(|layer| {
        let own = plan.dispatches.iter().filter(|d| d.layer == Some(layer));
        let own: Vec<_> = own.collect();
        // The matrix back to the residual stream is a mixer's last.
        let ends = ["attn_output", "ssm_out", "out_proj", "time_mix_output"];
        let end = own
            .iter()
            .rposition(|d| ends.iter().any(|end| d.what.contains(end)))?;
        let states = ["conv", "scan", "delta_net", "wkv7"];
        let kernels = own[..end].iter().map(|d| d.shader.kernel.name);
        Some(Mixer {
            recurrent: kernels.into_iter().any(|kernel| states.contains(&kernel)),
            count: end + 1,
        })
    });
    mixers.collect()
}

/// The most dispatches of a mixer of that kind.
fn most(mixers: &[Mixer], recurrent: bool) -> Option<usize> {
    let own = mixers.iter().filter(|mixer| mixer.recurrent == recurrent);
    own.map(|mixer| mixer.count).max()
}

/// A GPU of the main adapter, with plans as for one that runs on the CPU, or not.
fn gpu(software: bool) -> Gpu {
    let adapter = adapters::main();
    let described = BrowserAdapter {
        name: adapter.name.clone(),
        software,
        subgroups: adapter.features.subgroups,
    };
    let gpu = adapters::gpu(&adapter, GpuOptions::default().browser(described));
    assert_eq!(gpu.adapter().kind == "software", software);
    gpu
}

#[test]
fn a_recurrent_layer_costs_two_dispatches_more_than_attention_at_most() {
    let mut wrong = Vec::new();
    let gpus = [true, false].map(gpu);
    for (name, exception) in MODELS {
        let more = gpus.each_ref().map(|gpu| {
            let own = mixers(gpu, name);
            let attention = most(&own, false).or_else(|| most(&mixers(gpu, "llama"), false));
            let recurrent = most(&own, true).expect("a recurrent layer");
            recurrent.saturating_sub(attention.expect("attention"))
        });
        println!("{name:<20} {more:?} more than attention");
        let max = more.into_iter().max().unwrap();
        let held = exception.map_or(max <= MORE_MAX, |stated| max == stated && max > MORE_MAX);
        if !held {
            wrong.push(format!("{name}: {more:?} more, listed is {exception:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
