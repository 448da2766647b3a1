//! The form of a benchmark's result, the same from the command line and from a browser: what was measured on what, with
//! every repetition. Its JSON Schema is made from these types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AdapterDescription, Ceilings, Config, Error, Gpu, LoadOptions, ModelFile, Precision,
    ProfileRow, Result, Session,
    gpu::selftest::{SelfTest, SelfTestRow},
    session::tune::HeadSeconds,
};

/// Name and version of the form. A field more leaves the version as it is; any other change raises it.
pub const SCHEMA: &str = "lantern-bench/1";

/// Everything that one run of a benchmark found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// `lantern-bench/1`.
    pub schema: String,
    /// The version of Lantern.
    pub lantern: String,
    /// When it ended: RFC 3339, UTC.
    pub measured_at: String,
    /// Where it ran.
    pub host: Host,
    /// The adapter it ran on.
    pub adapter: AdapterDescription,
    /// The model that was measured.
    pub model: ModelReport,
    /// How exactly it computed.
    pub precision: Precision,
    /// How it was loaded; null in results of before this was noted, which were all of the usual ways.
    #[serde(default)]
    pub loaded: Option<LoadedReport>,
    /// The kernel variant for each shape for which there was a choice, where tuning made one.
    pub variants: BTreeMap<String, String>,
    /// Kernels against their CPU references: all of them where that was asked for, else those that were tried on this adapter.
    pub selftest: Option<SelfTest>,
    /// The measurements.
    #[serde(flatten)]
    pub measured: Measured,
}

/// The machine and the program around the engine.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// `linux`, `macos`, `windows`, or what a browser says of it.
    pub os: String,
    /// `x86_64`, `aarch64`, `wasm32`.
    pub arch: String,
    /// Processors that threads can run on at once, where known.
    pub cpus: Option<usize>,
    /// Name and version of the browser, or of what else runs the wasm build; null natively.
    pub browser: Option<String>,
}

/// The model that was measured.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ModelReport {
    /// Its name, as its file has it.
    pub name: String,
    /// Its family.
    pub family: String,
    /// Bytes of its file, or files.
    pub bytes: u64,
    /// XXH3 of its weights as they are stored, in hexadecimal: the same model has the same anywhere.
    pub weights_xxh3: String,
    /// Its weights are random: only its speed means anything.
    pub synthetic: bool,
    /// Its layers.
    pub layers: u32,
    /// The layers that were measured, where there was no memory for all: speeds are what all would have.
    pub layers_measured: u32,
}

/// How a model was loaded, as far as speed and memory depend on it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoadedReport {
    /// Positions of a session.
    pub context: usize,
    /// Tokens of a prefill pass, at most.
    #[serde(rename = "chunk")] // its name in lantern-bench/1, which kept results are in
    pub prefill_batch: usize,
    /// How keys and values are kept: `f16`, `q8_0`, …
    pub cache: String,
    /// Layers that come from the file in every pass, for want of GPU memory.
    pub layers_streamed: usize,
    /// Bytes of tables that stay in the file, of which passes read rows.
    #[serde(default)] // older results do not say
    pub tables_bytes: u64,
    /// LoRA adapters: XXH3 of their weights, in hexadecimal, and the factor on each.
    #[serde(rename = "adapters")] // its name in lantern-bench/1
    pub loras: Vec<(String, f32)>,
}

/// Measurements of a model on an adapter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// Milliseconds that opening the device and loading took.
    pub load_ms: f64,
    /// Null where no prefill was measured.
    pub time_to_first_token_ms: Option<FirstToken>,
    /// Limits of the adapter's speed, by measurement.
    pub ceilings: Ceilings,
    /// Each thing that was measured.
    pub rows: Vec<Row>,
    /// Counts and bytes.
    pub counters: CountersReport,
    /// By kernel; null where it was not asked for.
    pub profile: Option<Profile>,
}

/// One thing that was measured.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// `ppN`: N tokens prefilled; `tgN`: N tokens generated.
    pub test: String,
    /// Tokens in the cache before.
    pub depth: usize,
    /// Its speed.
    pub tokens_per_second: Rate,
    /// The ceiling that bounds it.
    pub ceiling: Ceiling,
    /// Bytes or operations a second over what the adapter can do at all.
    pub ceiling_share: f64,
    /// Tokens a second if every dispatch reached the adapter's ceilings, and cost what a dispatch costs.
    pub expected_tokens_per_second: f64,
}

/// Ceiling that bounds a speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ceiling {
    /// Multiply-adds in f32.
    F32,
    /// Multiply-adds by matrix instructions, where most are.
    Matrix,
    /// Reading memory.
    Read,
}

impl std::fmt::Display for Ceiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ceiling::F32 => "f32",
            Ceiling::Matrix => "matrix",
            Ceiling::Read => "read",
        })
    }
}

