//! A model larger than its share of the GPU's memory: tables stay in the file, where that is too little layers, too. They
//! come whenever a pass needs them, two on their way or computed with at any time. What is computed is the same.

use std::{
    ops::ControlFlow,
    sync::{Mutex, MutexGuard},
};

use web_time::Instant;

use lantern_kernels::call::rows_bytes;

use super::{
    random::{RandomLoader, can_fill},
    weights::{Each, Stored},
};
use crate::{
    Error, Gpu, Limit, ModelFile, Result,
    gpu::{
        buffer::{Buffer, Fence},
        upload::{STRIP_BYTES, Upload},
    },
    graph::{MatrixId, snapshot_bytes},
    model::{
        layout::Layout,
        weights::{ALIGNMENT, Matrix, Piece},
    },
    plan::{
        dispatch::{Binding, Plan},
        lowering::ALL_LOGITS_ROWS,
        plans::{Builder, Plans},
    },
};

/// Bytes of a dispatch's parameters.
const PARAMS: u64 = ALIGNMENT;

/// Bytes that are written to find how fast writing is.
const TRIAL_BYTES: u64 = 64 << 20;

/// Pieces of matrices that come together: a layer's, or one of the output's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit(Vec<(MatrixId, usize)>);

/// Weights that stay in the file, decided before anything is loaded: tables, of which passes read rows, and maybe layers.
pub(super) struct Division {
    /// Matrices of the model, of which what streams may lie in more pieces.
    pub matrices: Vec<Matrix>,
    /// The units that stream.
    pub units: Vec<Unit>,
}

/// The units that stream, and the buffers that they come through.
pub(crate) struct Stream {
    file: ModelFile,
    units: Vec<Unit>,
    /// Buffers of units with even numbers, and with odd ones: one for each of their pieces.
    turns: [Vec<Buffer>; 2],
    state: Mutex<State>,
    about: Streaming,
}

/// How a model streams.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Streaming {
    /// Bytes of weights that each pass brings from the file.
    pub bytes_per_pass: u64,
    /// Layers of which all, or some, weights come from the file.
    pub layers: usize,
    /// Bytes a second that reading the file, or writing to the GPU if that is slower, reached when the model was loaded:
    /// no pass is faster than these bring its bytes.
    pub bytes_per_second: f64,
}

#[derive(Default)]
struct State {
    running: bool,
    /// The unit that lies in each half.
    held: [Option<usize>; 2],
    /// Fence after the last work that read each.
    computed: [Option<Fence>; 2],
}

/// Bytes that a piece takes in a buffer.
fn piece_bytes(matrices: &[Matrix], (matrix, piece): (MatrixId, usize)) -> u64 {
    let matrix = &matrices[matrix];
    matrix.planes(matrix.pieces[piece]).1
}

impl Unit {
    fn file_bytes(&self, matrices: &[Matrix]) -> u64 {
        let bytes = |&(matrix, piece): &(MatrixId, usize)| {
            let matrix = &matrices[matrix];
            let Piece { rows, .. } = matrix.pieces[piece];
            u64::from(rows) * matrix.format.row_bytes(matrix.cols) as u64
        };
        self.0.iter().map(bytes).sum()
    }
}

/// Sizes of the buffers that the units of each half take turns in.
fn turn_bytes(matrices: &[Matrix], units: &[Unit]) -> [Vec<u64>; 2] {
    let mut sizes = [vec![], vec![]];
    for (number, Unit(pieces)) in units.iter().enumerate() {
        let half = &mut sizes[number % 2];
        half.resize(half.len().max(pieces.len()), 0);
        for (size, &at) in half.iter_mut().zip(pieces) {
            *size = (*size).max(piece_bytes(matrices, at));
        }
    }
    sizes
}

