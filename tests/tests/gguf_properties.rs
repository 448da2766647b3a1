//! Properties of the header's reader over inputs that nobody thought of: it never panics, what it
//! lets through is sound, and it reads back what the writer wrote. The fuzz target `tests/fuzz`
//! looks for the same with coverage to guide it.

use crate::fuzz::check_header;
use crate::support::gguf::{
    ARRAY, BOOL, F32, F64, Gguf, I16, I32, I64, TEXT, U8, U32, U64, array, counted, inner_array,
    tensor, text, value,
};
use lantern_engine::file::{Header, TensorType, Value};
use proptest::{collection::vec, prelude::*, sample::Index};

/// A change of some bytes: put there, put between, taken out, doubled.
#[derive(Debug, Clone)]
struct Change {
    at: Index,
    how: u8,
    bytes: Vec<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = prop_oneof![
        vec(any::<u8>(), 1..12),
        any::<u64>().prop_map(|v| v.to_le_bytes().to_vec()),
        (0u64..64).prop_map(|shift| (1u64 << shift).to_le_bytes().to_vec()),
        (0u32..45).prop_map(|v| v.to_le_bytes().to_vec()),
        Just(u64::MAX.to_le_bytes().to_vec()),
    ];
    (any::<Index>(), 0u8..4, bytes).prop_map(|(at, how, bytes)| Change { at, how, bytes })
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    let at = change.at.index(file.len());
    let end = (at + change.bytes.len()).min(file.len());
    match change.how {
        0 => file[at..end].copy_from_slice(&change.bytes[..end - at]),
        1 => drop(file.splice(at..at, change.bytes.iter().copied())),
        2 => drop(file.drain(at..end)),
        _ => drop(file.splice(at..at, file[at..end].to_vec())),
    }
}

/// A value as written, and as it must be read.
fn values() -> impl Strategy<Value = (Vec<u8>, Value)> {
    let words = || vec("\\PC{0,12}", 0..5);
    prop_oneof![
        any::<u8>().prop_map(|v| (value(U8, &[v]), Value::Unsigned(v.into()))),
        any::<i16>().prop_map(|v| (value(I16, &v.to_le_bytes()), Value::Signed(v.into()))),
        any::<u32>().prop_map(|v| (value(U32, &v.to_le_bytes()), Value::Unsigned(v.into()))),
        any::<u64>().prop_map(|v| (value(U64, &v.to_le_bytes()), Value::Unsigned(v))),
        any::<i64>().prop_map(|v| (value(I64, &v.to_le_bytes()), Value::Signed(v))),
        any::<f32>().prop_map(|v| (value(F32, &v.to_le_bytes()), Value::Float(v.into()))),
        any::<f64>().prop_map(|v| (value(F64, &v.to_le_bytes()), Value::Float(v))),
        any::<bool>().prop_map(|v| (value(BOOL, &[v.into()]), Value::Bool(v))),
        "\\PC{0,40}".prop_map(|v| (text(v.as_bytes()), Value::Text(v))),
        words().prop_map(|v| {
            let bytes: Vec<u8> = v.iter().flat_map(|word| counted(word.as_bytes())).collect();
            (array(TEXT, v.len() as u64, &bytes), Value::Texts(v))
        }),
        vec(any::<i32>(), 0..9).prop_map(|v| {
            let bytes: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
            (
                array(I32, v.len() as u64, &bytes),
                Value::Integers(v.into_iter().map(i64::from).collect()),
            )
        }),
        vec(any::<f64>(), 0..9).prop_map(|v| {
            let bytes: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
            (array(F64, v.len() as u64, &bytes), Value::Floats(v))
        }),
        words().prop_map(|v| {
            let bytes: Vec<u8> = v
                .iter()
                .flat_map(|word| inner_array(U8, word.len() as u64, word.as_bytes()))
                .collect();
            let raw = array(ARRAY, v.len() as u64, &bytes);
            let what = String::from("an array of arrays");
            (raw.clone(), Value::Unusable { what, raw })
        }),
    ]
}

/// A type and a shape of whole blocks.
fn tensors() -> impl Strategy<Value = Vec<(TensorType, Vec<u64>)>> {
    let kinds: Vec<TensorType> = TensorType::all().collect();
    vec((proptest::sample::select(kinds), vec(1u64..5, 1..5)), 0..12).prop_map(|tensors| {
        let whole = |(kind, mut shape): (TensorType, Vec<u64>)| {
            shape[0] *= kind.block_weights();
            (kind, shape)
        };
        tensors.into_iter().map(whole).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_bytes_are_an_error_or_sound(bytes in vec(any::<u8>(), 0..400), marked in any::<bool>()) {
        let start: &[u8] = if marked { b"GGUF\x03\0\0\0" } else { b"" };
        let bytes = [start, &bytes].concat();
        if let Ok(header) = Header::parse(&bytes, bytes.len() as u64) {
            check_header(&header, bytes.len() as u64);
        }
    }

    #[test]
    fn a_changed_file_is_an_error_or_sound(changes in vec(change(), 1..6), small in any::<bool>()) {
        let real = include_bytes!("../reference/families/llama.gguf");
        let mut head = if small { Gguf::sound().header() } else { real[..2304].to_vec() };
        for change in &changes {
            apply(&mut head, change);
        }
        if let Ok(header) = Header::parse(&head, real.len() as u64) {
            check_header(&header, real.len() as u64);
        }
    }

    #[test]
    fn what_is_written_is_read(
        version in 2u32..4,
        alignment in (3u32..13).prop_map(|shift| 1u32 << shift),
        metadata in vec(values(), 0..8),
        shapes in tensors(),
    ) {
        let mut file = Gguf { version, alignment: alignment as usize, metadata: Vec::new(), tensors: Vec::new(), data: 0, ..Gguf::sound() };
        file = file.with("general.alignment", value(U32, &alignment.to_le_bytes()));
        for (index, (written, _)) in metadata.iter().enumerate() {
            file = file.with(&format!("key.{index}"), written.clone());
        }
        for (index, (kind, shape)) in shapes.iter().enumerate() {
            let offset = file.data.next_multiple_of(file.alignment);
            file.tensors.push(tensor(&format!("tensor.{index}"), shape, kind.id(), offset as u64));
            let blocks = shape.iter().product::<u64>() / kind.block_weights();
            file.data = offset + (blocks * kind.block_bytes()) as usize;
        }
        let bytes = file.bytes();
        let header = Header::parse(&bytes, bytes.len() as u64).unwrap();
        check_header(&header, bytes.len() as u64);
        prop_assert_eq!((header.version, header.alignment), (version, u64::from(alignment)));
        prop_assert_eq!(header.metadata.0.len(), metadata.len() + 1);
        for (index, (_, expected)) in metadata.iter().enumerate() {
            let read = header.metadata.get(&format!("key.{index}")).unwrap();
            // NaN is not itself, so by what they print.
            prop_assert_eq!(format!("{read:?}"), format!("{expected:?}"));
        }
        prop_assert_eq!(header.tensors.len(), shapes.len());
        for (read, (kind, shape)) in header.tensors.iter().zip(&shapes) {
            prop_assert_eq!((read.kind, &read.shape), (*kind, shape));
        }
    }
}
