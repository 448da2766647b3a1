//! Kernels against their CPU references, on the adapter in use: what a driver gets wrong is found here, and by name.

use std::ops::ControlFlow;

use lantern_kernels::{ALL, Case, Kernel, Variant};
use serde::{Deserialize, Serialize};

use super::{device::Gpu, known};
use crate::{Error, Result};

/// Result of one variant of a kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
pub struct SelfTestRow {
    /// The kernel.
    pub kernel: String,
    /// Its variant.
    pub variant: String,
    /// Cases that ran.
    pub cases: usize,
    /// The largest normalised mean square error of an output against its reference's.
    pub nmse: f64,
    /// Failures: the case, and what was wrong.
    pub failures: Vec<String>,
    /// Note on such a failure, where this driver is known for it.
    pub known: Option<String>,
}

/// Results of all variants that were run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
pub struct SelfTest {
    /// Every case of every kernel ran; else the variants in use were tried on one each. Null in results of before this was
    /// noted.
    #[serde(default)]
    pub whole: Option<bool>,
    /// Variants that computed what their references did.
    pub passed: usize,
    /// Rows of variants that did not; they are not used.
    pub failed: Vec<SelfTestRow>,
}

impl SelfTest {
    /// Counts the rows of a test of all kernels.
    pub fn of(rows: Vec<SelfTestRow>) -> SelfTest {
        let all = rows.len();
        let failed = rows.into_iter().filter(|row| !row.failures.is_empty());
        let failed: Vec<SelfTestRow> = failed.collect();
        SelfTest {
            whole: Some(true),
            passed: all - failed.len(),
            failed,
        }
    }
}

impl Gpu {
    /// Runs the cases of every kernel, in every variant that this adapter can run. `only`: those kernels alone, or all
    /// where none is named. `each(row, total)` sees every row, and how many there will be; it stops by
    /// breaking. What fails is not used in plans from then on.
    ///
    /// # Errors
    /// [`Error::BadInput`] where `only` names what is no kernel, [`Error::Aborted`], [`Error::DeviceLost`]; whatever else
    /// a case meets is among its failures.
    pub async fn selftest(
        &self,
        only: &[String],
        each: &mut dyn FnMut(SelfTestRow, usize) -> ControlFlow<()>,
    ) -> Result<()> {
        let wanted = kernels(only)?;
        let total = wanted
            .iter()
            .map(|kernel| self.supported(kernel).count())
            .sum();
        for kernel in wanted {
            let cases: Vec<Case> = self.cases(kernel).collect();
            for variant in self.supported(kernel) {
                let row = self.tested(kernel, variant, &cases).await?;
                self.conclude(&row);
                if each(row, total).is_break() {
                    return Err(Error::Aborted);
                }
            }
        }
        Ok(())
    }

    /// Remembers what a whole test says of a variant, whatever a trial said before.
    fn conclude(&self, row: &SelfTestRow) {
        let name = format!("{}.{}", row.kernel, row.variant);
        let mut trials = self.trials();
        trials.retain(|trial, wrong| wrong.is_none() || trial.split(' ').next() != Some(&name));
        if let Some(first) = row.failures.first() {
            let count = row.failures.len();
            trials.insert(
                name,
                Some(format!("{first}; {count} of {} cases", row.cases)),
            );
        }
    }

    /// Runs `cases` in one variant.
    ///
    /// # Errors
    /// [`Error::DeviceLost`]; whatever else a case meets is among its failures.
    pub(crate) async fn tested(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        cases: &[Case],
    ) -> Result<SelfTestRow> {
        let mut row = SelfTestRow {
            kernel: kernel.name.to_owned(),
            variant: variant.name.to_owned(),
            cases: cases.len(),
            nmse: 0.0,
            failures: Vec::new(),
            known: None,
        };
        for case in cases {
            match self.against_twin(kernel, variant, case).await {
                Ok((nmse, wrong)) => {
                    row.nmse = row.nmse.max(nmse);
                    let wrong = wrong.map(|what| format!("{}: {what}", case.name));
                    row.failures.extend(wrong);
                }
                Err(lost @ Error::DeviceLost(_)) => return Err(lost),
                Err(error) => row.failures.push(format!("{}: {error}", case.name)),
            }
        }
        if !row.failures.is_empty() {
            row.known = known::of(self.adapter(), kernel.name).map(str::to_owned);
        }
        Ok(row)
    }

    /// The cases of a kernel whose sockets are filled by what this adapter can run.
    pub(crate) fn cases(&self, kernel: &Kernel) -> impl Iterator<Item = Case> {
        let f16 = self.adapter().features.shader_f16;
        (kernel.cases)().filter(move |case| f16 || !case.parts.iter().any(|p| p.f16))
    }

    /// The largest error of an output of a case, and what is wrong, if anything.
    async fn against_twin(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        case: &Case,
    ) -> Result<(f64, Option<String>)> {
        let got = self.run_case(kernel, variant, case).await?;
        let mut call = case.call(variant);
        (kernel.reference)(&mut call);
        let (mut max, mut wrong) = (0f64, None);
        for (output, words) in &got {
            let tolerance = (kernel.tolerance)(case, variant, output);
            let (error, problem) = tolerance.check(words, call.words(output));
            // An error that is no number is the largest of all.
            max = if error >= max || error.is_nan() {
                error
            } else {
                max
            };
            wrong = wrong.or_else(|| problem.map(|problem| format!("{output} {problem}")));
        }
        Ok((if max.is_nan() { f64::MAX } else { max }, wrong))
    }
}

/// The kernels of these names, or all where none is named.
///
/// # Errors
/// [`Error::BadInput`] where there is no kernel of a name.
pub(super) fn kernels(only: &[String]) -> Result<Vec<&'static Kernel>> {
    let known = |name: &String| ALL.iter().any(|kernel| kernel.name == name);
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let names: Vec<_> = ALL.iter().map(|kernel| kernel.name).collect();
        let names = names.join(", ");
        return Err(Error::BadInput(format!(
            "there is no kernel {unknown}; there are {names}"
        )));
    }
    let wanted = |kernel: &&Kernel| only.is_empty() || only.iter().any(|n| n == kernel.name);
    Ok(ALL.iter().copied().filter(wanted).collect())
}
