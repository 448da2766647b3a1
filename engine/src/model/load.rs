//! A model on the GPU: its weights, the slots that sessions share, and its plans.

use std::{ops::ControlFlow, sync::Arc};

use lantern_kernels::{attention_join, padded};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{
    block::Layout,
    config::Config,
    weights::{ALIGNMENT, Stored, vector},
};
use crate::{
    Engine, Error, ModelFile, Result, Session,
    gpu::{
        buffer::{Buffer, Upload},
        pipeline::{Found, Range},
    },
    plan::{
        build::{Builder, Width},
        dispatch::{Plan, Slot},
        integer::packed_bytes,
    },
};

/// How exactly to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// A cache of f16, and f16 tiles where the adapter gains by them; sums in f32.
    #[default]
    Default,
    /// f32 throughout.
    Exact,
}

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// How exactly to compute.
    pub precision: Precision,
    /// Positions of a session; none: the model's own, at most [`CONTEXT_DEFAULT_MAX`].
    pub context: Option<usize>,
    /// Tokens of a prefill pass; none: what suits the adapter.
    pub chunk: Option<usize>,
}

impl LoadOptions {
    /// Tokens of a prefill pass.
    fn chunk_on(&self, engine: &Engine, context: usize) -> usize {
        let suiting = if engine.software() { 32 } else { 256 };
        self.chunk.unwrap_or(suiting).clamp(1, context)
    }

    /// Positions of a session of this model.
    fn context_of(&self, config: &Config) -> usize {
        let own = config.context as usize;
        self.context.unwrap_or(own.min(CONTEXT_DEFAULT_MAX))
    }
}

/// The context where none is asked for and the model has more.
pub const CONTEXT_DEFAULT_MAX: usize = 4096;

/// The longest context on an adapter that runs on the CPU: llvmpipe ends a shader's loops, silently, after 65,535 turns,
/// of which attention needs up to four a position.
const CONTEXT_SOFTWARE_MAX: u64 = 16_384;

/// A model on an engine; cheap to clone.
#[derive(Clone)]
pub struct Model(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub engine: Arc<Engine>,
    pub config: Config,
    pub layout: Layout,
    pub precision: Precision,
    pub context: usize,
    pub chunk: usize,
    /// Buffers of each matrix's pieces.
    matrices: Vec<Vec<Stored>>,
    /// All vectors, each at its offset.
    vectors: Buffer,
    vector_places: Vec<(u64, u64)>,
    /// Slots that sessions share, for a pass of `chunk` tokens.
    slots: Vec<(Slot, Buffer)>,
    /// Of all bytes of its weights.
    hash: u64,
}

impl Model {
    /// Brings the weights to the GPU. `progress(done, total)` counts bytes of the file; breaking it ends in
    /// [`Error::Aborted`].
    pub async fn load(
        engine: &Arc<Engine>,
        file: &ModelFile,
        options: &LoadOptions,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Model> {
        let config = Config::of(file)?;
        let layout = Layout::of(engine, file, &config)?;
        let context = options.context_of(&config);
        check_context(engine, &config, options.precision, context)?;
        let chunk = options.chunk_on(engine, context);
        let builder = Builder {
            engine,
            config: &config,
            layout: &layout,
            precision: options.precision,
            context: context as u32,
            chunk: chunk as u32,
        };
        let compiling = engine.compile_ahead(builder.shaders());

        let total: u64 = layout
            .matrices
            .iter()
            .map(super::weights::Matrix::bytes)
            .sum();
        let mut done = 0;
        let mut count = |bytes: u64| {
            done += bytes;
            progress(done, total)
        };
        let mut hash = Xxh3::new();
        let mut upload = Upload::new(engine);
        let mut matrices = Vec::new();
        for matrix in &layout.matrices {
            let mut pieces = Vec::new();
            for &piece in &matrix.pieces {
                pieces.push(
                    matrix
                        .load(engine, file, piece, &mut upload, &mut |bytes| {
                            hash.update(bytes);
                            count(bytes.len() as u64)
                        })
                        .await?,
                );
            }
            matrices.push(pieces);
        }
        let (vectors, vector_places) =
            load_vectors(engine, file, &layout, &mut upload, &mut hash).await?;
        let passes = (options.precision, context, chunk);
        let slots = slots(engine, &config, file, &layout, passes, &mut upload).await?;
        upload.finish().await?;
        compiling.finish()?;
        let (engine, precision) = (engine.clone(), options.precision);
        let loaded = Loaded {
            engine,
            config,
            layout,
            precision,
            context,
            chunk,
            matrices,
            vectors,
            vector_places,
            slots,
            hash: hash.digest(),
        };
        Ok(Model(Arc::new(loaded)))
    }

    /// The model's numbers.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The engine it is on.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    /// Positions that a session has.
    pub fn context(&self) -> usize {
        self.0.context
    }

    /// Tokens of a prefill pass.
    pub fn chunk(&self) -> usize {
        self.0.chunk
    }

    /// How exactly it computes.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// Bytes of its matrices in the file.
    pub fn weight_bytes(&self) -> u64 {
        self.0
            .layout
            .matrices
            .iter()
            .map(super::weights::Matrix::bytes)
            .sum()
    }

    /// Bytes of a session's keys and values.
    pub fn cache_bytes(&self) -> u64 {
        let config = &self.0.config;
        2 * u64::from(config.layers) * cache_layer_bytes(config, self.0.precision, self.0.context)
    }

    /// A session with an empty cache.
    pub async fn session(&self) -> Result<Session> {
        Session::new(self.0.clone()).await
    }
}

impl ModelFile {
    /// Positions of a session with these options.
    pub fn context(&self, options: &LoadOptions) -> Result<usize> {
        Ok(options.context_of(&Config::of(self)?))
    }

