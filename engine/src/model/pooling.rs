//! Weights that a model has for rows of whole texts behind the last norm: projections, or a classifier.

use super::{
    config::{Config, PROJECTIONS, Pooling},
    keys::LARGEST,
    stated,
    tensors::{Affine, Finder},
};
use crate::{
    Error, Result,
    graph::{
        Activate, Activation, Graph, MatrixId, Norm, NormKind, Pool, PooledRow, Section, StateSpec,
        Tensor, TensorSpec, VectorId,
    },
};

const CLASSIFIER_ACTIVATION: &str = "lantern.config.classifier_activation";

/// Weights behind the last norm that are for rows of whole texts.
#[derive(Debug)]
pub struct Pooler {
    /// Products one after the other, with their columns.
    projections: Vec<(MatrixId, u32)>,
    classifier: Option<Classifier>,
}

/// A classifier of texts: dense, activation, norm, output, as far as it has them.
#[derive(Debug)]
pub struct Classifier {
    dense: Option<(Affine, u32)>,
    norm: Option<VectorId>,
    output: Option<(Affine, u32)>,
    /// Activation after the dense layer.
    activation: Activation,
    /// Outputs are probabilities: of yes and no, as Qwen 3's reranker has them.
    pub softmax: bool,
}

impl Pooler {
    /// The weights that a file has.
    pub(super) fn find(finder: &mut Finder<'_>) -> Result<Pooler> {
        let config = finder.config;
        let mut projections: Vec<(MatrixId, u32)> = Vec::new();
        let mut cols = config.dim;
        for (stem, stated) in PROJECTIONS.iter().zip(config.pooling.stated) {
            let name = format!("{stem}.weight");
            let Some(rows) = rows_of(finder, &name)? else {
                continue;
            };
            for (size, stated) in [cols, rows].into_iter().zip(stated) {
                if stated.is_some_and(|stated| stated != size) {
                    return Err(Error::bad_file(format!(
                        "{name} is {rows} × {cols}, which the metadata {stem}_feat_in and {stem}_feat_out contradict"
                    )));
                }
            }
            let tensor = finder.tensor(&name, &[cols, rows])?;
            projections.push((finder.matrix(vec![tensor], false)?, rows));
            cols = rows;
        }
        let classifier = Classifier::find(finder)?;
        if config.pooling.usual == Some(Pooling::Rank) && classifier.is_none() {
            return Err(Error::bad_file(
                "the metadata make it a model that ranks, and neither cls.weight nor cls.output.weight is there",
            ));
        }
        Ok(Pooler {
            projections,
            classifier,
        })
    }

    /// The classifier, where there is one.
    pub fn classifier(&self) -> Option<&Classifier> {
        self.classifier.as_ref()
    }

    /// The rows that a pass ends in, from `x`, every row after the last norm.
    pub(super) fn ops(
        &self,
        g: &mut Graph,
        x: Tensor,
        pooling: Pooling,
        config: &Config,
    ) -> Tensor {
        let Some(row) = self.row(pooling, config) else {
            return self.projected(g, x);
        };
        g.set_section(Section::Pool);
        let state = g.keep(state(config));
        let spec = TensorSpec::per_row("pooled", config.dim);
        let pooled = g.push(Pool { x, row, state }, spec);
        g.set_section(Section::Pooled);
        match &self.classifier {
            Some(classifier) if pooling == Pooling::Rank => classifier.ops(g, pooled, config),
            _ => self.projected(g, pooled),
        }
    }

