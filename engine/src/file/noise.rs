//! Random bytes in the place of weights, the same wherever they are read.

use std::{ops::Range, pin::Pin, sync::Arc};

use lantern_kernels::{Format, noise, random::Random};

use super::{TensorInfo, source::Remote, types::TensorType};
use crate::Result;

/// Random units of a stored type that tensors are made of.
const UNITS: usize = 4096;

/// Random units in the place of weights: each is one of a table's, chosen by its place.
#[derive(Debug)]
pub(crate) struct Noise {
    /// Offsets at which tensors begin, and the index in `tables` of what fills each.
    tensors: Vec<(u64, usize)>,
    tables: Vec<Table>,
}

/// Random units of a stored type, one after the other.
#[derive(Debug)]
struct Table {
    kind: u32,
    unit_bytes: u64,
    bytes: Vec<u8>,
}

impl Table {
    /// Zeros where the type is not run here, which is found before any is read.
    fn new(kind: u32) -> Table {
        let Some(format) = Format::of(kind) else {
            let (unit_bytes, bytes) = (1, vec![0]);
            return Table {
                kind,
                unit_bytes,
                bytes,
            };
        };
        let unit_bytes = format.row_bytes(format.unit());
        let mut random = Random::new(u64::from(kind));
        let mut bytes = vec![0; UNITS * unit_bytes];
        bytes
            .chunks_exact_mut(format.bytes as usize)
            .for_each(|block| (format.random)(&mut random, block));
        let unit_bytes = unit_bytes as u64;
        Table {
            kind,
            unit_bytes,
            bytes,
        }
    }

    fn units(&self) -> u32 {
        (self.bytes.len() as u64 / self.unit_bytes) as u32
    }
}

impl Noise {
    pub fn over(tensors: &[TensorInfo]) -> Noise {
        let mut noise = Noise {
            tensors: vec![],
            tables: vec![],
        };
        for tensor in tensors {
            let kind = tensor.kind.id();
            let known = noise.tables.iter().position(|table| table.kind == kind);
            let table = known.unwrap_or_else(|| {
                noise.tables.push(Table::new(kind));
                noise.tables.len() - 1
            });
            noise.tensors.push((tensor.offset, table));
        }
        noise
    }

    /// The units that tensors of a type are made of, as a file has them.
    pub fn table(&self, kind: TensorType) -> &[u8] {
        let table = self.tables.iter().find(|table| table.kind == kind.id());
        table.map_or(&[], |table| &table.bytes)
    }

    /// The number of the unit of `unit_bytes` at `offset`, by which it is chosen.
    pub fn number(offset: u64, unit_bytes: u64) -> u32 {
        (offset / unit_bytes) as u32
    }
}

impl Remote for Arc<Noise> {
    fn read(&self, range: Range<u64>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + '_>> {
        let at = self
            .tensors
            .partition_point(|(start, _)| *start <= range.start)
            - 1;
        let (start, table) = self.tensors[at];
        let table = &self.tables[table];
        let size = table.unit_bytes;
        let length = (range.end - range.start) as usize;
        let (mut unit, mut skip) = ((range.start - start) / size, (range.start - start) % size);
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let number = Noise::number(start + unit * size, size);
            let choice = noise::random_unit(number) % table.units();
            let chosen = &table.bytes[(u64::from(choice) * size) as usize..][..size as usize];
            let rest = &chosen[skip as usize..];
            bytes.extend_from_slice(&rest[..rest.len().min(length - bytes.len())]);
            (unit, skip) = (unit + 1, 0);
        }
        Box::pin(std::future::ready(Ok(bytes)))
    }
}
