//! A folder of blocks and copies of states, and the way there.

use std::path::Path;

use super::{folder::Folder, pages::Key};
use crate::{Error, Gpu, Result, gpu::buffer::Buffer};

/// A folder, memory on the way there, and what could not be read.
pub(super) struct Kept {
    pub folder: Folder,
    pub readback: Buffer,
    refused: Vec<Error>,
}

impl Kept {
    /// Opens a folder for contents of up to `largest` bytes.
    pub async fn open(gpu: &Gpu, folder: &Path, bytes_max: u64, largest: u64) -> Result<Kept> {
        Ok(Kept {
            folder: Folder::open(folder, bytes_max)?,
            readback: gpu.readback("cells to keep", largest).await?,
            refused: vec![],
        })
    }

    /// Files that could not be read since this was last asked.
    pub fn refused(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.refused)
    }

    /// Contents of the file of `key`, where they are as they were written.
    pub fn read(&mut self, key: &Key, bytes: u64) -> Option<Vec<u8>> {
        let read = self.folder.read(key, bytes as usize);
        read.map_err(|error| self.refused.push(error)).ok()
    }
}
