//! Tuning: every shape of a model's plans in every variant that may serve it, on the model's own weights and buffers.

use std::{collections::BTreeSet, ops::ControlFlow};

use lantern_kernels::{Shader, call};
use serde::Serialize;
use web_time::Instant;

use super::{Session, trial::trial_name};
use crate::{
    Error, Result,
    gpu::tuning::Tuning,
    graph::Section,
    plan::{
        dispatch::{Dispatch, Plan},
        run::{CompiledPlan, Segment},
    },
    resident::load::{Loaded, Model},
};

/// How fast a variant is for a shape.
#[derive(Debug, Clone, Serialize)]
pub struct TunedRow {
    /// The shader's label without its variant.
    pub shape: String,
    /// The variant.
    pub variant: &'static str,
    /// Seconds of a dispatch, the least of some rounds.
    pub seconds: f64,
}

/// Seconds that the head takes: after a prompt, whose last token lies anywhere, and in a pass of one token, whose kernel
/// may be another.
#[derive(Debug, Clone, Copy)]
pub struct HeadSeconds {
    /// After a prompt.
    pub prompt: f64,
    /// In a pass of one token.
    pub token: f64,
}

/// Seconds that a round takes at least, or its dispatches are too few to trust the clock.
const ROUND: f64 = 0.004;
/// Rounds, of which the fastest counts; variants take turns, so that a slow moment of the machine meets all of them.
const ROUNDS: usize = 4;
/// Heads of a round, where those are timed.
const HEADS: usize = 4;
/// A variant takes the place of the default where it takes no more than this share of its time: less may be noise.
const GAIN: f64 = 0.95;

impl Model {
    /// The shapes for which there is a choice on this adapter.
    pub fn shapes(&self) -> BTreeSet<String> {
        let all = dispatches(&self.0);
        all.into_iter().map(|(d, _)| d.shader.shape()).collect()
    }

    /// Measures which variant serves each shape best, for about `seconds`; what there is no time for keeps its default.
    /// `each(row, shapes)` sees every measurement and how many shapes there are. The choices hold for sessions that are
    /// made after [`crate::Gpu::set_tuning`].
    ///
    /// # Errors
    /// [`Error::Aborted`] where `each` breaks; what a session may meet.
    pub async fn tune(
        &self,
        seconds: f64,
        each: &mut dyn FnMut(TunedRow, usize) -> ControlFlow<()>,
    ) -> Result<Tuning> {
        let session = self.session().await?; // for its buffers
        let start = Instant::now();
        let gpu = &self.0.gpu;
        let mut tuning = Tuning {
            of: gpu.tuning_of(),
            ..Tuning::default()
        };
        let all = dispatches(&self.0);
        let shapes = all.len();
        for (dispatch, rows) in all {
            let shape = dispatch.shader.shape();
            let mut best: Option<(f64, &str)> = None;
            let mut candidates = Vec::new();
            for variant in gpu.preferred(dispatch.shader.kernel) {
                if start.elapsed().as_secs_f64() > seconds {
                    break;
                }
                if session.computes_right(&dispatch, variant).await? {
                    candidates.push(session.candidate(&dispatch, rows, variant).await?);
                }
            }
            if start.elapsed().as_secs_f64() > seconds {
                candidates.clear();
                let default = gpu.preferred(dispatch.shader.kernel).next();
                best = default.map(|variant| (0.0, variant.name));
            }
            session.take_turns(&mut candidates, rows).await?;
            for Candidate { variant, least, .. } in candidates {
                if best.is_none_or(|(of_best, _)| least < of_best * GAIN) {
                    best = Some((least, variant));
                }
                let row = TunedRow {
                    shape: shape.clone(),
                    variant,
                    seconds: least,
                };
                if each(row, shapes).is_break() {
                    return Err(Error::Aborted);
                }
            }
            if let Some((_, name)) = best {
                tuning.choices.insert(shape, name.to_owned());
            }
        }
        tuning.trials.clone_from(&gpu.trials());
        Ok(tuning)
    }
}

/// A dispatch in one of its variants.
struct Candidate {
    variant: &'static str,
    /// Seconds, the least so far.
    least: f64,
    /// Dispatches of a round.
    times: usize,
    compiled: CompiledPlan,
}