/// Decides what stays in the file so that a session and all its model keeps take no more than `budget` bytes, of which
/// `taken` are taken already: nothing where all fits, then tables, then, where they may stream, layers, too.
pub(super) fn divide(
    builder: &Builder<'_>,
    plans: &Plans,
    (budget, taken): (u64, u64),
    may_stream: bool,
) -> Result<Option<Division>> {
    let layout = builder.layout;
    let all: u64 = layout.matrices.iter().map(Matrix::stored_bytes).sum();
    let session = session_bytes(builder, plans);
    if taken + session + all <= budget {
        return Ok(None);
    }
    let mut matrices = layout.matrices.clone();
    let tables: Vec<MatrixId> = layout.tables_alone().collect();
    let aside: u64 = tables.iter().map(|&id| matrices[id].stored_bytes()).sum();
    let rows = layout.table_rows(builder.prefill_batch);
    let rows: u64 = rows.map(|rows| rows.stored_bytes()).sum();
    if taken + session + rows + all - aside <= budget {
        let units = vec![];
        return Ok(Some(Division { matrices, units }));
    }
    let units = units(builder, plans, &mut matrices);
    let streams = |id| units.iter().any(|unit| unit.0.iter().any(|at| at.0 == id));
    let stays = (0..matrices.len()).filter(|id| !tables.contains(id) && !streams(*id));
    let always = rows + stays.map(|id| matrices[id].stored_bytes()).sum::<u64>();
    let turns: u64 = turn_bytes(&matrices, &units).iter().flatten().sum();
    let session = session + params_of_parts(layout, plans, &matrices);
    let least = taken + session + always + turns;
    let left = budget.checked_sub(least).filter(|_| may_stream);
    let Some(mut left) = left else {
        let message = format!(
            "{} MB of GPU memory are too few for {}: a session of {} tokens takes {} MB, two layers on their way {} MB: give {} MB, or try a smaller context or a smaller type of cache",
            in_mb(budget),
            builder.config.name,
            builder.context,
            in_mb(taken + session + always),
            in_mb(turns),
            in_mb(least)
        );
        return Err(Error::DoesNotFit {
            limit: Limit::Memory,
            needed: least,
            available: Some(budget),
            message,
        });
    };
    let stays = |unit: &Unit| {
        let bytes = unit.0.iter().map(|&at| piece_bytes(&matrices, at)).sum();
        let fits = left >= bytes;
        left = if fits { left - bytes } else { 0 };
        fits
    };
    let stay = units.iter().map(stays).take_while(|&fits| fits).count();
    let units = units[stay..].to_vec();
    Ok(Some(Division { matrices, units }))
}

/// All that may stream, in the order of a pass: layers, and the output in parts, none larger than the largest matrix of a
/// layer, in whose place it lies.
fn units(builder: &Builder<'_>, plans: &Plans, matrices: &mut [Matrix]) -> Vec<Unit> {
    let (body, output) = (plans.narrowest(), builder.layout.output());
    let layers: Vec<Unit> = (0..builder.config.layers)
        .map(|layer| layer_unit(body, matrices, layer))
        .collect();
    let pieces = layers.iter().flat_map(|unit| &unit.0);
    let largest = pieces.map(|&at| piece_bytes(matrices, at)).max();
    let parts = output.map(|output| {
        matrices[output].split(largest.unwrap_or(0));
        let parts = 0..matrices[output].pieces.len();
        parts.map(move |piece| Unit(vec![(output, piece)]))
    });
    layers
        .into_iter()
        .chain(parts.into_iter().flatten())
        .collect()
}

/// Pieces that layer `layer` reads, the largest first.
fn layer_unit(body: &Plan, matrices: &[Matrix], layer: u32) -> Unit {
    let dispatches = body.dispatches.iter().filter(|d| d.layer == Some(layer));
    let mut pieces = Vec::new();
    for (_, bind) in dispatches.flat_map(|d| &d.binds) {
        if let Binding::Weights(matrix, piece) = *bind
            && !pieces.contains(&(matrix, piece))
        {
            pieces.push((matrix, piece));
        }
    }
    pieces.sort_by_key(|&at| std::cmp::Reverse(piece_bytes(matrices, at)));
    Unit(pieces)
}

