//! Every case of every kernel, in every variant that each adapter can run, against the CPU twins.

use std::{ops::ControlFlow, time::Instant};

use lantern_engine::{EngineOptions, SelfTestRow};

use crate::support::adapters;

#[test]
fn every_variant_computes_what_its_twin_does() {
    let mut failures = Vec::new();
    for adapter in adapters::all() {
        let options = EngineOptions {
            checked: true,
            cooperative: true,
            ..EngineOptions::default()
        };
        let engine = adapters::engine(&adapter, options);
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
        pollster::block_on(engine.selftest(&[], &mut each)).unwrap();
        assert!(cases > 700, "{}: {cases} cases", adapter.name);
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
