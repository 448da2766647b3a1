//! A dispatch as the CPU sees it: what a reference is called with, and the cases that tests and benchmarks run.

use bytemuck::Pod;

use crate::{Format, GROUP, Part, Variant, padded, parts::Cells, random::Random};

/// The arguments of a reference: the same names that the kernel binds.
pub struct Call {
    /// The parts that fill the kernel's sockets.
    pub parts: Vec<&'static Part>,
    /// Constants of the model and the variant.
    pub consts: Vec<(&'static str, u32)>,
    /// The parameter struct's bytes.
    pub params: Vec<u8>,
    /// Units and tokens, as the case has them.
    pub units: u32,
    /// See `units`.
    pub tokens: u32,
    /// Contents of each storage binding in 4-byte words; weights are in `weights` instead.
    pub buffers: Vec<(&'static str, Vec<u32>)>,
    /// Decoded weights, (rows, padded columns).
    pub weights: Vec<f32>,
}

impl Call {
    /// The parameters.
    pub fn params<P: Pod>(&self) -> P {
        bytemuck::pod_read_unaligned(&self.params)
    }

    /// A constant of the model or the variant.
    pub fn constant(&self, name: &str) -> u32 {
        self.consts
            .iter()
            .find(|(n, _)| *n == name)
            .map_or_else(|| panic!("no constant {name}"), |&(_, v)| v)
    }

    /// The rows of the pass.
    pub fn rows(&mut self) -> Vec<Row> {
        let words = self.words("rows");
        let count = words[0] as usize;
        bytemuck::cast_slice(&words[ROWS_HEADER..])[..count].to_vec()
    }

    /// The words of a binding.
    pub fn words(&mut self, name: &str) -> &mut Vec<u32> {
        let found = self.buffers.iter_mut().find(|(n, _)| *n == name);
        &mut found.unwrap_or_else(|| panic!("no binding {name}")).1
    }

    /// A copy of a binding as f32.
    pub fn floats(&mut self, name: &str) -> Vec<f32> {
        bytemuck::cast_slice(self.words(name)).to_vec()
    }

    /// A binding as f32, to write.
    pub fn floats_mut(&mut self, name: &str) -> &mut [f32] {
        bytemuck::cast_slice_mut(self.words(name))
    }
}

/// Stored weights of a case.
#[derive(Clone)]
pub struct CaseWeights {
    /// How they are stored.
    pub format: &'static Format,
    /// Rows.
    pub rows: u32,
    /// Columns; a multiple of the format's block.
    pub cols: u32,
    /// The blocks, row by row, as a file has them.
    pub bytes: Vec<u8>,
}

impl CaseWeights {
    /// Random blocks with scales that are small, and now and then denormal in f16.
    pub fn random(
        format: &'static Format,
        rows: u32,
        cols: u32,
        random: &mut Random,
    ) -> CaseWeights {
        assert_eq!(
            cols % format.block,
            0,
            "{}: {cols} columns are no whole blocks",
            format.name
        );
        let blocks = (rows * cols / format.block) as usize;
        let mut bytes = vec![0u8; blocks * format.bytes as usize];
        bytes
            .chunks_exact_mut(format.bytes as usize)
            .for_each(|block| (format.random)(random, block));
        CaseWeights {
            format,
            rows,
            cols,
            bytes,
        }
    }

    /// (rows, padded columns) as f32.
    pub fn decoded(&self) -> Vec<f32> {
        self.format.decode_rows(&self.bytes, self.rows, self.cols)
    }
}

/// One shape with its data: inputs of a dispatch, before any variant is chosen.
#[derive(Clone)]
pub struct Case {
    /// Name of the case, which says what is special about it.
    pub name: String,
    /// The parts that fill the kernel's sockets.
    pub parts: Vec<&'static Part>,
    /// Constants of the model.
    pub consts: Vec<(&'static str, u32)>,
    /// The parameter struct's bytes.
    pub params: Vec<u8>,
    /// Units and tokens, for the kernel's grid.
    pub units: u32,
    /// See `units`.
    pub tokens: u32,
    /// Contents of each storage binding but the weights, outputs included.
    pub buffers: Vec<(&'static str, Vec<u32>)>,
    /// Weights, where the kernel has some.
    pub weights: Option<CaseWeights>,
}

/// Cases, one after the other.
pub type Cases = Box<dyn Iterator<Item = Case>>;

impl Case {
    /// The case as a reference is called with it, beside `variant` of the kernel.
    pub fn call(&self, variant: &Variant) -> Call {
        Call {
            parts: self.parts.clone(),
            consts: self.consts.iter().chain(variant.consts).copied().collect(),
            params: self.params.clone(),
            units: self.units,
            tokens: self.tokens,
            buffers: self.buffers.clone(),
            weights: self
                .weights
                .as_ref()
                .map(CaseWeights::decoded)
                .unwrap_or_default(),
        }
    }
}

/// f32 as the words of a binding.
pub fn words(floats: &[f32]) -> Vec<u32> {
    bytemuck::cast_slice(floats).to_vec()
}

/// Random activations, (rows, padded width), zeros in the padding as everywhere.
pub fn activations(random: &mut Random, rows: u32, width: u32) -> Vec<u32> {
    let mut all = random.floats((rows * padded(width)) as usize);
    all.chunks_exact_mut(padded(width) as usize)
        .for_each(|row| row[width as usize..].fill(0.0));
    words(&all)
}

/// Where positions lie in a head's cache: `cell.wgsl` and `cell_paged.wgsl` on the CPU.
pub(crate) struct CellIndex {
    kv_heads: usize,
    cells: usize,
    head_cells: usize,
    place: Cells,
    /// Blocks of the sequences, (sequences, cells), where there are such.
    blocks: Vec<usize>,
}

impl CellIndex {
    /// The cells of a kernel's parameters `kv_heads`, `cells` and `head_cells`.
    pub(crate) fn new(call: &mut Call, kv_heads: u32, cells: u32, head_cells: u32) -> CellIndex {
        let place = Cells::of(&call.parts).expect("a part that says where cells lie");
        let field = usize::from(place == Cells::PagedWindow);
        let rows = call.words("rows");
        let table = &rows[ROWS_HEADER + ROW_WORDS * rows[1] as usize..];
        let entries = table.chunks_exact(ROW_WORDS);
        CellIndex {
            kv_heads: kv_heads as usize,
            cells: cells as usize,
            head_cells: head_cells as usize,
            place,
            blocks: entries.map(|entry| entry[field] as usize).collect(),
        }
    }

    /// The cell of a position of a sequence in the cache of key and value head `head`.
    pub(crate) fn at(&self, head: usize, sequence: u32, position: usize) -> usize {
        let first = sequence as usize * self.cells;
        let own = match self.place {
            Cells::All => first + position,
            Cells::Ring => first + position % self.cells,
            Cells::Paged | Cells::PagedWindow => {
                let block = self.blocks[first + position / self.head_cells];
                block * self.kv_heads * self.head_cells + position % self.head_cells
            }
        };
        head * self.head_cells + own
    }
}

/// Row of a pass, as `rows.wgsl` has it: a token with its position in its sequence.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Row {
    /// The token.
    pub token: u32,
    /// Its position in its sequence, from 0.
    pub position: u32,
    /// Number of the sequence, from 0.
    pub sequence: u32,
    /// Tokens that were sampled for it so far.
    pub sampled: u32,
}

/// Words before the first row: how many rows there are, the row from which on tables of blocks lie behind them, and two
/// that are unused.
pub const ROWS_HEADER: usize = 4;

/// Words of one [`Row`].
pub const ROW_WORDS: usize = 4;

/// Bytes of the binding `rows` of passes of up to `count` rows.
pub const fn rows_bytes(count: u64) -> u64 {
    4 * (ROWS_HEADER as u64 + ROW_WORDS as u64 * count)
}

/// The binding `rows` of a pass with these rows, each a token, its position and its sequence, before anything was sampled.
pub fn rows(rows: &[(u32, u32, u32)]) -> Vec<u32> {
    let mut words = vec![rows.len() as u32, 0, 0, 0];
    words.extend(
        rows.iter()
            .flat_map(|&(token, position, sequence)| [token, position, sequence, 0]),
    );
    words
}

/// Adds tables behind the rows of a pass, from row `first` on: a pair of blocks for each entry, of layers that keep every
/// position and of those that keep a window.
pub fn add_tables(rows: &mut Vec<u32>, first: u32, entries: &[[u32; 2]]) {
    rows.resize(ROWS_HEADER + ROW_WORDS * first as usize, 0);
    rows[1] = first;
    rows.extend(
        entries
            .iter()
            .flat_map(|&[whole, window]| [whole, window, 0, 0]),
    );
}

/// Parameters `cells` and `head_cells` of a case that writes positions up to 15 there, at most 16 cells for each sequence;
/// tables of blocks are added to its rows where it has such.
pub(crate) fn case_cells(place: Cells, sequences: u32, rows: &mut Vec<u32>) -> [u32; 2] {
    match place {
        Cells::All => [16, 16 * sequences],
        Cells::Ring => [7, 7 * sequences],
        Cells::Paged | Cells::PagedWindow => {
            let entries = (0..4 * sequences).map(|entry| [4 * sequences - 1 - entry, entry ^ 1]);
            let first = rows[0] + 1;
            add_tables(rows, first, &entries.collect::<Vec<_>>());
            [4, 4]
        }
    }
}

/// The binding `rows` of a pass of `count` tokens 0 of sequence 0, the first at `position`.
pub fn consecutive(position: u32, count: u32) -> Vec<u32> {
    let all: Vec<_> = (position..position + count)
        .map(|position| (0, position, 0))
        .collect();
    rows(&all)
}

/// The binding `rows` of a pass of `count` rows that belong to sequences 1 and 0 by turns: sequence 0 goes on at `position`,
/// sequence 1 at half of that. Tokens count up from 0.
pub fn interleaved(position: u32, count: u32) -> Vec<u32> {
    let row = |i| match i % 2 {
        0 => (i, position / 2 + i / 2, 1),
        _ => (i, position + i / 2, 0),
    };
    let all: Vec<_> = (0..count).map(row).collect();
    rows(&all)
}

/// Groups of a row.
pub const fn groups(width: u32) -> u32 {
    width.div_ceil(GROUP)
}

/// Declares a parameter struct together with the fields that WGSL must declare in the same order.
#[macro_export]
macro_rules! params {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ident),* $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }

        impl $name {
            /// Names and types, for comparison with the WGSL.
            pub const FIELDS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), stringify!($kind))),*];
        }
    };
}