/// Samples, their mean, and their deviation, which is that of a sample (n - 1), and 0 for a single one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// Mean of the samples.
    pub mean: f64,
    /// Standard deviation of the samples.
    pub deviation: f64,
    /// One for each repetition.
    pub samples: Vec<f64>,
}

impl Rate {
    /// Sums up samples, of which there are some.
    pub fn of(samples: Vec<f64>) -> Rate {
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
        let freedom = samples.len().saturating_sub(1).max(1) as f64;
        Rate {
            mean,
            deviation: (squares / freedom).sqrt(),
            samples,
        }
    }
}

/// From a prompt to the first token of its answer, milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct FirstToken {
    /// Mean of the samples of the first prompt, each with a token sampled after it.
    pub warm: f64,
    /// Opening the device, loading, and the first prefill, which runs every pipeline for the first time.
    pub cold: f64,
}

/// Differences around the decode samples, per token sampled: all 0 where there was no decode. And memory.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct CountersReport {
    /// Compute dispatches.
    pub dispatches_per_token: f64,
    /// Compute passes.
    pub passes_per_token: f64,
    /// Command buffers submitted.
    pub submissions_per_token: f64,
    /// Times that the CPU read from the GPU.
    pub readbacks_per_token: f64,
    /// Buffers made.
    pub buffers_created_per_token: f64,
    /// Bind groups made.
    pub bind_groups_created_per_token: f64,
    /// Bytes of buffers.
    pub gpu_bytes: u64,
    /// Bytes of matrices.
    pub weight_bytes: u64,
    /// Bytes of weights that a decoded token reads.
    pub weight_bytes_read_per_token: u64,
    /// Bytes of a session's keys and values.
    pub cache_bytes: u64,
    /// Bytes on the GPU over those of weights and cache.
    pub gpu_bytes_over_weights_and_cache: f64,
    /// The most memory that the process has had, without what measuring the ceilings takes; null where the system does
    /// not say. On an adapter that is a CPU it holds the GPU's memory as well.
    pub host_peak_bytes: Option<u64>,
    /// Pipelines compiled.
    pub pipelines_compiled: u64,
}

/// Kernels by what they cost.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// Kernels of one decoded token, after all that was measured.
    pub decode: Vec<ProfileRow>,
    /// Kernels of one pass of a prompt.
    pub prefill: Vec<ProfileRow>,
}

impl Rate {
    /// Reckons the rate with `all` layers from this one with `some`: a pass of `units` takes `seconds` beside its layers.
    pub(crate) fn reckoned(&self, units: f64, seconds: f64, some: u32, all: u32) -> Rate {
        let more = f64::from(all) / f64::from(some);
        let reckon = |&speed: &f64| {
            1.0 / (seconds / units + (1.0 / speed - seconds / units).max(0.0) * more)
        };
        Rate::of(self.samples.iter().map(reckon).collect())
    }
}

impl Measured {
    /// Makes the speeds of `some`, a model of a few of the layers of `whole`, those of all: beside its layers a pass takes
    /// `head`.
    pub fn reckon(
        &mut self,
        head: HeadSeconds,
        gpu: &Gpu,
        (some, whole): (&ModelFile, &ModelFile),
        options: &LoadOptions,
    ) -> Result<()> {
        let layers = |file: &ModelFile| Ok::<u32, Error>(Config::of(file)?.layers);
        for row in &mut self.rows {
            let (width, units, head) = match row.ceiling {
                // A prompt has one head, at its end.
                Ceiling::F32 | Ceiling::Matrix => {
                    let prefill_batch = some.prefill_batch(gpu, options)?;
                    (prefill_batch, row.tokens() as f64, head.prompt)
                }
                Ceiling::Read => (1, 1.0, head.token),
            };
            let min = |file: &ModelFile| -> Result<f64> {
                let plan = file.plan(gpu, options, width)?;
                Ok(plan.seconds(width as u32, row.depth as u32, &self.ceilings))
            };
            row.expected_tokens_per_second *= min(some)? / min(whole)?;
            let rate = &row.tokens_per_second;
            row.tokens_per_second = rate.reckoned(units, head, layers(some)?, layers(whole)?);
        }
        Ok(())
    }
}

impl Row {
    /// The N of `ppN` and `tgN`.
    fn tokens(&self) -> usize {
        self.test
            .trim_start_matches(char::is_alphabetic)
            .parse()
            .unwrap_or(1)
    }
}

impl LoadedReport {
    fn of(session: &Session) -> LoadedReport {
        let model = &session.model;
        LoadedReport {
            context: model.context,
            prefill_batch: model.prefill_batch,
            cache: model.cache.name().to_owned(),
            layers_streamed: model.stream.as_ref().map_or(0, |s| s.about().layers),
            tables_bytes: model.tables_in_file(),
            loras: session.lora_fingerprints(),
        }
    }
}

