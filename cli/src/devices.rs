//! `lantern devices`: the adapters of this machine, and what of them matters here.

use indicatif::DecimalBytes;
use lantern_engine::{AdapterDescription, AdapterFeatures, Gpu, GpuOptions};
use pollster::block_on;

use crate::{failure::Result, output};

/// `devices`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub fn run(args: &Args) -> Result {
    let adapters = block_on(Gpu::adapters());
    if args.json {
        output::json(&adapters)?;
    }
    if adapters.is_empty() {
        // The engine knows what to install on this system, and says it where a GPU is asked for.
        block_on(Gpu::new(&GpuOptions::default()))?;
    }
    if args.json {
        return Ok(());
    }
    let blank = [String::new()].to_vec();
    let rows: Vec<Vec<String>> = adapters
        .iter()
        .enumerate()
        .flat_map(|(i, adapter)| {
            (i > 0)
                .then(|| blank.clone())
                .into_iter()
                .chain(rows(adapter))
        })
        .collect();
    output::table(&rows)
}

fn rows(adapter: &AdapterDescription) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![String::new(), name.to_owned(), value];
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let (limits, features) = (&adapter.limits, &adapter.features);
    let (min, max) = features.subgroup_size;
    vec![
        vec![
            adapter.index.to_string(),
            "name".to_owned(),
            adapter.name.clone(),
        ],
        row("kind", format!("{}, {}", adapter.kind, adapter.backend)),
        row(
            "driver",
            format!("{} {}", adapter.driver, adapter.driver_info)
                .trim()
                .to_owned(),
        ),
        row(
            "largest binding",
            DecimalBytes(limits.max_storage_buffer_binding_size).to_string(),
        ),
        row(
            "largest buffer",
            DecimalBytes(limits.max_buffer_size).to_string(),
        ),
        row(
            "workgroup",
            format!(
                "{} invocations, {} bytes shared",
                limits.max_compute_invocations_per_workgroup,
                limits.max_compute_workgroup_storage_size
            ),
        ),
        row(
            "storage buffers",
            format!("{} a stage", limits.max_storage_buffers_per_shader_stage),
        ),
        row("shader-f16", yes(features.shader_f16)),
        row(
            "subgroups",
            if features.subgroups {
                format!("yes, {min} to {max} lanes")
            } else {
                yes(false)
            },
        ),
        row("cooperative", matrices(features)),
        row("timestamps", yes(features.timestamps)),
    ]
}

/// Cooperative matrices that an adapter has.
fn matrices(features: &AdapterFeatures) -> String {
    let kinds = [
        (features.cooperative_f32, "8 × 8 f32"),
        (features.cooperative_f16_8, "8 × 8 f16"),
        (features.cooperative_f16, "16 × 16 f16"),
    ];
    let names: Vec<&str> = kinds
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| *name)
        .collect();
    if names.is_empty() {
        return "no".to_owned();
    }
    format!("matrices of {}", names.join(", "))
}