    /// Tokens of a prefill pass with these options.
    pub fn chunk(&self, engine: &Engine, options: &LoadOptions) -> Result<usize> {
        Ok(options.chunk_on(engine, self.context(options)?))
    }

    /// Refuses tokens that there are none of, and more than a session has room for; before any weight is read.
    ///
    /// # Errors
    /// [`Error::BadInput`], [`Error::ContextFull`].
    pub fn admit(&self, tokens: &[u32], options: &LoadOptions) -> Result<()> {
        let config = Config::of(self)?;
        let context = options.context_of(&config);
        admit(tokens, tokens.len(), config.vocabulary, context)
    }

    /// The dispatches of one decoded token (width 1, drawing included), or of a prefill pass with its last logits;
    /// reads no weights.
    pub fn plan(&self, engine: &Engine, options: &LoadOptions, width: usize) -> Result<Plan> {
        let config = Config::of(self)?;
        let layout = Layout::of(engine, self, &config)?;
        let builder = Builder {
            engine,
            config: &config,
            layout: &layout,
            precision: options.precision,
            context: options.context_of(&config) as u32,
            chunk: width as u32,
        };
        let kind = if width == 1 {
            Width::Decode
        } else {
            Width::Prefill(width as u32)
        };
        let mut plan = builder.step(kind);
        if width == 1 {
            plan.dispatches.extend(builder.greedy().dispatches);
        }
        Ok(plan)
    }
}

impl Loaded {
    pub fn builder(&self) -> Builder<'_> {
        Builder {
            engine: &self.engine,
            config: &self.config,
            layout: &self.layout,
            precision: self.precision,
            context: self.context as u32,
            chunk: self.chunk as u32,
        }
    }

    /// Tells the model's weights from those of any other.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", self.hash)
    }

    /// Bytes of what attention finds in parts of the positions.
    pub fn parts_bytes(&self) -> u64 {
        let (config, split) = (&self.config, self.builder().splits());
        let parts = if split { attention_join::PARTS } else { 0 };
        u64::from(config.heads * parts * (config.head_size + 2)) * 4
    }

    /// Bytes that a position takes in the keys, or the values, of a layer.
    pub fn cache_position_bytes(&self) -> u64 {
        cache_layer_bytes(&self.config, self.precision, 1)
    }

    /// A plane of a piece of a matrix.
    pub fn weights(&self, matrix: usize, piece: usize, plane: &str) -> Found<'_> {
        let layout = &self.layout.matrices[matrix];
        let index = layout.format.planes.iter().position(|p| p.binding == plane);
        let index = index.unwrap_or_else(|| panic!("{} has no plane {plane}", layout.format.name));
        match &self.matrices[matrix][piece] {
            Stored::Textures(textures) => Found::Texture(&textures[index].view),
            Stored::Buffer(buffer) => {
                let (start, size) = layout.planes(layout.pieces[piece]).0[index];
                Found::Range(Range {
                    buffer,
                    start,
                    size: Some(size),
                })
            }
        }
    }

    pub fn vector(&self, index: usize) -> Found<'_> {
        let (start, size) = self.vector_places[index];
        Found::Range(Range {
            buffer: &self.vectors,
            start,
            size: Some(size),
        })
    }

    /// A slot that sessions share.
    pub fn slot(&self, slot: Slot) -> Option<Found<'_>> {
        self.slots
            .iter()
            .find(|(s, _)| *s == slot)
            .map(|(_, buffer)| buffer.into())
    }
}