/// Bytes of a session: its states and copies of them, logits of several kinds, activations, and the parameters of plans.
fn session_bytes(builder: &Builder<'_>, plans: &Plans) -> u64 {
    const LOGITS: u64 = 5; // as they are, after penalties, times seen, biases, read back
    const ALL: u64 = 2 * ALL_LOGITS_ROWS as u64; // rows of those of many rows, and of their way back
    let logits_bytes = u64::from(builder.config.vocab_size.next_multiple_of(32)) * 4;
    let states = plans.states.iter().map(|state| state.bytes(1));
    states.sum::<u64>()
        + snapshot_bytes(&plans.states, logits_bytes)
        + logits_bytes * (LOGITS + ALL)
        + logits_bytes / 32 // tokens that a grammar allows
        + plans.buffers().iter().sum::<u64>()
        + plans.dispatches().count() as u64 * PARAMS
        + rows_bytes(u64::from(builder.prefill_batch))
        + 2 * PARAMS // how tokens are sampled, and those sampled last
}

/// Bytes of parameters of the dispatches that there are more where the output comes in more parts.
fn params_of_parts(layout: &Layout, plans: &Plans, matrices: &[Matrix]) -> u64 {
    let Some(output) = layout.output() else {
        return 0;
    };
    let binds = |bind: &(_, Binding)| matches!(bind.1, Binding::Weights(id, 0) if id == output);
    let uses = plans.dispatches().filter(|d| d.binds.iter().any(binds));
    let more = matrices[output].pieces.len() - layout.matrices[output].pieces.len();
    (uses.count() * more) as u64 * PARAMS
}

fn in_mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

impl Stream {
    /// Makes the buffers that units take turns in, and measures how fast they are filled. `read` is how many bytes of the
    /// file were read in how many seconds.
    pub async fn of(
        gpu: &Gpu,
        file: &ModelFile,
        matrices: &[Matrix],
        units: Vec<Unit>,
        read: (u64, f64),
    ) -> Result<Option<Stream>> {
        if units.is_empty() {
            return Ok(None);
        }
        let mut turns = [vec![], vec![]];
        for (half, sizes) in turns.iter_mut().zip(turn_bytes(matrices, &units)) {
            for size in sizes {
                half.push(gpu.storage("weights that come by", size).await?);
            }
        }
        let writing = writing_speed(gpu, &turns[0]).await?;
        let reading = read.0 as f64 / read.1.max(1e-9);
        let outputs = units.iter().filter(|unit| unit.0.len() == 1).count();
        let resting = if units.len() > turns.len() {
            0
        } else {
            units.len()
        };
        let about = Streaming {
            bytes_per_pass: units[resting..]
                .iter()
                .map(|unit| unit.file_bytes(matrices))
                .sum(),
            layers: units.len() - outputs,
            bytes_per_second: reading.min(writing),
        };
        Ok(Some(Stream {
            file: file.clone(),
            units,
            turns,
            state: Mutex::default(),
            about,
        }))
    }

    /// How it streams.
    pub fn about(&self) -> Streaming {
        self.about
    }

    /// The buffer of a piece that streams.
    pub fn buffer(&self, half: usize, place: usize) -> &Buffer {
        &self.turns[half][place]
    }

    /// The unit that a piece is in.
    pub fn unit_of(&self, at: (MatrixId, usize)) -> Option<usize> {
        self.units.iter().position(|unit| unit.0.contains(&at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// Has the buffers to itself from now on.
    ///
    /// # Errors
    /// [`Error::BadInput`] where another session computes.
    pub fn start_pass(&self) -> Result<Running<'_>> {
        if std::mem::replace(&mut self.state().running, true) {
            return Err(Error::BadInput(
                "layers of this model stream, for one session at a time, and another is computing"
                    .into(),
            ));
        }
        Ok(Running(self))
    }
}

/// A pass that has the buffers to itself.
pub(crate) struct Running<'s>(&'s Stream);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running = false;
    }
}