    fn row(&self, pooling: Pooling, config: &Config) -> Option<PooledRow> {
        let normed = |classifier: &Classifier| classifier.norm.is_some();
        match pooling {
            Pooling::None => None,
            Pooling::Mean => Some(PooledRow::Mean),
            Pooling::Rank if config.pooling.classified == Some(Pooling::Cls) => {
                Some(PooledRow::First)
            }
            Pooling::Rank if config.pooling.classified == Some(Pooling::Mean) => {
                Some(PooledRow::Mean)
            }
            // ModernBERT's head, which has a norm, reads the mean; others the row that has seen all of the text.
            Pooling::Rank if self.classifier().is_some_and(normed) => Some(PooledRow::Mean),
            Pooling::Last => Some(PooledRow::Last),
            Pooling::Rank if config.causal => Some(PooledRow::Last),
            Pooling::Cls | Pooling::Rank => Some(PooledRow::First),
        }
    }

    fn projected(&self, g: &mut Graph, x: Tensor) -> Tensor {
        let all = self.projections.iter();
        all.fold(x, |x, &(matrix, cols)| {
            g.linear(x, &[(matrix, 0)], None, ("projected", cols))
        })
    }
}

impl Classifier {
    fn find(finder: &mut Finder<'_>) -> Result<Option<Classifier>> {
        let config = finder.config;
        let mut cols = config.dim;
        let mut layer = |finder: &mut Finder<'_>, stem: &str| {
            let Some(rows) = rows_of(finder, &format!("{stem}.weight"))? else {
                return Ok::<_, Error>(None);
            };
            let affine = finder.affine(stem, cols, rows)?;
            cols = rows;
            Ok(Some((affine, rows)))
        };
        let dense = layer(finder, "cls")?;
        let output = layer(finder, "cls.output")?;
        let norm = match dense {
            Some((_, rows)) => finder.vector_if_there("cls.norm.weight", rows)?,
            None => None,
        };
        let labels = &config.pooling.labels;
        let Some((_, outputs)) = output.or(dense) else {
            return Ok(None);
        };
        if !labels.is_empty() && labels.len() != outputs as usize {
            return Err(Error::bad_file(format!(
                "the classifier has {outputs} outputs, and the metadata have names for {}",
                labels.len()
            )));
        }
        Ok(Some(Classifier {
            activation: activation(finder, norm.is_some())?,
            dense,
            norm,
            output,
            softmax: labels == &["yes", "no"],
        }))
    }

    fn ops(&self, g: &mut Graph, mut x: Tensor, config: &Config) -> Tensor {
        if let Some((dense, cols)) = &self.dense {
            x = dense.ops(g, x, ("classes", *cols));
            let activation = self.activation;
            x = g.map(x, Activate { x, activation });
        }
        if let Some(weight) = self.norm {
            let norm = Norm {
                kind: NormKind::Layer,
                ..Norm::rms(x, weight, config.norm_epsilon)
            };
            x = g.norm(norm, "classes");
        }
        match &self.output {
            Some((output, cols)) => output.ops(g, x, ("scores", *cols)),
            None => x,
        }
    }
}

/// Activation after a classifier's dense layer: as a folder states it, or as llama.cpp has it.
fn activation(finder: &Finder<'_>, normed: bool) -> Result<Activation> {
    let stated = finder.file.metadata().text(CLASSIFIER_ACTIVATION)?;
    match (stated, normed) {
        (Some(stated), _) => stated::activation(CLASSIFIER_ACTIVATION, stated),
        (None, true) => Ok(Activation::Gelu),
        (None, false) => Ok(Activation::TANH),
    }
}

/// Rows of a matrix, where the file has it.
fn rows_of(finder: &Finder<'_>, name: &str) -> Result<Option<u32>> {
    let Some(tensor) = finder.file.tensor(name) else {
        return Ok(None);
    };
    let rows = tensor.shape.get(1).copied().unwrap_or(1);
    let rows = u32::try_from(rows).ok().filter(|&rows| rows <= LARGEST);
    let rows = rows.ok_or_else(|| Error::bad_file(format!("{name} has too many rows")))?;
    Ok(Some(rows))
}

/// The state of pooling over several passes.
pub(super) fn state(config: &Config) -> StateSpec {
    StateSpec::recurrent("pooled rows", config.layers - 1, u64::from(config.dim))
}
