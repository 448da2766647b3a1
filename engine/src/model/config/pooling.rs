//! Settings of rows of whole texts: which row a text gets, and the names of a classifier's outputs.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result, Unsupported,
    file::{Value, short},
    model::keys::Keys,
};

/// Row, or rows, that a text gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Nothing: each token has its row.
    None,
    /// Their mean.
    Mean,
    /// The first row.
    Cls,
    /// The last row.
    Last,
    /// Outputs of a classifier.
    Rank,
}

impl Pooling {
    /// All, each at the place of its number in `pooling_type`.
    pub const ALL: [Pooling; 5] = [
        Pooling::None,
        Pooling::Mean,
        Pooling::Cls,
        Pooling::Last,
        Pooling::Rank,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::None => "none",
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Last => "last",
            Pooling::Rank => "rank",
        }
    }
}

/// Settings of what is made of whole texts.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PoolingConfig {
    /// The model's own pooling.
    pub usual: Option<Pooling>,
    /// Names of the classifier's outputs.
    pub labels: Vec<String>,
    /// Row that a classifier reads, where the file states it.
    #[serde(skip)]
    pub(in crate::model) classified: Option<Pooling>,
    /// Columns and rows of the projections, where the file states them.
    #[serde(skip)]
    pub(in crate::model) stated: [[Option<u32>; 2]; 2],
}

/// Names of the projections of sentence-transformers' dense layers.
pub(in crate::model) const PROJECTIONS: [&str; 2] = ["dense_2", "dense_3"];

impl PoolingConfig {
    pub(super) fn read(keys: &Keys) -> Result<PoolingConfig> {
        let key = keys.key("pooling_type");
        let number = match keys.metadata().get(&key) {
            None | Some(Value::Signed(-1)) => None,
            Some(_) => keys.metadata().u32(&key)?,
        };
        let known = |number: u32| {
            let found = Pooling::ALL.get(number as usize);
            found.copied().ok_or_else(|| {
                Error::bad_file(format!(
                    "metadata {key} is {number}: known are 0 none, 1 mean, 2 cls, 3 last, 4 rank"
                ))
            })
        };
        let labels = keys.key("classifier.output_labels");
        let labels = keys.metadata().texts(&labels)?.unwrap_or_default();
        let classified = keys.metadata().text("lantern.classifier_pooling")?;
        let classified = match classified {
            None => None,
            Some("cls") => Some(Pooling::Cls),
            Some("mean") => Some(Pooling::Mean),
            Some(other) => {
                let other = short(other);
                return Err(Error::unsupported(
                    Unsupported::Setting,
                    format!("classifier_pooling is {other}; only cls and mean are run here"),
                ));
            }
        };
        let mut stated = [[None; 2]; 2];
        for (name, sizes) in PROJECTIONS.iter().zip(&mut stated) {
            *sizes = [
                keys.optional(&format!("{name}_feat_in"))?,
                keys.optional(&format!("{name}_feat_out"))?,
            ];
        }
        Ok(PoolingConfig {
            usual: number.map(known).transpose()?,
            labels: labels.to_vec(),
            classified,
            stated,
        })
    }
}
