//! Models without their weights: the header of a file, or of a known shape, over random bytes. They run as fast as
//! the real ones, and say nothing. For measuring before a download, and without one. Weights that stay on the GPU are made
//! there; read as a file, they are the same.

mod deepseek;
mod gemma4;
mod gpt_oss;
mod lfm2;
mod llama;
mod outline;
mod qwen35;

use std::{collections::HashMap, sync::Arc};

use super::{Header, Metadata, ModelFile, Source, TensorInfo, noise::Noise, types::TensorType};
use crate::{Error, Result};
use outline::{Outline, Shape};

/// Known models of every family.
const SHAPES: [&[Shape]; 6] = [
    llama::SHAPES,
    qwen35::SHAPES,
    gemma4::SHAPES,
    gpt_oss::SHAPES,
    lfm2::SHAPES,
    deepseek::SHAPES,
];

/// Known models.
fn shapes() -> impl Iterator<Item = &'static Shape> {
    SHAPES.into_iter().flatten()
}

impl ModelFile {
    /// A model of random weights: `shape:type`, such as `llama-1b:q8_0`.
    ///
    /// # Errors
    /// [`Error::BadInput`] names the shapes and the types that there are.
    pub fn synthetic(wanted: &str) -> Result<ModelFile> {
        let (name, stored) = wanted.split_once(':').unwrap_or((wanted, "q4_0"));
        let list = |names: Vec<&str>| names.join(", ");
        let shape = shapes().find(|shape| shape.name == name);
        let shape = shape.ok_or_else(|| {
            let known = list(shapes().map(|shape| shape.name).collect());
            Error::BadInput(format!("there is no shape {name:?}; there are {known}"))
        })?;
        let format = lantern_kernels::FORMATS
            .iter()
            .find(|format| format.name == stored);
        let kind = format.and_then(|format| TensorType::from_id(format.ggml));
        let kind = kind.ok_or_else(|| {
            let known = list(
                lantern_kernels::FORMATS
                    .iter()
                    .map(|format| format.name)
                    .collect(),
            );
            Error::BadInput(format!(
                "weights of type {stored:?} are not run here; known are {known}"
            ))
        })?;
        let Outline {
            metadata, tensors, ..
        } = shape.outline(kind);
        let broken = |tensor: &&TensorInfo| {
            let block = tensor.kind.block_weights();
            !tensor.shape[0].is_multiple_of(block)
        };
        if let Some(TensorInfo { shape, kind, .. }) = tensors.iter().find(broken) {
            let (width, block) = (shape[0], kind.block_weights());
            return Err(Error::BadInput(format!(
                "{name} has rows of {width} weights, not a multiple of the {block} that a block of {kind} holds"
            )));
        }
        Ok(with_random_weights(metadata, tensors))
    }
}

/// A file of these tensors, their weights random.
pub(crate) fn with_random_weights(metadata: Metadata, mut tensors: Vec<TensorInfo>) -> ModelFile {
    let mut end = 0;
    for tensor in &mut tensors {
        (tensor.offset, tensor.part) = (end, 0);
        end += tensor.bytes.next_multiple_of(32);
    }
    let label = "a model of random weights".to_owned();
    let noise = Arc::new(Noise::over(&tensors));
    let source = Source::remote(label.clone(), end, Box::new(noise.clone()));
    let header = Header::of(metadata, tensors).expect("tensors of different names");
    let file = ModelFile::of_parts(label, header, vec![source], HashMap::new());
    file.with_noise(noise)
}

#[cfg(test)]
mod tests {
    use super::{ModelFile, shapes};
    use crate::Config;

    #[test]
    fn known_shapes_have_the_sizes_of_their_names() {
        for (name, billions) in [
            ("llama-1b", 1.24),
            ("llama-8b", 8.03),
            ("llama-70b", 70.6),
            ("qwen3-30b-a3b", 30.5),
            ("qwen3.5-0.8b", 0.752),
            ("qwen3.5-4b", 4.2),
            ("qwen3.5-27b", 26.9),
            ("qwen3.5-35b-a3b", 34.7),
            ("gemma4-e2b", 4.6),
            ("gemma4-31b", 30.7),
            ("gemma4-26b-a4b", 25.2),
            ("gpt-oss-20b", 20.9),
            ("lfm2.5-1.2b", 1.17),
            ("lfm2-8b-a1b", 8.34),
            ("glm-4.7-flash", 29.9),
        ] {
            let file = ModelFile::synthetic(&format!("{name}:f16")).unwrap();
            let weights = file.len() as f64 / 2e9;
            assert!((weights / billions - 1.0).abs() < 0.01, "{name}: {weights}");
        }
        assert!(shapes().all(|shape| ModelFile::synthetic(shape.name).is_ok()));
    }

    #[test]
    fn known_shapes_are_of_families_that_run_whole_and_in_part() {
        for shape in shapes() {
            let file = ModelFile::synthetic(&format!("{}:f16", shape.name)).unwrap();
            for layers in [1, 3, 7, u32::MAX] {
                let some = file.synthetic_layers(layers).unwrap();
                let config = Config::of(&some).unwrap();
                assert_eq!(config.layers, layers.min(Config::of(&file).unwrap().layers));
            }
        }
    }

    #[test]
    fn a_synthetic_model_of_fewer_layers_has_these_alone() {
        let file = ModelFile::synthetic("smollm2-135m:q8_0").unwrap();
        let synthetic = file.synthetic_layers(2).unwrap();
        assert_eq!(Config::of(&synthetic).unwrap().layers, 2);
        assert_eq!(synthetic.tensors().len(), 2 + 2 * 9);
    }

    #[test]
    fn unknown_names_are_told_what_there_is() {
        let error = |wanted| ModelFile::synthetic(wanted).unwrap_err().to_string();
        assert!(error("llama-2b").contains("llama-1b"));
        assert!(error("llama-1b:q9").contains("q8_0"));
        assert!(error("smollm2-135m:q4_k").contains("rows of 576 weights"));
    }
}
