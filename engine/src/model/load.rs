//! A model on the GPU: its weights, the slots that sessions share, and the plans' builder.

use std::{ops::ControlFlow, sync::Arc};

use lantern_kernels::store::BLOCK;
use xxhash_rust::xxh3::Xxh3;

use super::{
    block::Layout,
    config::Config,
    lora::Lora,
    options::{CacheType, LoadOptions, Precision},
    random::RandomLoader,
    slots::slots,
    stream::{Loading, Stream, Streaming, Unit, divide},
    weights::{ALIGNMENT, Matrix, Stored},
};
use crate::{
    Error, Gpu, ModelFile, Result, Session,
    gpu::{
        buffer::{Buffer, Upload},
        pipeline::{BindingResource, Range},
    },
    plan::{
        build::{Builder, Width},
        dispatch::{Plan, Slot},
    },
};

/// Of the memory that there is, what a model and its session may take.
const MEMORY_SHARE: f64 = 0.9;

/// The longest context on an adapter that runs on the CPU: llvmpipe ends a shader's loops, silently, after 65,535 turns,
/// of which attention needs up to four a position.
const CONTEXT_SOFTWARE_MAX: u64 = 16_384;

/// A model on a GPU; cheap to clone.
#[derive(Clone)]
pub struct Model(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub gpu: Arc<Gpu>,
    pub config: Config,
    pub layout: Layout,
    pub precision: Precision,
    pub cache: CacheType,
    pub context: usize,
    pub prefill_batch: usize,
    /// Buffers of each matrix's pieces.
    matrices: Vec<Vec<Stored>>,
    /// What comes from the file whenever it is needed.
    pub stream: Option<Stream>,
    /// Bytes on the GPU that it and a session were to keep to.
    budget: Option<u64>,
    /// All vectors, each at its offset.
    vectors: Buffer,
    vector_places: Vec<(u64, u64)>,
    /// Slots that sessions share, for a pass of `prefill_batch` tokens.
    slots: Vec<(Slot, Buffer)>,
    /// Of all bytes of its weights.
    hash: u64,
}

