//! A model's weights by their place in it: matrices, vectors, and the blocks that name them.

use super::{
    block::Layer,
    config::Config,
    draft::Draft,
    families::Embedding,
    layer_embedding::LayerEmbeddings,
    pooling::Pooler,
    rope_table::RopeTable,
    tensors::{Finder, Head, NormWeights},
    vector::Vector,
    weights::{Matrix, PieceLimits},
};
use crate::{
    Error, ModelFile, Result,
    graph::{MatrixId, VectorId},
};

/// A model's weights by their place in it.
#[derive(Debug)]
pub struct Layout {
    /// All matrices.
    pub matrices: Vec<Matrix>,
    /// All vectors.
    pub vectors: Vec<Vector>,
    /// Token embedding.
    pub embedding: MatrixId,
    /// Norm of the embeddings.
    pub embedding_norm: Option<NormWeights>,
    /// The embedding of the first type of tokens, which all are of.
    pub token_type: Option<VectorId>,
    /// Embeddings that each layer has of its own.
    pub layer_embeddings: Option<LayerEmbeddings>,
    /// Embedding of the positions.
    pub positions: Option<MatrixId>,
    /// The blocks.
    pub layers: Vec<Layer>,
    /// Norm after the last block; encoders may have none.
    pub last_norm: Option<NormWeights>,
    /// From the residual stream to logits; encoders have none.
    pub head: Option<Head>,
    /// Weights for rows of whole texts.
    pub pooler: Pooler,
    /// The block that drafts further tokens, where it was asked for.
    pub draft: Option<Draft>,
    /// Tables of RoPE's angles that the blocks name by number.
    pub rope_tables: Vec<RopeTable>,
    /// Matrices that the file has; where tables stay in the file, a pass's rows of each follow them.
    pub stored: usize,
    /// Tables that nothing computes with, because their rows are looked up in the file.
    pub aside: Vec<MatrixId>,
}

impl ModelFile {
    /// Refuses a model that loading would: its settings, and then the first tensor that is missing, of another shape or
    /// type, or that nothing would read. Reads the header alone.
    ///
    /// # Errors
    /// As [`ModelFile::config`]; [`Error::BadFile`] and [`Error::Unsupported`] for tensors.
    pub fn check_tensors(&self) -> Result<()> {
        Layout::of(PieceLimits::NONE, self, &Config::of(self)?).map(drop)
    }
}

impl Layout {
    /// Finds every tensor of the model in the file.
    ///
    /// # Errors
    /// [`Error::BadFile`] for missing tensors and wrong shapes, [`Error::Unsupported`] for tensors that would be ignored.
    pub fn of(limits: PieceLimits, file: &ModelFile, config: &Config) -> Result<Layout> {
        Layout::find(limits, file, config).map_err(|error| error.in_file(file.label()))
    }

    fn find(limits: PieceLimits, file: &ModelFile, config: &Config) -> Result<Layout> {
        let mut finder = Finder::new(limits, file, config)?;
        let shape = [config.dim, config.vocab_size];
        let embedding = finder.tensor("token_embd.weight", &shape)?;
        let embedding = finder.matrix(vec![embedding], false)?;
        let positions = match config.learned_positions {
            None => None,
            Some(rows) => {
                let tensor = finder.tensor("position_embd.weight", &[config.dim, rows])?;
                Some(finder.matrix(vec![tensor], false)?)
            }
        };
        let token_type = finder.token_type()?;
        let embedding_norm = embedding_norm(&mut finder)?;
        let layer_embeddings = config
            .layer_embedding_dim
            .map(|dim| LayerEmbeddings::find(&mut finder, dim))
            .transpose()?;
        let layers = (0..config.layers)
            .map(|index| Layer::find(&mut finder, index))
            .collect::<Result<Vec<_>>>()?;
        let (last_norm, head) = find_head(&mut finder, embedding)?;
        let normed = layers.last().is_some_and(|layer| layer.sums.ffn.is_some());
        if last_norm.is_none() && !normed {
            let name = config.row.output_norm_name;
            return Err(Error::bad_file(format!("tensor {name}.weight is missing")));
        }
        let pooler = Pooler::find(&mut finder)?;
        let draft = match (head, last_norm) {
            (Some(head), Some(last_norm)) if config.has_draft() => {
                Some(Draft::find(&mut finder, embedding, (last_norm, head))?)
            }
            _ => None,
        };
        let found = config.layers + u32::from(draft.is_some());
        (found..config.layers + config.draft_layers).for_each(|layer| finder.leave_out(layer));
        let rope_tables = RopeTable::find(&mut finder)?;
        finder.check_all_used()?;
        let Finder {
            matrices, vectors, ..
        } = finder;
        Ok(Layout {
            stored: matrices.len(),
            aside: vec![],
            matrices,
            vectors,
            embedding,
            embedding_norm,
            token_type,
            layer_embeddings,
            positions,
            layers,
            last_norm,
            head,
            pooler,
            draft,
            rope_tables,
        })
    }

