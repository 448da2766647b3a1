//! Before a model answers: its kernels are tried against their CPU references, and the fastest of them are found.

use std::{collections::BTreeSet, ops::ControlFlow};

use crate::{Error, Model, Replaced, Result, TunedRow};

/// Seconds that looking for the fastest kernels takes, on the first use of an adapter by a model.
pub const TUNING_SECONDS: f64 = 3.0;

/// How kernels are tried against their CPU references before they are used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Trial {
    /// Every kernel that the model uses.
    #[default]
    Full,
    /// As many as there is time for, in seconds; the others at the next start, if what was found is kept.
    Seconds(f64),
    /// None. The shaders must run with bounds checks then: [`GpuOptions::checked`](crate::GpuOptions).
    Off,
}

/// How a model is prepared.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PrepareOptions {
    /// Which kernels are tried.
    pub trial: Trial,
    /// Seconds to look for the fastest kernels, where that was not done for a model of these shapes on this adapter; none:
    /// each kernel's default is used.
    pub tuning_seconds: Option<f64>,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        PrepareOptions {
            trial: Trial::Full,
            tuning_seconds: Some(TUNING_SECONDS),
        }
    }
}

impl PrepareOptions {
    /// Tries kernels in this way.
    #[must_use]
    pub fn trial(mut self, trial: Trial) -> Self {
        self.trial = trial;
        self
    }

    /// Looks for the fastest kernels for so many seconds, or not at all.
    #[must_use]
    pub fn tuning_seconds(mut self, seconds: impl Into<Option<f64>>) -> Self {
        self.tuning_seconds = seconds.into();
        self
    }
}

/// Progress of opening a model.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenEvent<'a> {
    /// So many bytes of the file are on the GPU.
    Loading {
        /// Bytes that are done.
        done: u64,
        /// Bytes of the file.
        total: u64,
    },
    /// A kernel variant is about to be tried.
    Trying(&'a str),
    /// A kernel variant computes wrong here, and another takes its place.
    Replaced(&'a Replaced),
    /// So many shapes of kernels were measured.
    Tuning {
        /// Shapes that are done; 0 at the start.
        done: usize,
        /// Shapes to measure; 0 before they are counted.
        total: usize,
    },
    /// The default kernels are used, since there is no memory to measure others in.
    NotTuned(&'a Error),
}

impl Model {
    /// Warning for the user of a context that is longer than the model was trained for; none where it is not.
    pub fn beyond_training(&self) -> Option<String> {
        let (context, trained) = (self.context(), self.config().context as usize);
        (context > trained).then(|| {
            format!(
                "the context of {context} tokens is longer than the {trained} that this model was trained for; answers \
                 beyond those get worse"
            )
        })
    }

    /// Tries the kernels that this model uses and finds the fastest, those left out that this [`Gpu`](crate::Gpu) knows
    /// already. Sessions that are made afterwards use what was found; [`Gpu::tuning`](crate::Gpu::tuning) has it, to be kept.
    ///
    /// # Errors
    /// [`Error::BadInput`] where nothing is to be tried and the shaders run unchecked; [`Error::Device`] where a kernel has
    /// no variant that computes right; [`Error::Aborted`] where `each` breaks.
    pub async fn prepare(
        &self,
        options: &PrepareOptions,
        each: &mut dyn FnMut(OpenEvent<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let seconds = match options.trial {
            Trial::Full => Some(f64::INFINITY),
            Trial::Seconds(seconds) => Some(seconds),
            Trial::Off if self.gpu().options.checked => None,
            Trial::Off => {
                let message = "kernels that are not tried must run checked: open the Gpu with GpuOptions::checked";
                return Err(Error::BadInput(message.to_owned()));
            }
        };
        if let Some(seconds) = seconds {
            let mut trying = |name: &str| each(OpenEvent::Trying(name));
            for replaced in self.try_variants(seconds, &mut trying).await? {
                if each(OpenEvent::Replaced(&replaced)).is_break() {
                    return Err(Error::Aborted);
                }
            }
        }
        match options.tuning_seconds.filter(|&seconds| seconds > 0.0) {
            Some(seconds) => self.find_fastest(seconds, each).await,
            None => Ok(()),
        }
    }

    async fn find_fastest(
        &self,
        seconds: f64,
        each: &mut dyn FnMut(OpenEvent<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let known = self.gpu().tuning().choices;
        if self.shapes().iter().all(|shape| known.contains_key(shape)) {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        if each(OpenEvent::Tuning { done: 0, total: 0 }).is_break() {
            return Err(Error::Aborted);
        }
        let mut measured = |row: TunedRow, total: usize| {
            seen.insert(row.shape);
            let done = seen.len();
            each(OpenEvent::Tuning { done, total })
        };
        let found = self.tune(seconds, &mut measured).await;
        match found {
            Ok(tuning) => {
                self.gpu().set_tuning(&tuning);
                Ok(())
            }
            Err(error @ Error::DoesNotFit { .. }) => {
                let _ = each(OpenEvent::NotTuned(&error)); // nothing more is done anyway
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
