//! Every case of every kernel, in every variant that each adapter can run, against the CPU twins.

use crate::support::{adapters, nmse};
use lantern_engine::{Engine, EngineOptions};
use lantern_kernels::{ALL, Case, Kernel, Variant};

/// How `output` is compared: integers exactly, f16 as f16, the rest as f32 within what its arithmetic allows.
fn compare(case: &Case, output: &str, got: &[u32], wanted: &[u32]) -> Result<(), String> {
    let part = |name: &str| case.parts.iter().any(|p| p.name == name);
    let (error, most) = match output {
        "tokens" | "drawn" | "state" | "seen" => {
            return if got == wanted {
                Ok(())
            } else {
                Err("differs".into())
            };
        }
        "keys" | "values" if part("f16") => {
            let halves = |words: &[u32]| -> Vec<f32> {
                let bits = words.iter().flat_map(|&w| [w as u16, (w >> 16) as u16]);
                bits.map(|b| half::f16::from_bits(b).to_f32()).collect()
            };
            (nmse(&halves(got), &halves(wanted)), 1e-7) // one may round to the other neighbour
        }
        // 16-bit tiles round both factors to 11 bits.
        "y" if case.weights.is_some()
            && part("f16")
            && case.parts.len() == 3
            && case.parts[2].name == "f16" =>
        {
            (
                nmse(bytemuck::cast_slice(got), bytemuck::cast_slice(wanted)),
                1e-6,
            )
        }
        _ => (
            nmse(bytemuck::cast_slice(got), bytemuck::cast_slice(wanted)),
            1e-11,
        ),
    };
    if error <= most {
        Ok(())
    } else {
        Err(format!("NMSE {error:.2e} is over {most:.0e}"))
    }
}

fn run(
    engine: &Engine,
    kernel: &'static Kernel,
    variant: &'static Variant,
    case: &Case,
) -> Result<(), String> {
    let got =
        pollster::block_on(engine.run_case(kernel, variant, case)).map_err(|e| e.to_string())?;
    let mut call = case.call(variant);
    (kernel.twin)(&mut call);
    got.iter().try_for_each(|(output, words)| {
        compare(case, output, words, call.words(output)).map_err(|e| format!("{output} {e}"))
    })
}

#[test]
fn every_variant_computes_what_its_twin_does() {
    let mut failures = Vec::new();
    for adapter in adapters::all() {
        let engine = adapters::engine(
            &adapter,
            EngineOptions {
                checked: true,
                ..EngineOptions::default()
            },
        );
        for kernel in ALL {
            let cases = (kernel.cases)();
            for variant in kernel.variants.iter().filter(|v| engine.runs(v)) {
                let start = std::time::Instant::now();
                let runs =
                    |case: &&Case| adapter.features.shader_f16 || !case.parts.iter().any(|p| p.f16);
                for case in cases.iter().filter(runs) {
                    if let Err(what) = run(&engine, kernel, variant, case) {
                        failures.push(format!(
                            "{}: {}.{} ({}): {what}",
                            adapter.name, kernel.name, variant.name, case.name
                        ));
                    }
                }
                eprintln!(
                    "{} {}.{} {:.1} s",
                    adapter.name,
                    kernel.name,
                    variant.name,
                    start.elapsed().as_secs_f32()
                );
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