impl Model {
    /// Brings the weights to the GPU. `progress(done, total)` counts bytes of the file; breaking it ends in
    /// [`Error::Aborted`].
    ///
    /// Layers of a file on this machine that do not fit stream: into [`LoadOptions::gpu_memory`]; without, into what memory
    /// the adapter says that it has, or, where it says nothing and some allocation fails, into what there was.
    pub async fn load(
        gpu: &Arc<Gpu>,
        file: &ModelFile,
        options: &LoadOptions,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Model> {
        let max = |bytes: u64| (bytes as f64 * MEMORY_SHARE) as u64;
        let may_stream = options.gpu_memory.is_none() && file.is_local();
        let known = gpu.memory_bytes().filter(|_| may_stream).map(max);
        let before = gpu.counters().gpu_bytes;
        let mut peak = before;
        let mut watched = |done, total| {
            peak = peak.max(gpu.counters().gpu_bytes);
            progress(done, total)
        };
        let budget = options.gpu_memory.or(known);
        match Model::load_within(gpu, file, options, budget, &mut watched).await {
            Err(Error::DoesNotFit(_)) if may_stream && peak > before => {
                let budget = Some(max(peak - before));
                Model::load_within(gpu, file, options, budget, progress).await
            }
            loaded => loaded,
        }
    }

    async fn load_within(
        gpu: &Arc<Gpu>,
        file: &ModelFile,
        options: &LoadOptions,
        budget: Option<u64>,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Model> {
        let config = Config::of(file)?;
        let mut layout = Layout::of(gpu, file, &config)?;
        let context = options.context_of(&config);
        check_context(gpu, &config, options.cache_type(), context)?;
        let prefill_batch = options.prefill_batch_on(gpu, context);
        let mut upload = Upload::new(gpu);
        let (vectors, vector_places, vector_bytes) =
            load_vectors(gpu, file, &layout, &mut upload).await?;
        let passes = (options.precision, context, prefill_batch);
        let slots = slots(gpu, &config, file, &layout, passes, &mut upload).await?;
        let taken = slots.iter().map(|(_, buffer)| buffer.size).sum::<u64>() + vectors.size;
        let units = streamed(gpu, &config, &mut layout, options, (budget, taken))?;
        let compiling =
            gpu.compile_ahead(builder(gpu, &config, &layout, options, prefill_batch).shaders());

        let total = layout.weight_bytes();
        let mut done = 0;
        let mut hash = Xxh3::new();
        let mut each = |bytes: &[u8], stored: u64| {
            hash.update(bytes);
            done += stored;
            progress(done, total)
        };
        let mut loading = Loading {
            gpu,
            file,
            layout: &layout,
            units: &units,
            upload,
            random: RandomLoader::of(gpu, file).await?,
            read: (0, 0.0),
        };
        let matrices = loading.matrices(&mut each).await?;
        let read = loading.read;
        loading.upload.finish().await?;
        hash.update(&vector_bytes);
        let stream = if units.is_empty() {
            None
        } else {
            let all = &layout.matrices;
            Some(Stream::new(gpu, file, all, units, config.layers, read).await?)
        };
        compiling.finish()?;
        let (gpu, precision, cache) = (gpu.clone(), options.precision, options.cache_type());
        let loaded = Loaded {
            gpu,
            config,
            layout,
            precision,
            cache,
            context,
            prefill_batch,
            matrices,
            stream,
            budget,
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

    /// The GPU that it is on.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.0.gpu
    }

    /// Positions that a session has.
    pub fn context(&self) -> usize {
        self.0.context
    }

    /// Tokens of a prefill pass.
    pub fn prefill_batch(&self) -> usize {
        self.0.prefill_batch
    }

    /// Tells its weights from those of any other model.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    /// How exactly it computes.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// Bytes of its matrices in the file.
    pub fn weight_bytes(&self) -> u64 {
        self.0.layout.weight_bytes()
    }

    /// Bytes on the GPU that it and a session were to keep to, where any were set or known.
    pub fn budget(&self) -> Option<u64> {
        self.0.budget
    }

    /// How it streams, where not all of it fits.
    pub fn streaming(&self) -> Option<Streaming> {
        self.0.stream.as_ref().map(Stream::about)
    }

    /// Bytes of a session's keys and values.
    pub fn cache_bytes(&self) -> u64 {
        let loaded = &self.0;
        let (context, prefill_batch) = (loaded.context, loaded.prefill_batch);
        loaded
            .config
            .cache_bytes(loaded.cache, context, prefill_batch)
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        self.0.cache
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
    pub fn prefill_batch(&self, gpu: &Gpu, options: &LoadOptions) -> Result<usize> {
        Ok(options.prefill_batch_on(gpu, self.context(options)?))
    }

    /// Refuses tokens that there are none of, and more than a session has room for; before any weight is read.
    ///
    /// # Errors
    /// [`Error::BadInput`], [`Error::ContextFull`].
    pub fn admit(&self, tokens: &[u32], options: &LoadOptions) -> Result<()> {
        let config = Config::of(self)?;
        let context = options.context_of(&config);
        admit(tokens, tokens.len(), config.vocab_size, context)
    }

    /// The dispatches of one decoded token (width 1, sampling included), or of a prefill pass with its last logits;
    /// reads no weights.
    pub fn plan(&self, gpu: &Gpu, options: &LoadOptions, width: usize) -> Result<Plan> {
        let config = Config::of(self)?;
        let layout = Layout::of(gpu, self, &config)?;
        let builder = builder(gpu, &config, &layout, options, width);
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
        self.builder_with(&[])
    }

    /// For sessions with these LoRAs.
    pub fn builder_with<'a>(&'a self, loras: &'a [(Lora, f32)]) -> Builder<'a> {
        Builder {
            loras,
            gpu: &self.gpu,
            config: &self.config,
            layout: &self.layout,
            precision: self.precision,
            cache: self.cache,
            context: self.context as u32,
            prefill_batch: self.prefill_batch as u32,
        }
    }

    /// Tells the model's weights from those of any other.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", self.hash)
    }

    /// The embedding's rows of a pass, where the model streams, and where they lie.
    pub fn looked_up(&self) -> (&Matrix, &Buffer) {
        let id = self.layout.embedding;
        match &self.matrices[id][..] {
            [Stored::Buffer(buffer)] => (&self.layout.matrices[id], buffer),
            _ => panic!("the embedding lies in one buffer where the model streams"),
        }
    }

    /// Bytes of the keys, or the values, of a layer.
    pub fn cache_bytes(&self, layer: u32) -> u64 {
        cache_layer_bytes(&self.config, self.cache, self.cells(layer))
    }

    /// Positions that a layer's cache has room for.
    pub fn cells(&self, layer: u32) -> usize {
        self.config.cells(layer, self.context, self.prefill_batch)
    }

    /// Bytes that a position takes in the keys, or the values, of a layer.
    pub fn cache_position_bytes(&self) -> u64 {
        cache_layer_bytes(&self.config, self.cache, 1)
    }

    /// A plane of a piece of a matrix.
    pub fn weights(&self, matrix: usize, piece: usize, plane: &str) -> BindingResource<'_> {
        let about = &self.layout.matrices[matrix];
        match (&self.matrices[matrix][piece], &self.stream) {
            (&Stored::Turns(half, place), Some(stream)) => {
                about.range(piece, about.plane(plane), stream.buffer(half, place))
            }
            (stored, _) => stored.plane(about, piece, plane),
        }
    }

    pub fn vector(&self, index: usize) -> BindingResource<'_> {
        let (start, size) = self.vector_places[index];
        BindingResource::Range(Range {
            buffer: &self.vectors,
            start,
            size: Some(size),
        })
    }

    /// A slot that sessions share.
    pub fn slot(&self, slot: Slot) -> Option<BindingResource<'_>> {
        self.slots
            .iter()
            .find(|(s, _)| *s == slot)
            .map(|(_, buffer)| buffer.into())
    }
}