    /// The matrix of the logits; the embedding itself where the file has no other.
    pub fn output(&self) -> Option<MatrixId> {
        self.head.map(|head| head.matrix)
    }

    /// Bytes of its matrices in the file.
    pub fn weight_bytes(&self) -> u64 {
        let stored = &self.matrices[..self.stored];
        stored.iter().map(Matrix::bytes).sum()
    }

    /// Tables that tokens look their rows up in.
    pub(crate) fn tables(&self) -> impl Iterator<Item = MatrixId> + use<> {
        let all = self.layer_embeddings.as_ref();
        std::iter::once(self.embedding).chain(all.map(LayerEmbeddings::table))
    }

    /// Tables that nothing else computes with: an embedding may be the output, too.
    pub(crate) fn tables_alone(&self) -> impl Iterator<Item = MatrixId> + use<> {
        let output = self.output();
        self.tables().filter(move |&table| Some(table) != output)
    }

    /// Rows of each table that a pass of `rows` rows looks up, by themselves.
    pub(crate) fn table_rows(&self, rows: u32) -> impl Iterator<Item = Matrix> {
        self.tables()
            .map(move |table| self.matrices[table].some_rows(rows))
    }

    /// Leaves the tables in the file, of which a pass of `rows` rows reads its own, and has other matrices as they are in
    /// `matrices`.
    pub(crate) fn leave_tables(&mut self, matrices: Vec<Matrix>, rows: u32) {
        let mut looked_up: Vec<Matrix> = self.table_rows(rows).collect();
        self.aside = self.tables_alone().collect();
        self.matrices = matrices;
        self.embedding = self.matrices.len();
        if let Some(all) = &mut self.layer_embeddings {
            all.set_table(self.embedding + 1);
        }
        self.matrices.append(&mut looked_up);
    }

    /// Whether rows of tables are read from the file for each pass.
    pub(crate) fn looks_up(&self) -> bool {
        self.stored < self.matrices.len()
    }
}

/// The norm after the last block, and what makes logits: none in encoders, whose rows see those behind them.
fn find_head(
    finder: &mut Finder<'_>,
    embedding: MatrixId,
) -> Result<(Option<NormWeights>, Option<Head>)> {
    let config = finder.config;
    let name = if finder.has("output_norm.weight") {
        "output_norm"
    } else {
        config.row.output_norm_name
    };
    let last = finder.norm(name, 1.0)?;
    if !config.causal {
        return Ok((last, None));
    }
    // Logits are linear in what the last norm makes.
    let scaled = match config.scales.logits {
        1.0 => last,
        factor => finder.norm(name, factor)?,
    };
    let norm = scaled.ok_or_else(|| Error::bad_file(format!("tensor {name}.weight is missing")))?;
    let matrix = if finder.has("output.weight") {
        let shape = [config.dim, config.vocab_size];
        let tensor = finder.tensor("output.weight", &shape)?;
        finder.matrix(vec![tensor], false)?
    } else {
        embedding
    };
    Ok((last, Some(Head { norm, matrix })))
}

/// The norm of the embeddings: one without a weight where the family has it, or the file's.
fn embedding_norm(finder: &mut Finder<'_>) -> Result<Option<NormWeights>> {
    let config = finder.config;
    if config.row.embedding == Embedding::Normed {
        let weight = finder.ones(config.dim);
        return Ok(Some(NormWeights {
            kind: config.row.norm.kind(),
            weight,
            bias: None,
        }));
    }
    let factor = 1.0 / config.scales.residual;
    let name = finder.embedding_norm();
    name.map_or(Ok(None), |name| finder.norm(name, factor))
}
