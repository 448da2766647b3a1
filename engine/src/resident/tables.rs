//! Tables that stay in the file: embeddings of tokens, and those that layers have of their own. Rows are read as a pass's
//! tokens ask for them, and packed as all of the table would be, so that the same kernel decodes them.

use super::load::Loaded;
use crate::{
    ModelFile, Result,
    gpu::{buffer::Buffer, upload::Upload},
    model::weights::Matrix,
};

impl Matrix {
    /// Stored rows of a table, those that tokens have, and rows of zeros after them, so that all can be packed.
    pub(crate) async fn rows_of_tokens(&self, file: &ModelFile, tokens: &[u32]) -> Result<Vec<u8>> {
        let size = self.format.row_bytes(self.cols);
        let whole = Matrix::rows_read(tokens.len());
        let mut bytes = Vec::with_capacity(whole * size);
        for &token in tokens {
            let start = u64::from(token) * size as u64;
            let range = start..start + size as u64;
            bytes.extend_from_slice(&file.data(&self.tensors[0], range).await?);
        }
        bytes.resize(whole * size, 0);
        Ok(bytes)
    }
}

impl Loaded {
    /// Bytes of tables that stay in the file.
    pub fn tables_in_file(&self) -> u64 {
        let tables = self.layout.aside.iter();
        tables.map(|&id| self.layout.matrices[id].bytes()).sum()
    }

    /// Rows of a pass, of each table that stays in the file.
    pub fn looked_up(&self) -> &[Matrix] {
        &self.layout.matrices[self.layout.stored..]
    }

    /// Reads the rows that tokens have of each table that stays in the file, and writes them to its buffer, one after the
    /// other. Whether there are any.
    pub async fn look_up(&self, tokens: &[u32], buffers: &[Buffer]) -> Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        for (rows, buffer) in self.looked_up().iter().zip(buffers) {
            let bytes = rows.rows_of_tokens(file, tokens).await?;
            let count = Matrix::rows_read(tokens.len()) as u32;
            let place = (rows.pieces[0], 0, count);
            rows.write(&bytes, place, buffer, &mut Upload::ahead(&self.gpu))
                .await?;
        }
        Ok(true)
    }
}
