//! Trials: the kernel variants that a model is about to use, each on one small case against its CPU reference, once for an
//! adapter. What computes wrong is left out of plans from then on.

use std::ops::ControlFlow;

use lantern_kernels::{Case, Part, Shader};
use web_time::Instant;

use crate::{
    Error, Gpu, Result,
    gpu::selftest::SelfTestRow,
    plan::{dispatch::Dispatch, plans::Plans},
    resident::load::Model,
};

/// Seconds that trying variants may take at a start.
pub const TRIAL_SECONDS: f64 = 0.3;

/// A variant that computes wrong, and the one that takes its place.
#[derive(Debug, Clone)]
pub struct Replaced {
    /// The variant, and what was wrong.
    pub row: SelfTestRow,
    /// `kernel.variant` that is used instead.
    pub by: String,
}

impl std::fmt::Display for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SelfTestRow {
            kernel,
            variant,
            failures,
            known,
            ..
        } = &self.row;
        let failures = failures.join("; ");
        write!(
            f,
            "{kernel}.{variant} computes wrong on this adapter ({failures}): {} is used instead",
            self.by
        )?;
        known.iter().try_for_each(|known| write!(f, "; {known}"))
    }
}

impl Model {
    /// Runs those variants that this model's plans use and that were not tried on this adapter before, for about
    /// `seconds`; what there is no time for is left to the next call. Once one is wrong, none is used untried. `each(name)` sees every one before it runs.
    ///
    /// # Errors
    /// [`Error::Device`] where a kernel has no variant that computes right; [`Error::Aborted`].
    pub async fn try_variants(
        &self,
        seconds: f64,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Vec<Replaced>> {
        let start = Instant::now();
        let gpu = self.gpu();
        let mut wrong: Vec<(String, SelfTestRow)> = Vec::new();
        let mut plans = self.0.plans();
        while let Some(shader) = untried(gpu, &plans) {
            if start.elapsed().as_secs_f64() > seconds && wrong.is_empty() {
                break;
            }
            if each(&trial_name(&shader)).is_break() {
                return Err(Error::Aborted);
            }
            let Some(row) = gpu.trial(&shader).await? else {
                continue;
            };
            wrong.push((shader.shape(), row));
            // What fails brings other variants into the plans, which are tried in their turn.
            plans = self.0.plans();
        }
        let used = || plans.dispatches();
        for Dispatch { shader, .. } in used() {
            if let Some(wrong) = gpu.failure(shader.kernel, shader.variant) {
                return Err(Error::Device(format!(
                    "{} computes {} wrong, and nothing here stands in for it ({wrong}): another driver, or a newer one, may help",
                    gpu.adapter().name,
                    shader.kernel.name
                )));
            }
        }
        let replaced = wrong.into_iter().map(|(shape, row)| {
            // Another variant of the same kernel, or another kernel altogether.
            let same = used().find(|d| d.shader.shape() == shape);
            let by = same.map_or_else(
                || "another kernel".to_owned(),
                |d| format!("{}.{}", d.shader.kernel.name, d.shader.variant.name),
            );
            Replaced { row, by }
        });
        Ok(replaced.collect())
    }
}

/// The first shader of the plans that was not tried on this adapter.
fn untried(gpu: &Gpu, plans: &Plans) -> Option<Shader> {
    let trials = gpu.trials();
    let mut shaders = plans.dispatches();
    let found = shaders.find(|d| !trials.contains_key(&trial_name(&d.shader)));
    found.map(|dispatch| dispatch.shader.clone())
}

/// Name that a trial of a shader is kept by: kernel, variant, and the part that its first socket has: a format, where the
/// kernel reads weights.
pub(crate) fn trial_name(shader: &Shader) -> String {
    let part = shader.parts.first().map_or("", |part| part.name);
    let name = format!("{}.{} {part}", shader.kernel.name, shader.variant.name);
    name.trim_end().to_owned()
}

impl Gpu {
    /// Runs the case that is most like `shader`, in the first part above all; the first of those. What was wrong, if anything.
    pub(crate) async fn trial(&self, shader: &Shader) -> Result<Option<SelfTestRow>> {
        let alike = |case: &Case| {
            let is = |part: &&&'static Part| case.parts.contains(part);
            let first = shader.parts.first().is_some_and(|part| is(&part));
            (first, shader.parts.iter().filter(is).count())
        };
        // One by one: all of a kernel may take a hundred megabytes.
        let mut best: Option<((bool, usize), Case)> = None;
        for case in self.cases(shader.kernel) {
            let alike = alike(&case);
            if best.as_ref().is_none_or(|(max, _)| alike > *max) {
                best = Some((alike, case));
            }
            if alike == (true, shader.parts.len()) {
                break;
            }
        }
        let (_, case) = best.expect("a kernel has a case that runs");
        let row = self.tested(shader.kernel, shader.variant, &[case]).await?;
        let wrong = (!row.failures.is_empty()).then(|| row.failures.join("; "));
        let failed = wrong.is_some();
        self.record_trial(trial_name(shader), wrong);
        Ok(failed.then_some(row))
    }
}
