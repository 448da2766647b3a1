//! A model file quantised anew: matrices to another stored type, all else as it is.

use std::{
    borrow::Cow,
    io::Write,
    ops::{ControlFlow, Range},
    thread,
};

use lantern_kernels::{Format, formats::encode};

use super::formats::format_of;
use super::{
    ModelFile, TensorInfo, TensorType,
    metadata::{Metadata, Value},
    write::{ALIGNMENT, header},
};
use crate::{Error, Result, Unsupported};

/// A model file with its matrices in another type, ready to be written.
pub struct Quantised<'f> {
    file: &'f ModelFile,
    metadata: Metadata,
    /// The tensors to be, in the order of the file's own.
    tensors: Vec<TensorInfo>,
}

/// Bytes of weights, as f32, that are encoded at a time.
const STRIP_BYTES: u64 = 16 << 20;

/// Tensors that stay as they are: what decides much by few weights.
const KEPT: [&str; 2] = ["ffn_gate_inp.weight", "position_embd.weight"];

impl ModelFile {
    /// The types that files can be quantised to, in lower case.
    pub fn quantised_types() -> Vec<&'static str> {
        encode::ENCODERS
            .iter()
            .map(|(format, _)| format.name)
            .collect()
    }

    /// Takes the matrices quantised to the type `name` whenever they are read; the file stays as it is.
    ///
    /// # Errors
    /// As [`ModelFile::quantised`].
    pub fn quantised_as_read(self, name: &str) -> Result<ModelFile> {
        let tensors = self.quantised(name)?.tensors;
        Ok(self.replaced(tensors))
    }

    /// A range of the bytes of `to`, which is made of `from`.
    pub(super) async fn quantised_rows(
        &self,
        from: &TensorInfo,
        to: &TensorInfo,
        range: Range<u64>,
    ) -> Result<Cow<'_, [u8]>> {
        let row = |t: &TensorInfo| t.shape[0] / t.kind.block_weights() * t.kind.block_bytes();
        let (row, new_row) = (row(from), row(to));
        let (first, last) = (range.start / new_row, range.end.div_ceil(new_row));
        let stored = from.offset + first * row..from.offset + last * row;
        let bytes = self.stored(from, stored).await?;
        let bytes = encoded(from, to, &bytes)?;
        let start = (range.start - first * new_row) as usize;
        let length = (range.end - range.start) as usize;
        Ok(Cow::Owned(bytes[start..start + length].to_vec()))
    }

    /// Plans a file with its matrices in the type `name`; nothing is quantised yet. Rows that are no whole blocks of it become the type of
    /// blocks of 32 that is next to it, or stay.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a type that nothing is quantised to here, [`Error::Unsupported`] for tensors of a type that is
    /// not known.
    pub fn quantised(&self, name: &str) -> Result<Quantised<'_>> {
        let named = |name: &str| {
            let mut formats = encode::ENCODERS.iter().map(|(format, _)| *format);
            formats.find(|format| format.name == name)
        };
        let wanted = named(name).ok_or_else(|| {
            let known = ModelFile::quantised_types().join(", ");
            Error::BadInput(format!(
                "models are not quantised to {name:?} here, but to {known}"
            ))
        })?;
        let next = named(if name.starts_with("q4") {
            "q4_0"
        } else {
            "q8_0"
        });
        let fits = |format: &Format, tensor: &TensorInfo| {
            tensor.shape[0].is_multiple_of(u64::from(format.block))
        };
        let target = |tensor: &TensorInfo| {
            let kept = tensor.shape.len() < 2 || KEPT.iter().any(|end| tensor.name.ends_with(end));
            let mut formats = [Some(wanted), next].into_iter().flatten();
            formats.find(|format| !kept && fits(format, tensor))
        };
        let mut tensors = Vec::new();
        for tensor in self.tensors() {
            let mut tensor = tensor.clone();
            if let Some(format) = target(&tensor) {
                format_of(&tensor)?;
                let weights = tensor.weights();
                tensor.kind = TensorType::from_id(format.ggml).expect("a type of ggml's");
                tensor.bytes = weights / u64::from(format.block) * u64::from(format.bytes);
            }
            tensors.push(tensor);
        }
        let mut metadata = self.metadata().clone();
        metadata
            .0
            .retain(|key, _| !key.starts_with("split.") && key != "general.alignment");
        metadata.0.remove("general.file_type");
        let version = ("general.quantization_version", Some(2));
        for (key, value) in [("general.file_type", mostly(&tensors)), version] {
            let value = value.map(Value::Unsigned);
            metadata
                .0
                .extend(value.map(|value| (key.to_owned(), value)));
        }
        Ok(Quantised {
            file: self,
            metadata,
            tensors,
        })
    }
}

