//! Small tensors: norms' weights, biases.

use lantern_kernels::padded;

use super::weights::join_names;
use crate::{
    Error, ModelFile, Result,
    file::{TensorInfo, format_of},
};

/// Small tensors, one after the other: norms' weights, biases.
#[derive(Debug, Clone)]
pub struct Vector {
    /// The tensors.
    pub tensors: Vec<TensorInfo>,
    /// Values behind those, which are in no file.
    pub constant: Vec<f32>,
    /// How often each tensor is repeated; empty: once.
    pub repeats: Vec<u32>,
    /// How often all of it is repeated.
    pub repeat: u32,
    /// Is added to every value.
    pub offset: f32,
    /// Every sum is multiplied by it.
    pub factor: f32,
}

impl Vector {
    /// Its name in plans.
    pub fn name(&self) -> String {
        if self.tensors.is_empty() {
            return "constant".to_owned();
        }
        join_names(&self.tensors)
    }

    /// As f32, padded with zeros.
    pub(crate) async fn values(&self, file: &ModelFile) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for (number, tensor) in self.tensors.iter().enumerate() {
            let times = self.repeats.get(number).map_or(1, |&times| times as usize);
            all.extend(values(file, tensor).await?.repeat(times));
        }
        all.extend(&self.constant);
        all = all.repeat(self.repeat as usize);
        for v in &mut all {
            *v = (*v + self.offset) * self.factor;
        }
        all.resize(padded(all.len() as u32) as usize, 0.0);
        Ok(all)
    }
}

/// A small tensor as f32.
pub(crate) async fn values(file: &ModelFile, tensor: &TensorInfo) -> Result<Vec<f32>> {
    let format = format_of(tensor)?;
    let dim = tensor.weights() as u32;
    if !dim.is_multiple_of(format.block) {
        return Err(Error::bad_file(format!(
            "{} has {dim} values, no whole blocks",
            tensor.name
        )));
    }
    let stored = file.data(tensor, 0..tensor.bytes).await?;
    let mut values = format.decode_rows(&stored, 1, dim);
    values.truncate(dim as usize);
    match values.iter().find(|v| !v.is_finite()) {
        Some(v) => Err(Error::bad_file(format!("{} holds {v}", tensor.name))),
        None => Ok(values),
    }
}
