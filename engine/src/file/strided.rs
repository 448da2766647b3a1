//! Tensors whose numbers lie in another order than they are wanted in: transposed, every other row of a matrix, or a part of its
//! rows. They are gathered as they are read, so that nothing is held twice.

use std::ops::Range;

use super::Source;
use crate::Result;

/// Rows and columns that are gathered at a time, so that what is read next to each other is used before it is gone.
const TILE: u64 = 64;

/// Place of a tensor's numbers in a file; steps are counted in numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strided {
    /// The file.
    pub part: usize,
    /// The first number's first byte in it.
    pub offset: u64,
    /// Bytes of a number.
    pub size: u64,
    /// Numbers of a row.
    pub cols: u64,
    /// Rows of a matrix.
    pub rows: u64,
    /// From a column to the next.
    pub col_step: u64,
    /// From a row to the next.
    pub row_step: u64,
    /// From a matrix to the next.
    pub matrix_step: u64,
}

impl Strided {
    /// A range of the tensor's bytes, which lies in it.
    pub async fn read(&self, sources: &[Source], range: Range<u64>) -> Result<Vec<u8>> {
        let row_bytes = self.cols * self.size;
        let (first, end) = (range.start / row_bytes, range.end.div_ceil(row_bytes));
        let mut bytes = Vec::with_capacity(((end - first) * row_bytes) as usize);
        let mut row = first;
        while row < end {
            let matrix = row / self.rows;
            let last = end.min((matrix + 1) * self.rows);
            let within = row - matrix * self.rows..last - matrix * self.rows;
            self.gather(sources, matrix, within, &mut bytes).await?;
            row = last;
        }
        bytes.truncate((range.end - first * row_bytes) as usize);
        bytes.drain(..(range.start - first * row_bytes) as usize);
        Ok(bytes)
    }

    /// Adds rows of a matrix.
    async fn gather(
        &self,
        sources: &[Source],
        matrix: u64,
        rows: Range<u64>,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let count = rows.end - rows.start;
        let start = matrix * self.matrix_step + rows.start * self.row_step;
        let last = (count - 1) * self.row_step + (self.cols - 1) * self.col_step;
        let stored = sources[self.part]
            .read(self.offset + start * self.size, (last + 1) * self.size)
            .await?;
        if self.col_step == 1 {
            for row in 0..count {
                let start = (row * self.row_step * self.size) as usize;
                bytes.extend_from_slice(&stored[start..][..(self.cols * self.size) as usize]);
            }
            return Ok(());
        }
        let begin = bytes.len();
        bytes.resize(begin + (count * self.cols * self.size) as usize, 0);
        let out = &mut bytes[begin..];
        match self.size {
            2 => self.tiles::<2>(&stored, count, out),
            _ => self.tiles::<4>(&stored, count, out),
        }
        Ok(())
    }

    /// Gathers numbers of `SIZE` bytes tile by tile.
    fn tiles<const SIZE: usize>(&self, stored: &[u8], rows: u64, out: &mut [u8]) {
        let tiles = |count: u64| (0..count).step_by(TILE as usize);
        for (first_row, first_col) in
            tiles(rows).flat_map(|row| tiles(self.cols).map(move |col| (row, col)))
        {
            for row in first_row..rows.min(first_row + TILE) {
                for col in first_col..self.cols.min(first_col + TILE) {
                    let from = (row * self.row_step + col * self.col_step) as usize * SIZE;
                    let to = (row * self.cols + col) as usize * SIZE;
                    out[to..to + SIZE].copy_from_slice(&stored[from..from + SIZE]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two matrices of 70 rows and 3 columns, stored transposed and with another's rows between.
    #[test]
    fn ranges_are_those_of_the_whole() {
        let number = |matrix: u64, row: u64, col: u64| (matrix * 1000 + row * 10 + col) as u16;
        let mut stored = Vec::new();
        for (matrix, col) in (0..2).flat_map(|matrix| (0..3).map(move |col| (matrix, col))) {
            for row in 0..70 {
                stored.extend([0xffff, number(matrix, row, col)].map(u16::to_le_bytes));
            }
        }
        let sources = [Source::from_bytes(stored.concat())];
        let strided = Strided {
            part: 0,
            offset: 2,
            size: 2,
            cols: 3,
            rows: 70,
            col_step: 140,
            row_step: 2,
            matrix_step: 420,
        };
        let all = (0..2).flat_map(|matrix| (0..70).map(move |row| (matrix, row)));
        let all = all.flat_map(|(matrix, row)| [0, 1, 2].map(|col| number(matrix, row, col)));
        let all: Vec<u8> = all.flat_map(u16::to_le_bytes).collect();
        for (start, end) in [(0, 840), (0, 1), (5, 7), (417, 423), (839, 840), (66, 700)] {
            let found = pollster::block_on(strided.read(&sources, start..end)).unwrap();
            assert_eq!(found, all[start as usize..end as usize], "{start}..{end}");
        }
    }
}