/// Refuses `tokens`, of which the session then holds `held`, by the vocabulary and the context.
pub(crate) fn admit(tokens: &[u32], held: usize, vocabulary: u32, context: usize) -> Result<()> {
    if let Some(token) = tokens.iter().find(|&&t| t >= vocabulary) {
        return Err(Error::BadInput(format!(
            "there is no token {token}: the vocabulary has {vocabulary}"
        )));
    }
    if held > context {
        return Err(Error::ContextFull {
            tokens: held,
            context,
        });
    }
    Ok(())
}

/// Bytes of the keys, or the values, of one layer.
pub(crate) fn cache_layer_bytes(config: &Config, precision: Precision, context: usize) -> u64 {
    let bytes = if precision == Precision::Exact { 4 } else { 2 };
    context as u64 * u64::from(config.kv_heads * config.head_size) * bytes
}

impl Engine {
    /// The longest context that a layer's keys, or its values, have room for.
    pub(crate) fn context_most(&self, config: &Config, precision: Precision) -> u64 {
        let position = cache_layer_bytes(config, precision, 1);
        let limits = &self.adapter().limits;
        let size = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size);
        let most = size / position;
        if self.software() {
            most.min(CONTEXT_SOFTWARE_MAX)
        } else {
            most
        }
    }
}

fn check_context(
    engine: &Engine,
    config: &Config,
    precision: Precision,
    context: usize,
) -> Result<()> {
    if context == 0 {
        return Err(Error::BadInput("a context of 0 holds no token".into()));
    }
    let most = engine.context_most(config, precision);
    if context as u64 > most {
        let name = &engine.adapter().name;
        return Err(Error::DoesNotFit(format!(
            "{name} has room for a context of {most}; {context} were asked for"
        )));
    }
    Ok(())
}

async fn load_vectors(
    engine: &Engine,
    file: &ModelFile,
    layout: &Layout,
    upload: &mut Upload<'_>,
    hash: &mut Xxh3,
) -> Result<(Buffer, Vec<(u64, u64)>)> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut places = Vec::new();
    for tensor in &layout.vectors {
        let values = vector(file, tensor).await?;
        places.push((bytes.len() as u64, values.len() as u64 * 4));
        bytes.extend_from_slice(bytemuck::cast_slice(&values));
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
    }
    hash.update(&bytes);
    let buffer = engine
        .storage_or_uniform("vectors", bytes.len() as u64)
        .await?;
    upload.write(&buffer, 0, &bytes).await?;
    Ok((buffer, places))
}

async fn slots(
    engine: &Engine,
    config: &Config,
    file: &ModelFile,
    layout: &Layout,
    (precision, context, chunk): (Precision, usize, usize),
    upload: &mut Upload<'_>,
) -> Result<Vec<(Slot, Buffer)>> {
    let factors = match &layout.rope_factors {
        Some(tensor) => Some(vector(file, tensor).await?),
        None => None,
    };
    let pairs = config.rope.dimensions as usize / 2; // padding, which is zero, comes after them
    let bad = |&v: &&f32| v <= &0.0;
    if let Some(v) = factors.iter().flatten().take(pairs).find(bad) {
        return Err(Error::BadFile(format!("rope_freqs.weight holds {v}")));
    }
    let angles = config.rope.angles(context, factors.as_deref());
    // Kernels that take eight tokens at a time bind all eight rows, whether there is a token for each or not.
    let row = |width: u32| chunk.next_multiple_of(8) as u64 * u64::from(padded(width)) * 4;
    let widest = (config.heads * config.head_size)
        .max(config.width)
        .max(config.ffn_width);
    let packed = chunk as u64 * packed_bytes(engine, precision, widest);
    let mut sizes = vec![
        (Slot::Angles, angles.len() as u64 * 4),
        (Slot::X, row(config.width)),
        (Slot::H, row(config.width)),
        (Slot::Qkv, row(config.qkv_width())),
        (Slot::Attention, row(config.heads * config.head_size)),
        (Slot::Gated, row(config.ffn_width)),
    ];
    sizes.extend((packed > 0).then_some((Slot::Packed, packed)));
    let most = engine.adapter().limits.max_storage_buffer_binding_size;
    let mut slots = Vec::new();
    for (slot, size) in sizes {
        if size > most {
            let advice = if slot == Slot::Angles {
                "a smaller context"
            } else {
                "smaller prefill passes"
            };
            return Err(Error::DoesNotFit(format!(
                "{} takes {size} of {most} bytes: try {advice}",
                slot.name()
            )));
        }
        slots.push((slot, engine.storage_or_uniform(slot.name(), size).await?));
    }
    upload
        .write(&slots[0].1, 0, bytemuck::cast_slice(&angles))
        .await?;
    Ok(slots)
}