impl SelfTest {
    /// Results of the variants that were tried on this adapter.
    fn of_trials(gpu: &Gpu) -> SelfTest {
        let mut test = SelfTest {
            whole: Some(false),
            ..SelfTest::default()
        };
        for (name, wrong) in gpu.tuning().trials {
            let Some(wrong) = wrong else {
                test.passed += 1;
                continue;
            };
            let name = name.split(' ').next().unwrap_or_default();
            let (kernel, variant) = name.split_once('.').unwrap_or((name, ""));
            test.failed.push(SelfTestRow {
                kernel: kernel.to_owned(),
                variant: variant.to_owned(),
                cases: 1,
                nmse: f64::MAX,
                failures: vec![wrong],
                known: None,
            });
        }
        test
    }
}

impl Report {
    /// Reports what was measured in `session`, on a model whose file has `bytes`.
    pub fn new(session: &Session, bytes: u64, host: Host, measured: Measured) -> Report {
        let model = &session.model;
        let gpu: &Gpu = &model.gpu;
        Report {
            schema: SCHEMA.to_owned(),
            lantern: env!("CARGO_PKG_VERSION").to_owned(),
            measured_at: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            host,
            adapter: gpu.adapter().clone(),
            model: ModelReport {
                name: model.config.name.clone(),
                family: model.config.family.clone(),
                bytes,
                weights_xxh3: model.fingerprint(),
                synthetic: false,
                layers: model.config.layers,
                layers_measured: model.config.layers,
            },
            precision: model.precision,
            variants: gpu.tuning().choices,
            loaded: Some(LoadedReport::of(session)),
            selftest: Some(SelfTest::of_trials(gpu)),
            measured,
        }
    }

    /// The reports in a result file: one, or a list of them. `name` is the file's, for errors.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is no JSON, no result, cut, or of a version that this one does not read.
    pub fn read(name: &str, text: &str) -> Result<Vec<Report>> {
        let bad = |what: String| Error::bad_file(format!("{name}: {what}"));
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| bad(format!("this is no JSON: {e}")))?;
        let all = match value {
            serde_json::Value::Array(all) => all,
            one => vec![one],
        };
        if all.is_empty() {
            return Err(bad("it holds no result".to_owned()));
        }
        let mut reports = Vec::new();
        for value in all {
            match value.get("schema").and_then(serde_json::Value::as_str) {
                Some(SCHEMA) => {}
                Some(other) if other.starts_with("lantern-bench/") => {
                    return Err(bad(format!(
                        "it is a result of form {other}, and this version of Lantern reads {SCHEMA}; measure it again, \
                         or read it with the version that wrote it"
                    )));
                }
                _ => {
                    let what = "this is no result of `lantern bench -o json`: it has no \"schema\": \"lantern-bench/…\"";
                    return Err(bad(what.to_owned()));
                }
            }
            let report: Report =
                serde_json::from_value(value).map_err(|e| bad(format!("a damaged result: {e}")))?;
            report.check().map_err(bad)?;
            reports.push(report);
        }
        Ok(reports)
    }

    /// Refuses values that the types let through and no measurement gives.
    fn check(&self) -> std::result::Result<(), String> {
        for row in &self.measured.rows {
            let samples = &row.tokens_per_second.samples;
            if samples.is_empty() || samples.iter().any(|s| !s.is_finite() || *s <= 0.0) {
                return Err(format!("a damaged result: {} has no speeds", row.test));
            }
        }
        Ok(())
    }
}

/// The JSON Schema of [`Report`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

#[cfg(test)]
mod tests {
    use super::{Rate, Report};

    #[test]
    fn deviation_is_that_of_a_sample() {
        let rate = Rate::of(vec![1.0, 3.0]);
        assert_eq!((rate.mean, rate.deviation), (2.0, 2.0_f64.sqrt()));
        let single = Rate::of(vec![5.0]);
        assert_eq!((single.mean, single.deviation), (5.0, 0.0));
    }

    /// 8 tokens in 2 s, of which half a second is spent once, and the rest for each of 3 layers of 12.
    #[test]
    fn layers_that_were_left_out_are_reckoned() {
        let rate = Rate::of(vec![4.0]).reckoned(8.0, 0.5, 3, 12);
        assert!((rate.mean - 8.0 / (0.5 + 1.5 * 4.0)).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_result_is_refused_by_name() {
        let cases = [
            ("", "no JSON"),
            ("{", "no JSON"),
            ("[]", "no result"),
            ("{}", "no \"schema\""),
            ("[3]", "no \"schema\""),
            (r#"{"schema": "lantern-bench/0"}"#, "lantern-bench/0"),
            (r#"{"schema": "lantern-bench/1"}"#, "missing field"),
        ];
        for (text, wanted) in cases {
            let error = Report::read("a.json", text).unwrap_err().to_string();
            assert!(error.starts_with("a.json: "), "{error}");
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
