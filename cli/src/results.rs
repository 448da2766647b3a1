//! Result files of `lantern bench --json`, or of a browser: what `report` and `compare` read.

use std::path::{Path, PathBuf};

use lantern_engine::{Precision, bench::report::Report};

use crate::{
    failure::{Failure, Result},
    files,
    numbers::counted,
};

/// Bytes of a result file. A result has a few thousand; what is larger by far is something else.
const BYTES_MAX: u64 = 64 << 20;

/// Rows of a result file: hundreds of results have fewer, and what is held against each other row by row stays quick.
const ROWS_MAX: usize = 10_000;

/// A result and the file it came from.
#[derive(Debug, Clone)]
pub struct Found {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The result in it, or one of its results.
    pub report: Report,
}

/// The results in a file, or in stdin where the path is `-`.
pub fn read(path: &Path) -> Result<Vec<Found>> {
    let text = files::read_text_bounded(path, BYTES_MAX)?;
    let found = |report| Found {
        file: path.to_owned(),
        report,
    };
    let name = path.display().to_string();
    let reports = Report::read(&name, &text)?;
    let rows: usize = reports.iter().map(|r| r.measured.rows.len()).sum();
    if rows.max(reports.len()) > ROWS_MAX {
        let problem = format!("{name}: more than {ROWS_MAX} rows, which no benchmark has");
        return Err(Failure::Message(problem));
    }
    Ok(reports.into_iter().map(found).collect())
}

/// How the model was loaded, as far as its speed depends on it: `exact precision, q8_0 cache, 20 layers streamed`; what is
/// as usual goes unsaid.
pub fn loading(report: &Report) -> String {
    let usual = match report.precision {
        Precision::Mixed => "f16",
        Precision::Exact => "f32",
    };
    let mut words = vec![format!("{:?} precision", report.precision).to_lowercase()];
    let Some(loaded) = &report.loaded else {
        return words.remove(0);
    };
    if loaded.cache != usual {
        words.push(format!("{} cache", loaded.cache));
    }
    if loaded.layers_streamed > 0 {
        words.push(counted(loaded.layers_streamed, "layer") + " streamed");
    }
    if loaded.tables_bytes > 0 {
        words.push("tables in the file".to_owned());
    }
    let loras = loaded.loras.iter();
    words.extend(loras.map(|(hash, factor)| format!("LoRA {hash} × {factor}")));
    words.join(", ")
}

/// `llvmpipe (vulkan)`.
pub fn adapter(report: &Report) -> String {
    format!("{} ({})", report.adapter.name, report.adapter.backend)
}

/// `pp128`, `tg32 at depth 1024`.
pub fn test_name(test: &str, depth: usize) -> String {
    match depth {
        0 => test.to_owned(),
        depth => format!("{test} at depth {depth}"),
    }
}

/// Results made up for tests.
#[cfg(test)]
pub mod sample {
    use std::path::PathBuf;

    use lantern_engine::bench::report::{Rate, Report};
    use serde_json::json;

    use super::Found;

    /// A result of two rows, `pp16` and `tg8`, with a profile of one kernel.
    pub fn found() -> Found {
        let row = |test: &str, ceiling: &str, speed: f64| {
            json!({
                "test": test, "depth": 0, "ceiling": ceiling, "ceiling_share": 0.5,
                "tokens_per_second": Rate::of(vec![speed - 1.0, speed, speed + 1.0]),
                "expected_tokens_per_second": 4.0 * speed,
            })
        };
        let kernel = json!({"label": "matvec.q4_0", "dispatches": 30, "seconds": 0.02, "bytes": 60_000_000, "operations": 200_000_000});
        let value = json!({
            "schema": "lantern-bench/1", "lantern": "0.1.0", "measured_at": "2026-01-02T03:04:05Z",
            "host": {"os": "linux", "arch": "x86_64", "cpus": 2, "browser": null},
            "adapter": {
                "index": 0, "name": "Made Up 9000", "backend": "vulkan", "kind": "discrete",
                "driver": "made", "driver_info": "1.0",
                "limits": {
                    "max_storage_buffer_binding_size": 1, "max_uniform_buffer_binding_size": 1, "max_buffer_size": 1,
                    "max_compute_invocations_per_workgroup": 1, "max_compute_workgroup_storage_size": 1,
                    "max_storage_buffers_per_shader_stage": 1,
                },
                "features": {
                    "shader_f16": true, "subgroups": true, "subgroup_size": [8, 8], "cooperative_f32": false,
                    "cooperative_f16": false, "cooperative_f16_8": false, "timestamps": true,
                },
            },
            "model": {"name": "Tiny", "family": "llama", "bytes": 1000, "weights_xxh3": "00ff", "synthetic": false, "layers": 2, "layers_measured": 2},
            "precision": "default", "variants": {}, "selftest": null, "load_ms": 12.0,
            "time_to_first_token_ms": {"warm": 20.0, "cold": 90.0},
            "ceilings": {
                "read_bytes_per_second": 1e10, "read_by": "read.runs", "f32_operations_per_second": 5e10,
                "f16_operations_per_second": null, "dispatch_seconds": 1e-5,
            },
            "rows": [row("pp16", "f32", 100.0), row("tg8", "read", 20.0)],
            "counters": {
                "dispatches_per_token": 183.0, "passes_per_token": 1.0, "submissions_per_token": 1.0,
                "readbacks_per_token": 1.0, "buffers_created_per_token": 0.0, "bind_groups_created_per_token": 0.0,
                "gpu_bytes": 1000, "weight_bytes": 800, "weight_bytes_read_per_token": 800, "cache_bytes": 100,
                "gpu_bytes_over_weights_and_cache": 1.1, "host_peak_bytes": null, "pipelines_compiled": 18,
            },
            "profile": {"decode": [kernel], "prefill": []},
        });
        let report: Report = serde_json::from_value(value).unwrap();
        Found {
            file: PathBuf::from("tiny.json"),
            report,
        }
    }

    /// A result with these samples in every row.
    pub fn with_samples(samples: &[f64]) -> Found {
        let mut found = found();
        for row in &mut found.report.measured.rows {
            row.tokens_per_second = Rate::of(samples.to_vec());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_result_file_is_refused_by_name() {
        let folder = std::env::temp_dir().join(format!("lantern-results-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("r.json");
        for (text, wanted) in [("", "no JSON"), (r#"{"schema": "lantern-bench/0"}"#, "/0")] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(
                error.contains("r.json") && error.contains(wanted),
                "{error}"
            );
        }
        // Sparse: as long as it says, and next to nothing on the disk.
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(BYTES_MAX + 1).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("64 MiB"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