/// What streams, where the model does not fit into what it may take, of which `taken` bytes are taken already.
fn streamed(
    gpu: &Gpu,
    config: &Config,
    layout: &mut Layout,
    options: &LoadOptions,
    (budget, taken): (Option<u64>, u64),
) -> Result<Vec<Unit>> {
    let Some(budget) = budget else {
        return Ok(vec![]);
    };
    let prefill_batch = options.prefill_batch_on(gpu, options.context_of(config));
    let builder = builder(gpu, config, layout, options, prefill_batch);
    let Some((matrices, division)) = divide(&builder, budget, taken)? else {
        return Ok(vec![]);
    };
    layout.stream(matrices, division.rows);
    Ok(division.units)
}

/// Builds plans of a model that is not loaded, for passes of `prefill_batch` tokens.
fn builder<'a>(
    gpu: &'a Gpu,
    config: &'a Config,
    layout: &'a Layout,
    options: &LoadOptions,
    prefill_batch: usize,
) -> Builder<'a> {
    Builder {
        gpu,
        loras: &[],
        config,
        layout,
        precision: options.precision,
        cache: options.cache_type(),
        context: options.context_of(config) as u32,
        prefill_batch: prefill_batch as u32,
    }
}

/// Refuses `tokens`, of which the session then holds `held`, by the vocabulary and the context.
pub(crate) fn admit(tokens: &[u32], held: usize, vocab_size: u32, context: usize) -> Result<()> {
    if let Some(token) = tokens.iter().find(|&&t| t >= vocab_size) {
        return Err(Error::BadInput(format!(
            "there is no token {token}: the vocabulary has {vocab_size}"
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
pub(crate) fn cache_layer_bytes(config: &Config, cache: CacheType, context: usize) -> u64 {
    context as u64 * cache.bytes(u64::from(config.kv_heads * config.head_dim))
}

impl Gpu {
    /// The longest context that a layer's keys, or its values, have room for.
    pub(crate) fn max_context(&self, config: &Config, cache: CacheType) -> u64 {
        let position = cache_layer_bytes(config, cache, 1);
        let limits = &self.adapter().limits;
        let size = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size);
        let max = size / position;
        if self.software() {
            max.min(CONTEXT_SOFTWARE_MAX)
        } else {
            max
        }
    }
}

fn check_context(gpu: &Gpu, config: &Config, cache: CacheType, context: usize) -> Result<()> {
    if cache.block_words().is_some() && !config.head_dim.is_multiple_of(BLOCK as u32) {
        return Err(Error::BadInput(format!(
            "a cache in blocks of {BLOCK} needs heads of a multiple of that, and these have {}: take f16",
            config.head_dim
        )));
    }
    if context == 0 {
        return Err(Error::BadInput("a context of 0 holds no token".into()));
    }
    if let Some(max) = config
        .learned_positions
        .filter(|&max| context > max as usize)
    {
        return Err(Error::BadInput(format!(
            "the model has learned {max} positions; a context of {context} was asked for"
        )));
    }
    let max = gpu.max_context(config, cache);
    if context as u64 > max {
        let name = &gpu.adapter().name;
        return Err(Error::DoesNotFit(format!(
            "{name} has room for a context of {max}; {context} were asked for"
        )));
    }
    Ok(())
}

/// All vectors in one buffer, where each lies, and the buffer's bytes.
async fn load_vectors(
    gpu: &Gpu,
    file: &ModelFile,
    layout: &Layout,
    upload: &mut Upload<'_>,
) -> Result<(Buffer, Vec<(u64, u64)>, Vec<u8>)> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut sizes = Vec::new();
    for vector in &layout.vectors {
        let values = vector.values(file).await?;
        sizes.push((bytes.len() as u64, values.len() as u64 * 4));
        bytes.extend_from_slice(bytemuck::cast_slice(&values));
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
    }
    let buffer = gpu
        .storage_or_uniform("vectors", bytes.len() as u64)
        .await?;
    upload.write(&buffer, 0, &bytes).await?;
    Ok((buffer, sizes, bytes))
}
