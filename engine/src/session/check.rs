//! A pass op by op on the GPU and on the CPU references, from the same inputs: which op is the first that differs.

use std::ops::ControlFlow;

use lantern_kernels::{Case, link::link, tolerance::Tolerance};

use super::Session;
use crate::{
    Error, ModelFile, Result, Unsupported,
    gpu::device::TARGET,
    model::weights::Matrix,
    plan::{
        dispatch::{Binding, Dispatch},
        run::{Lookup, Segment},
    },
};

/// Largest error that the GPU may have (NMSE): far more than any arithmetic loses, and far less than any mistake costs.
const NMSE_MAX: f64 = 1e-5;

/// A dispatch that was run on both sides.
#[derive(Debug, Clone)]
pub struct CheckedDispatch {
    /// The block it belongs to.
    pub layer: Option<u32>,
    /// The kernel with its choices.
    pub label: String,
    /// The weights' name and shape, or what it does.
    pub what: String,
    /// From which tensors to which.
    pub flow: String,
    /// Normalised mean square error of the GPU's result, the largest of its outputs.
    pub nmse: f64,
    /// Problem with its result, where there is one: it differs from the reference, or is not finite.
    pub wrong: Option<String>,
    /// Whether the result is finite.
    pub finite: bool,
}

impl Session {
    /// Runs a pass of `tokens` dispatch by dispatch: each on the GPU, and on its CPU reference from what the GPU had before
    /// it. One token is decoded after three others, several are prefilled. `each` sees every dispatch, and breaking it
    /// stops. Returns the first that differs. The session is empty afterwards.
    ///
    /// # Errors
    /// [`Error::BadInput`] for more tokens than a pass has, or none; [`Error::Unsupported`] where the model streams.
    pub async fn check_plan(
        &mut self,
        file: &ModelFile,
        tokens: &[u32],
        each: &mut dyn FnMut(&CheckedDispatch) -> ControlFlow<()>,
    ) -> Result<Option<CheckedDispatch>> {
        let max = self.model.prefill_batch;
        if tokens.is_empty() || tokens.len() > max {
            return Err(Error::BadInput(format!(
                "{} tokens are not a pass of 1 to {max}",
                tokens.len()
            )));
        }
        if self.model.stream.is_some() {
            return Err(Error::unsupported(
                Unsupported::Streaming,
                "layers of this model stream: its pass cannot be stopped within",
            ));
        }
        self.rewind(0)?;
        let decoded = tokens.len() == 1 && self.compiled.tokens.is_some();
        let before: &[u32] = if decoded { &[0, 1, 2] } else { &[] };
        if !before.is_empty() {
            let go_on = &mut |_, _| ControlFlow::Continue(());
            self.prefill(before, go_on).await?;
        }
        self.push_tokens(tokens, decoded);
        self.write_rows(before.len(), tokens.len()).await?;
        let rows = tokens.len() as u32;
        let segments = if decoded {
            vec![Segment::whole(self.decode_at(before.len()), 1)]
        } else {
            self.prefill_segments(rows, false, true)
        };
        let first = self.first_wrong(file, &segments, each).await?;
        // The states have seen what the session has not.
        self.memory.states.set_seen(before.len() + tokens.len());
        self.rewind(0)?;
        Ok(first)
    }