/// A dispatch of each shape for which there is a choice, with the rows of its pass. Decoding comes first.
fn dispatches(model: &Loaded) -> Vec<(Dispatch, u32)> {
    let plans = model.plans();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for plan in [plans.narrowest(), &plans.prefill]
        .into_iter()
        .chain(&plans.small)
    {
        for dispatch in &plan.dispatches {
            let choice = model.gpu.preferred(dispatch.shader.kernel).count() > 1;
            let timed = dispatch.section != Section::AllLogits;
            if choice && timed && seen.insert(dispatch.shader.shape()) {
                found.push((dispatch.clone(), plan.rows));
            }
        }
    }
    found
}

impl Session {
    /// Seconds of the last norm and the logits, the least of some rounds: what a pass takes beside its layers.
    pub async fn head_seconds(&self) -> Result<HeadSeconds> {
        self.write_first_rows(1);
        let min = async |compiled| {
            let mut min = f64::MAX;
            for _ in 0..ROUNDS {
                let head = Segment::section(compiled, Section::LastLogits, 1);
                min = min.min(self.round(&head, HEADS).await? / HEADS as f64);
            }
            Ok(min)
        };
        Ok(HeadSeconds {
            prompt: min(&self.compiled.prefill).await?,
            token: min(self.decode_at(0)).await?,
        })
    }

    /// Writes rows of token 0 from position 0 on, for passes whose results are of no use.
    fn write_first_rows(&self, count: u32) {
        let rows: Vec<_> = (0..count).map(|position| (0, position, 0)).collect();
        let words = call::rows(&rows);
        let gpu = &self.model.gpu;
        gpu.write(&self.memory.rows, 0, bytemuck::cast_slice(&words));
    }

    /// Whether a variant computes on this adapter what its twin does; tried at most once.
    async fn computes_right(
        &self,
        dispatch: &Dispatch,
        variant: &'static lantern_kernels::Variant,
    ) -> Result<bool> {
        let (gpu, shader) = (&self.model.gpu, &dispatch.shader);
        let shader = Shader::new(shader.kernel, variant, &shader.parts, &shader.consts);
        let known = gpu.trials().get(&trial_name(&shader)).cloned();
        match known {
            Some(wrong) => Ok(wrong.is_none()),
            None => Ok(gpu.trial(&shader).await?.is_none()),
        }
    }

    /// A dispatch in another variant, ready to be timed. What it writes is of no use to anybody.
    async fn candidate(
        &self,
        dispatch: &Dispatch,
        rows: u32,
        variant: &'static lantern_kernels::Variant,
    ) -> Result<Candidate> {
        let gpu = &self.model.gpu;
        let shader = &dispatch.shader;
        let dispatch = Dispatch {
            shader: Shader::new(shader.kernel, variant, &shader.parts, &shader.consts),
            ..dispatch.clone()
        };
        let plan = Plan::of(vec![dispatch], rows);
        let compiled = CompiledPlan::new(gpu, plan.into(), &self.bound()).await?;
        let segment = Segment::whole(&compiled, rows);
        self.write_first_rows(rows);
        let mut times = 1;
        let mut least = self.round(&segment, times).await?; // also compiles
        while least < ROUND && times < 1024 {
            times *= 2;
            least = self.round(&segment, times).await?;
        }
        Ok(Candidate {
            variant: variant.name,
            least: least / times as f64,
            times,
            compiled,
        })
    }

    /// Times candidates by turns.
    async fn take_turns(&self, candidates: &mut [Candidate], rows: u32) -> Result<()> {
        for _ in 1..ROUNDS {
            for candidate in &mut *candidates {
                let segment = Segment::whole(&candidate.compiled, rows);
                let seconds = self.round(&segment, candidate.times).await?;
                candidate.least = candidate.least.min(seconds / candidate.times as f64);
            }
        }
        Ok(())
    }

    /// Seconds of a segment, so many times in one pass.
    async fn round(&self, segment: &Segment<'_>, times: usize) -> Result<f64> {
        let gpu = &self.model.gpu;
        let mut commands = gpu.commands();
        let mut pass = commands.pass();
        for _ in 0..times {
            for index in segment.dispatches.clone() {
                segment.compiled.record_one(&mut pass, index, segment.rows);
            }
        }
        drop(pass);
        let start = Instant::now();
        commands.submit();
        gpu.wait().await?;
        Ok(start.elapsed().as_secs_f64())
    }
}