impl Quantised<'_> {
    /// The tensors to be.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Bytes of weights to be read.
    pub fn bytes_read(&self) -> u64 {
        self.file.tensors().iter().map(|t| t.bytes).sum()
    }

    /// Writes it. `progress(done)` counts bytes of weights that were read; breaking it ends in [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] for weights that are not finite or metadata that cannot be written; what reading and writing meet.
    pub async fn write(
        &self,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<()> {
        if let Some(key) = self
            .metadata
            .0
            .keys()
            .find(|key| key.starts_with("lantern."))
        {
            return Err(Error::unsupported(Unsupported::Setting, format!(
                "GGUF has no word for {key}, so other programs would read the file wrong; from safetensors, quantise while loading, with --quantize"
            ))
            .in_file(self.file.label()));
        }
        let put = |out: &mut dyn Write, bytes: &[u8]| {
            let wrong = |source| Error::Io {
                path: "the quantised file".into(),
                source,
            };
            out.write_all(bytes).map_err(wrong)
        };
        put(out, &header(&self.metadata, &self.tensors)?)?;
        let mut done = 0;
        for (from, to) in self.file.tensors().iter().zip(&self.tensors) {
            let rows: u64 = from.shape[1..].iter().product();
            let row_bytes = from.bytes / rows.max(1);
            let strip = (STRIP_BYTES / (from.shape[0] * 4).max(1)).clamp(1, rows.max(1));
            for first in (0..rows).step_by(strip as usize) {
                let range = first * row_bytes..(first + strip).min(rows) * row_bytes;
                done += range.end - range.start;
                let bytes = self.file.data(from, range).await?;
                if from.kind == to.kind {
                    put(out, &bytes)?;
                } else {
                    put(out, &encoded(from, to, &bytes)?)?;
                }
                if progress(done).is_break() {
                    return Err(Error::Aborted);
                }
            }
            let padding = to.bytes.next_multiple_of(ALIGNMENT) - to.bytes;
            put(out, &vec![0; padding as usize])?;
        }
        Ok(())
    }
}

/// The number that llama.cpp's `llama_ftype` has for files mostly of the type that most of these weights have.
fn mostly(tensors: &[TensorInfo]) -> Option<u64> {
    const NUMBERS: [(TensorType, u64); 9] = [
        (TensorType::F32, 0),
        (TensorType::F16, 1),
        (TensorType::Q4_0, 2),
        (TensorType::Q4_1, 3),
        (TensorType::Q8_0, 7),
        (TensorType::Q5_0, 8),
        (TensorType::Q5_1, 9),
        (TensorType::Q4_K, 14), // "small": all matrices alike
        (TensorType::Q6_K, 18),
    ];
    let weights = |kind: TensorType| -> u64 {
        let of_kind = tensors.iter().filter(|tensor| tensor.kind == kind);
        of_kind.map(TensorInfo::weights).sum()
    };
    let max = TensorType::all().max_by_key(|&kind| weights(kind))?;
    let mut numbers = NUMBERS.into_iter();
    numbers.find_map(|(kind, number)| (kind == max).then_some(number))
}

/// Rows of `from` as rows of `to`, on every thread there is.
fn encoded(from: &TensorInfo, to: &TensorInfo, bytes: &[u8]) -> Result<Vec<u8>> {
    let (source, target) = (format_of(from)?, format_of(to)?);
    let encode = encode::encoder(target).expect("only such are asked for");
    let cols = from.shape[0] as u32;
    let (row, new_row) = (source.row_bytes(cols), target.row_bytes(cols));
    let rows = bytes.len() / row;
    let mut out = vec![0; rows * new_row];
    let share = rows
        .div_ceil(thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    let finite = thread::scope(|scope| {
        let shares = bytes
            .chunks(share * row)
            .zip(out.chunks_mut(share * new_row));
        let threads: Vec<_> = shares
            .map(|(bytes, out)| {
                scope.spawn(move || {
                    let weights = source.decode_rows(bytes, (bytes.len() / row) as u32, cols);
                    let blocks = weights.chunks_exact(target.block as usize);
                    let places = out.chunks_exact_mut(target.bytes as usize);
                    blocks.zip(places).for_each(|(w, block)| encode(w, block));
                    weights.iter().all(|w| w.is_finite())
                })
            })
            .collect();
        threads
            .into_iter()
            .all(|thread| thread.join().unwrap_or(false))
    });
    if !finite {
        return Err(Error::unsupported(
            Unsupported::Tensor,
            format!("{} has weights that are not finite", from.name),
        ));
    }
    Ok(out)
}
