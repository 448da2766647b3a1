//! Every case of every kernel, in every variant that each adapter can run, against the CPU references.

use std::{ops::ControlFlow, time::Instant};

use lantern_engine::{GpuOptions, SelfTestRow};
use lantern_kernels::ALL;

use crate::support::adapters;

/// The kernels in parts that take about as long, so that they run side by side; the last has what no other names.
const PARTS: [&[&str]; 6] = [
    &["matvec"],
    &["matmul", "matmul_cooperative"],
    &["matmul_rows"],
    &[
        "attention",
        "attention_positions",
        "attention_tokens",
        "attention_tiles",
    ],
    &[
        "embed",
        "experts",
        "quantise",
        "matvec_integer",
        "matmul_integer",
    ],
    &[],
];

#[test]
fn every_variant_of_matvec_computes_what_its_twin_does() {
    check(0);
}

#[test]
fn every_variant_of_matmul_computes_what_its_twin_does() {
    check(1);
}

#[test]
fn every_variant_of_matmul_rows_computes_what_its_twin_does() {
    check(2);
}

#[test]
fn every_variant_of_attention_computes_what_its_twin_does() {
    check(3);
}

#[test]
fn every_variant_of_other_linear_kernels_computes_what_its_twin_does() {
    check(4);
}

#[test]
fn every_variant_of_the_rest_computes_what_its_twin_does() {
    check(5);
}

fn check(part: usize) {
    let named = |kernel: &str| PARTS.iter().any(|part| part.contains(&kernel));
    let rest = ALL
        .iter()
        .map(|kernel| kernel.name)
        .filter(|kernel| !named(kernel));
    let part = if PARTS[part].is_empty() {
        rest.collect()
    } else {
        PARTS[part].to_vec()
    };
    let part: Vec<String> = part.into_iter().map(str::to_owned).collect();
    let mut failures = Vec::new();
    for adapter in adapters::all() {
        let options = GpuOptions::default().checked(true);
        let gpu = adapters::gpu(&adapter, options);
        let mut start = Instant::now();
        let mut cases = 0;
        let mut each = |row: SelfTestRow, _: usize| {
            let (name, seconds) = (&adapter.name, start.elapsed().as_secs_f32());
            let label = format!("{name} {}.{}", row.kernel, row.variant);
            eprintln!("{label}: {} cases, {seconds:.1} s", row.cases);
            failures.extend(row.failures.iter().map(|what| format!("{label}: {what}")));
            cases += row.cases;
            start = Instant::now();
            ControlFlow::Continue(())
        };
        pollster::block_on(gpu.selftest(&part, &mut each)).unwrap();
        assert!(cases > 50, "{}: {cases} cases", adapter.name);
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
