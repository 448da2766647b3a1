//! Stored types that are run here, by the tensors that have them.

use lantern_kernels::Format;

use super::TensorInfo;
use crate::{Error, Result, Unsupported};

/// The format of a tensor, where it is one that runs here.
pub(crate) fn format_of(tensor: &TensorInfo) -> Result<&'static Format> {
    Format::of(tensor.kind.id()).ok_or_else(|| {
        let known: Vec<String> = lantern_kernels::FORMATS
            .iter()
            .map(|f| f.name.to_uppercase())
            .collect();
        let (name, kind) = (&tensor.name, tensor.kind.name());
        Error::unsupported(
            Unsupported::StoredType,
            format!(
                "{name} is stored as {kind}, which is not run here; known are {}",
                known.join(", ")
            ),
        )
    })
}