impl Running<'_> {
    /// Uploads a unit to the GPU where it is not there: on its way while the one before is computed with, once the one
    /// before that is done.
    pub async fn upload_unit(&self, gpu: &Gpu, matrices: &[Matrix], unit: usize) -> Result<()> {
        let (stream, half) = (self.0, unit % 2);
        if stream.state().held[half] == Some(unit) {
            return Ok(());
        }
        let computed = {
            let mut state = stream.state();
            state.held[half] = None;
            state.computed[half].take()
        };
        if let Some(computed) = computed {
            gpu.wait_for(computed).await?;
        }
        let mut upload = Upload::ahead(gpu);
        for (buffer, &(id, piece)) in stream.turns[half].iter().zip(&stream.units[unit].0) {
            let matrix = &matrices[id];
            let piece = matrix.pieces[piece];
            matrix
                .bring(&stream.file, piece, buffer, &mut upload, &mut |_, _| {
                    ControlFlow::Continue(())
                })
                .await?;
        }
        stream.file.release();
        stream.state().held[half] = Some(unit);
        Ok(())
    }

    /// Says after which submission a unit's memory is free.
    pub fn set_computed(&self, unit: usize, last: Fence) {
        self.0.state().computed[unit % 2] = Some(last);
    }
}

/// Bytes a second that go to buffers.
async fn writing_speed(gpu: &Gpu, buffers: &[Buffer]) -> Result<f64> {
    let zeros = vec![0u8; STRIP_BYTES];
    let mut upload = Upload::new(gpu);
    upload.finish().await?;
    let start = Instant::now();
    let mut written = 0;
    'all: for buffer in buffers {
        for at in (0..buffer.size).step_by(STRIP_BYTES) {
            let count = (buffer.size - at).min(STRIP_BYTES as u64);
            upload.write(buffer, at, &zeros[..count as usize]).await?;
            written += count;
            if written > TRIAL_BYTES {
                break 'all;
            }
        }
    }
    upload.finish().await?;
    Ok(written as f64 / start.elapsed().as_secs_f64().max(1e-9))
}

/// Weights on their way from the file when the model is loaded.
pub(super) struct Loading<'a> {
    pub gpu: &'a Gpu,
    pub file: &'a ModelFile,
    pub layout: &'a Layout,
    /// The units that stream.
    pub units: &'a [Unit],
    pub upload: Upload<'a>,
    /// Where the weights are random.
    pub random: Option<RandomLoader<'a>>,
    /// Bytes of what streams that were read, and in how many seconds.
    pub read: (u64, f64),
}

impl Loading<'_> {
    /// Makes and fills all that stays, and reads what streams once: for the model's hash, and to find out whether it can
    /// be read, and how fast that is. `each` sees every byte of the file's matrices.
    pub async fn matrices(&mut self, each: &mut Each<'_>) -> Result<Vec<Vec<Stored>>> {
        let mut all = Vec::new();
        for (id, matrix) in self.layout.matrices.iter().enumerate() {
            let mut pieces = Vec::new();
            for index in 0..matrix.pieces.len() {
                pieces.extend(self.piece(id, index, each).await?);
            }
            all.push(pieces);
        }
        Ok(all)
    }

    async fn piece(
        &mut self,
        id: MatrixId,
        index: usize,
        each: &mut Each<'_>,
    ) -> Result<Option<Stored>> {
        let (gpu, file, matrix) = (self.gpu, self.file, &self.layout.matrices[id]);
        let piece = matrix.pieces[index];
        if id >= self.layout.stored {
            return Ok(None); // each session has rows of its own
        }
        let place = |unit: &Unit| unit.0.iter().position(|&at| at == (id, index));
        let mut units = self.units.iter().enumerate();
        let turn = units.find_map(|(number, unit)| Some(Stored::Turns(number % 2, place(unit)?)));
        if turn.is_none() && !self.layout.aside.contains(&id) {
            if let Some(random) = self.random.as_mut().filter(|_| can_fill(matrix)) {
                return Ok(Some(random.load(matrix, piece, each).await?));
            }
            let stored = matrix.load(gpu, file, piece, &mut self.upload, each);
            return Ok(Some(stored.await?));
        }
        let start = Instant::now();
        let mut count = |strip: &[u8], stored: u64| {
            self.read.0 += stored;
            each(strip, stored)
        };
        matrix.read(file, piece, &mut count).await?;
        file.release();
        self.read.1 += start.elapsed().as_secs_f64();
        Ok(turn)
    }
}