    async fn first_wrong(
        &self,
        file: &ModelFile,
        segments: &[Segment<'_>],
        each: &mut dyn FnMut(&CheckedDispatch) -> ControlFlow<()>,
    ) -> Result<Option<CheckedDispatch>> {
        for segment in segments {
            for index in segment.dispatches.clone() {
                let dispatch = &segment.compiled.plan.dispatches[index];
                if dispatch.token_start >= segment.rows {
                    continue;
                }
                let checked = self.check_dispatch(file, segment, index).await?;
                let stop = each(&checked).is_break();
                if checked.wrong.is_some() {
                    return Ok(Some(checked));
                }
                if stop {
                    return Err(Error::Aborted);
                }
            }
        }
        Ok(None)
    }

    async fn check_dispatch(
        &self,
        file: &ModelFile,
        segment: &Segment<'_>,
        index: usize,
    ) -> Result<CheckedDispatch> {
        let gpu = &self.model.gpu;
        let dispatch = &segment.compiled.plan.dispatches[index];
        let shader = &dispatch.shader;
        let case = Case {
            name: dispatch.what.clone(),
            parts: shader.parts.clone(),
            consts: shader.consts.clone(),
            params: dispatch.params.clone(),
            units: dispatch.units,
            tokens: if dispatch.last_row { 1 } else { segment.rows },
            buffers: self.read_bindings(dispatch).await?,
            weights: None,
        };
        let mut call = case.call(shader.variant);
        call.weights = self.decoded_weights(file, dispatch, segment.rows).await?;
        (shader.kernel.reference)(&mut call);

        let mut commands = gpu.commands();
        let mut pass = commands.pass();
        segment.compiled.record_one(&mut pass, index, segment.rows);
        drop(pass);
        commands.submit();
        let mut checked = CheckedDispatch {
            layer: dispatch.layer,
            label: shader.label(),
            what: dispatch.what.clone(),
            flow: dispatch.flow.clone(),
            nmse: 0.0,
            wrong: None,
            finite: true,
        };
        let after = self.read_bindings(dispatch).await?;
        for (name, mut got) in after {
            if !shader.kernel.outputs.contains(&name) {
                continue;
            }
            let tolerance = (shader.kernel.tolerance)(&case, shader.variant, name);
            if matches!(tolerance, Tolerance::F32(_)) && !written_are_finite(&case, name, &got) {
                checked.finite = false;
                let wrong = format!("{name}: not finite");
                checked.wrong = checked.wrong.or(Some(wrong));
            }
            let mut wanted = call.words(name).clone();
            ignore_what_is_equal(&mut got, &mut wanted);
            let (error, problem) = tolerance.check(&got, &wanted);
            let off = error.is_nan() || error > NMSE_MAX;
            // Outputs that are compared exactly have no error, but a problem.
            let exact = (error == 0.0).then_some(problem).flatten();
            let over = off.then(|| format!("NMSE {error:.2e}"));
            checked.nmse = checked.nmse.max(error);
            let wrong = exact.or(over).map(|problem| format!("{name}: {problem}"));
            checked.wrong = checked.wrong.or(wrong);
        }
        Ok(checked)
    }

    /// The words of everything that a dispatch binds, but its weights and parameters.
    async fn read_bindings(&self, dispatch: &Dispatch) -> Result<Vec<(&'static str, Vec<u32>)>> {
        let gpu = &self.model.gpu;
        let bindings = link(&dispatch.shader, TARGET).bindings;
        let mut all = Vec::new();
        for &(name, binding) in &dispatch.binds {
            if !bindings.iter().any(|bound| bound.name == name) {
                continue;
            }
            let words = match binding {
                Binding::Weights(..) => continue,
                Binding::State(state) => {
                    let states = &self.memory.states;
                    let bytes = states.specs()[state.0].bytes(1);
                    let memory = states.memory(state.0);
                    gpu.read_words(memory, 0, bytes as usize / 4).await?
                }
                _ => {
                    let bound = self.bound();
                    let range = bound.find(binding, name);
                    let own = dispatch.x_range.filter(|_| name == "x");
                    let (start, size) = own.unwrap_or((
                        range.start,
                        range.size.unwrap_or(range.buffer.size - range.start),
                    ));
                    gpu.read_words(range.buffer, start, size as usize / 4)
                        .await?
                }
            };
            all.push((name, words));
        }
        Ok(all)
    }

    /// The weights that a dispatch of a pass of `rows` rows binds, (rows, padded cols), from the file.
    async fn decoded_weights(
        &self,
        file: &ModelFile,
        dispatch: &Dispatch,
        rows: u32,
    ) -> Result<Vec<f32>> {
        let mut binds = dispatch.binds.iter();
        let found = binds.find_map(|&(_, binding)| match binding {
            Binding::Weights(matrix, piece) => Some((matrix, piece)),
            _ => None,
        });
        let Some((id, piece)) = found else {
            return Ok(vec![]);
        };
        let layout = &self.model.layout;
        let matrix = &layout.matrices[id];
        if id >= layout.stored {
            let tokens = &self.tokens[self.tokens.len() - rows as usize..];
            let bytes = matrix.rows_of_tokens(file, tokens).await?;
            let count = Matrix::rows_read(tokens.len()) as u32;
            return Ok(matrix.format.decode_rows(&bytes, count, matrix.cols));
        }
        let piece = matrix.pieces[piece];
        let bytes = matrix.gather(file, piece.row_start, piece.rows).await?;
        Ok(matrix.format.decode_rows(&bytes, piece.rows, matrix.cols))
    }
}

/// Whether the floats of the output `name` that the GPU wrote, those that are not what was there before, are finite.
fn written_are_finite(before: &Case, name: &str, got: &[u32]) -> bool {
    let before = before.buffers.iter().find(|(other, _)| *other == name);
    let before = before.map_or(&[][..], |(_, words)| words);
    let untouched = |i: usize| before.get(i) == got.get(i);
    (0..got.len()).all(|i| f32::from_bits(got[i]).is_finite() || untouched(i))
}

/// Makes zeros of words that are the same on both sides: parts of a buffer that no one wrote may be any bits.
fn ignore_what_is_equal(got: &mut [u32], wanted: &mut [u32]) {
    for (a, b) in got.iter_mut().zip(wanted) {
        if *a == *b && !f32::from_bits(*a).is_finite() {
            (*a, *b) = (0, 0);
        }
    }
}
