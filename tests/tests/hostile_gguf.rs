//! Files that are not what they say: each is an error whose message names the place, within a
//! second and without large allocations. What only a model can find wrong (missing tensors, shapes
//! against the metadata, vocabularies) is not here.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::support::gguf::{
    ARRAY, BOOL, F32, Gguf, I32, I64, TEXT, U8, U32, U64, array, counted, inner_array, tensor,
    text, value,
};
use lantern_engine::{
    Error, ModelFile, Result,
    file::{Header, Source},
};

/// Name of a case, change to a sound file, and words that the message must have.
type Mutation = (&'static str, fn(&mut Gguf), &'static str);

/// Far below the smallest machine, far above the 3 times its length that a header of this size may
/// take.
const ALLOCATION_MAX: u64 = 16 << 20;

#[rustfmt::skip]
const MUTATIONS: &[Mutation] = &[
    // version
    ("version 0", |f| f.version = 0, "version 0 does not exist"),
    ("version 1", |f| f.version = 1, "version 1 is not read"),
    ("version 4", |f| f.version = 4, "version 4 is not read"),
    ("big-endian", |f| f.version = 3u32.swap_bytes(), "big-endian GGUF (version 3)"),
    ("version of all ones", |f| f.version = u32::MAX, "version 4294967295 is not read"),
    // counts
    ("tensors near 2^64", |f| f.tensors_claimed = Some(u64::MAX), "18446744073709551615 tensors are claimed"),
    ("tensors, 2^63", |f| f.tensors_claimed = Some(1 << 63), "9223372036854775808 tensors are claimed"),
    ("a tensor too many", |f| f.tensors_claimed = Some(3), "tensor 2"),
    ("entries near 2^64", |f| f.entries_claimed = Some(u64::MAX), "18446744073709551615 metadata entries are claimed"),
    ("an entry too many", |f| f.entries_claimed = Some(3), "the name of tensor 0 takes 1125899906842624 bytes"),
    ("keys by the hundred thousand", |f| for i in 0..100_000 { add(f, &format!("k{i}"), value(U8, &[0])); }, "100002 metadata entries are claimed, but at most 65536"),
    ("tensors by the hundred thousand", |f| f.tensors = (0..100_000).map(|i| tensor(&format!("t{i}"), &[1], 0, i * 32)).collect(), "100000 tensors are claimed, but at most 65536"),
    // keys
    ("key without bytes", |f| add(f, "", value(U8, &[0])), "the key of metadata entry 2 has 0 bytes"),
    ("key of 65536 bytes", |f| add(f, &"k".repeat(65536), value(U8, &[0])), "the key of metadata entry 2 has 65536 bytes, not 1 to 65535"),
    ("key with a zero", |f| add(f, "llama\0x", value(U8, &[0])), r#"the key of metadata entry 2, "llama\x00x", has bytes that are not printable ASCII"#),
    ("key with an escape", |f| add(f, "\x1b[2J", value(U8, &[0])), r#""\x1b[2J", has bytes that are not printable"#),
    ("key not UTF-8", |f| f.metadata[1].0 = vec![0xff, 0xfe], r#""\xff\xfe", has bytes that are not printable"#),
    ("key twice", |f| add(f, "llama.block_count", value(U32, &[9, 0, 0, 0])), "metadata llama.block_count is there twice"),
    // values
    ("type of value unknown", |f| add(f, "k", value(13, &[0; 8])), "metadata k has values of type 13"),
    ("type of value all ones", |f| add(f, "k", value(u32::MAX, &[0; 8])), "metadata k has values of type 4294967295"),
    ("boolean of 2", |f| add(f, "k", value(BOOL, &[2])), "metadata k is a boolean of 2"),
    ("text length near 2^64", |f| add(f, "k", value(TEXT, &u64::MAX.to_le_bytes())), "metadata k takes 18446744073709551615 bytes"),
    ("text length past the end", |f| add(f, "k", value(TEXT, &1_000_000u64.to_le_bytes())), "metadata k takes 1000000 bytes"),
    // arrays
    ("array of unknown type", |f| add(f, "k", array(99, 1, &[0; 8])), "metadata k has values of type 99"),
    ("array of bytes near 2^64", |f| add(f, "k", array(U8, u64::MAX, &[])), "18446744073709551615 values of metadata k are claimed"),
    ("array of u64 whose bytes wrap", |f| add(f, "k", array(U64, 1 << 61, &[0; 8])), "2305843009213693952 values of metadata k are claimed"),
    ("array of texts near 2^64", |f| add(f, "k", array(TEXT, u64::MAX, &[])), "18446744073709551615 values of metadata k are claimed"),
    ("array of a billion texts", |f| add(f, "k", array(TEXT, 1 << 30, &[0; 800])), "1073741824 values of metadata k are claimed"),
    ("array whose text is too long", |f| add(f, "k", array(TEXT, 2, &[counted(b"a"), vec![0xff; 8]].concat())), "text 1 of metadata k takes 18446744073709551615 bytes"),
    ("array of booleans of 7", |f| add(f, "k", array(BOOL, 2, &[1, 7])), "metadata k is a boolean of 7"),
    ("array of five million", |f| add(f, "k", array(U8, 5 << 20, &vec![0; 5 << 20])), "5242880 values of metadata k are claimed, but at most 4194304 are read"),
    ("arrays of five million together", |f| for (key, count) in [("j", 1 << 20), ("k", 4 << 20)] { add(f, key, array(U8, count, &vec![0; count as usize])); }, "4194304 values of metadata k are claimed, but at most 3145728 are read"),
    ("arrays nested a thousand deep", |f| add(f, "k", nested(1000)), "metadata k nests arrays more than 8 deep"),
    ("nested array near 2^64", |f| add(f, "k", array(ARRAY, 1, &inner_array(I32, u64::MAX, &[]))), "18446744073709551615 values of metadata k are claimed"),
    ("nested array of unknown type", |f| add(f, "k", array(ARRAY, 1, &inner_array(77, 0, &[]))), "metadata k has values of type 77"),
    // alignment
    ("alignment 0", |f| add(f, "general.alignment", value(U32, &0u32.to_le_bytes())), "general.alignment is 0, not a power of two from 8"),
    ("alignment 1", |f| add(f, "general.alignment", value(U32, &1u32.to_le_bytes())), "general.alignment is 1, not"),
    ("alignment 48", |f| add(f, "general.alignment", value(U32, &48u32.to_le_bytes())), "general.alignment is 48, not"),
    ("alignment 2^31", |f| add(f, "general.alignment", value(U32, &(1u32 << 31).to_le_bytes())), "general.alignment is 2147483648, not"),
    ("alignment 2^63", |f| add(f, "general.alignment", value(U64, &(1u64 << 63).to_le_bytes())), "general.alignment is 9223372036854775808, not"),
    ("alignment below 0", |f| add(f, "general.alignment", value(I64, &(-32i64).to_le_bytes())), "general.alignment is -32, where"),
    ("alignment NaN", |f| add(f, "general.alignment", value(F32, &f32::NAN.to_le_bytes())), "general.alignment is NaN, where"),
    ("alignment a text", |f| add(f, "general.alignment", text(b"32")), "general.alignment is \"32\", where"),
    // tensors
    ("tensor without a name", |f| f.tensors[0].name.clear(), "the name of tensor 0 has 0 bytes"),
    ("tensor name of 65 bytes", |f| f.tensors[0].name = vec![b'n'; 65], "the name of tensor 0 has 65 bytes, not 1 to 64"),
    ("tensor name with a newline", |f| f.tensors[1].name = b"b\n".to_vec(), r#"the name of tensor 1, "b\n", has bytes"#),
    ("tensor twice", |f| f.tensors[1].name = b"a".to_vec(), "tensor a is there twice"),
    ("no dimensions", |f| f.tensors[1].shape.clear(), "tensor b has 0 dimensions, not 1 to 4"),
    ("five dimensions", |f| f.tensors[1].shape = vec![32, 1, 1, 1, 1], "tensor b has 5 dimensions"),
    ("nine dimensions", |f| f.tensors[1].shape = vec![32; 9], "tensor b has 9 dimensions"),
    ("dimensions near 2^32", |f| f.tensors[1].dimensions_claimed = Some(u32::MAX), "tensor b has 4294967295 dimensions"),
    ("a dimension of 0", |f| f.tensors[0].shape = vec![8, 0], "tensor a has the shape [8, 0]: no weights"),
    ("a row of 0", |f| f.tensors[1].shape = vec![0, 2], "tensor b has the shape [0, 2]: no weights"),
    ("weights past 2^64", |f| f.tensors[0].shape = vec![1 << 32, 1 << 32], "tensor a has the shape [4294967296, 4294967296]: more bytes"),
    ("weights past 2^64, in four", |f| f.tensors[0].shape = vec![u64::MAX; 4], "more bytes than 64 bits"),
    ("bytes past 2^64", |f| f.tensors[0].shape = vec![1 << 31, 1 << 31], "tensor a has the shape [2147483648, 2147483648]: more bytes"),
    ("a row that is no block", |f| f.tensors[1].shape = vec![40, 2], "tensor b has rows of 40 weights, not a multiple of the 32 that a block of Q4_0 holds"),
    ("a row that is no block, though the whole is", |f| f.tensors[1].shape = vec![16, 4], "tensor b has rows of 16 weights"),
    ("type unknown", |f| f.tensors[1].kind = 1000, "tensor b is stored as type 1000, which is not known here"),
    ("type of all ones", |f| f.tensors[1].kind = u32::MAX, "tensor b is stored as type 4294967295"),
    ("type given up", |f| f.tensors[1].kind = 31, "tensor b is stored as Q4_0_4_4 (type 31), which GGUF has given up"),
    // places
    ("offset off the alignment", |f| f.tensors[1].offset = 132, "tensor b is at offset 132, not a multiple of the alignment 32"),
    ("offset near 2^64", |f| f.tensors[1].offset = u64::MAX - 31, "tensor b has 72 bytes at offset 18446744073709551584: past what 64 bits"),
    ("end near 2^64", |f| f.tensors[1].offset = u64::MAX - 511, "tensor b"),
    ("offset past the end", |f| f.tensors[1].offset = 1 << 40, "tensor b ends at byte 1099511628"),
    ("end a byte past the end", |f| f.data -= 1, "tensor b ends at byte 392, but the file has 391; it is cut short"),
    ("no data at all", |f| f.data = 0, "tensor a ends at byte"),
    ("the same place twice", |f| f.tensors[1].offset = 0, "overlap"),
    ("overlap by a block", |f| f.tensors[1].offset = 96, "tensors a and b overlap: one ends at byte 320, the other starts at 288"),
    ("overlap, other way round", |f| (f.tensors[0].offset, f.tensors[1].offset) = (64, 0), "tensors b and a overlap"),
];

fn add(file: &mut Gguf, key: &str, value: Vec<u8>) {
    file.metadata.push((key.as_bytes().to_vec(), value));
}

/// An array in an array in an array.
fn nested(depth: usize) -> Vec<u8> {
    let inner = (0..depth).fold(inner_array(U8, 0, &[]), |inner, _| {
        inner_array(ARRAY, 1, &inner)
    });
    value(ARRAY, &inner)
}

fn open(bytes: Vec<u8>) -> Result<ModelFile> {
    ModelFile::from_source(Source::from_bytes(bytes))
}

/// The message of the error that `bytes` are; fails where they are none, or a slow or a large one.
fn refusal(case: &str, bytes: Vec<u8>) -> String {
    let source = Source::from_bytes(bytes);
    let started = Instant::now();
    let mut outcome = None;
    let allocated = allocation_counter::measure(|| outcome = Some(ModelFile::from_source(source)));
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{case}: took {:?}",
        started.elapsed()
    );
    assert!(
        allocated.bytes_max < ALLOCATION_MAX,
        "{case}: {} bytes allocated",
        allocated.bytes_max
    );
    match outcome {
        Some(Err(error @ (Error::BadFile { .. } | Error::Unsupported { .. }))) => error.to_string(),
        other => panic!("{case}: expected a refusal, got {other:?}"),
    }
}

fn expect(case: &str, message: &str, piece: &str) {
    assert!(
        message.contains(piece),
        "{case}: expected “{piece}” in “{message}”"
    );
    assert_eq!(
        message.lines().count(),
        1,
        "{case}: more than a line: {message}"
    );
    assert!(message.len() < 300, "{case}: too long: {message}");
    assert!(
        !message.contains(char::is_control),
        "{case}: a control character in {message:?}"
    );
}

#[test]
fn the_sound_file_is_read() {
    let file = open(Gguf::sound().bytes()).unwrap();
    let [a, b] = file.tensors() else {
        panic!("{:?}", file.tensors())
    };
    assert_eq!((a.bytes, b.bytes, b.offset - a.offset), (128, 72, 128));
    assert_eq!(
        pollster::block_on(file.data(b, 0..b.bytes)).unwrap().len(),
        72
    );
    assert_eq!(file.tensor("b"), Some(b));
    assert_eq!(file.metadata().u32("llama.block_count").unwrap(), Some(2));
}

#[test]
fn every_mutation_is_named() {
    for (case, mutate, piece) in MUTATIONS {
        let mut file = Gguf::sound();
        mutate(&mut file);
        expect(case, &refusal(case, file.bytes()), piece);
    }
}

/// Wherever a count, a length or an offset may be, it is tried as a lie: an error or a sound file,
/// soon, and with little memory.
#[test]
fn a_lie_at_any_byte_is_survived() {
    let sound = Gguf::sound()
        .with(
            "k",
            array(TEXT, 2, &[counted(b"a"), counted(b"bc")].concat()),
        )
        .bytes();
    for at in 0..sound.len() - 8 {
        for lie in [0, 1 << 20, 1 << 40, 1 << 63, u64::MAX / 24 + 1, u64::MAX] {
            let mut bytes = sound.clone();
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(lie));
            let allocated = allocation_counter::measure(|| drop(open(bytes)));
            assert!(
                allocated.bytes_max < 1 << 20,
                "{lie} at {at}: {} bytes allocated",
                allocated.bytes_max
            );
        }
    }
    let mut bytes = sound;
    bytes[24..32].fill(0xff);
    let message = refusal("length of a key", bytes);
    expect(
        "length of a key",
        &message,
        "the key of metadata entry 0 takes 18446744073709551615 bytes at 32",
    );
}

#[test]
fn files_of_another_kind_are_recognised() {
    let safetensors = [&64u64.to_le_bytes()[..], b"{\"__metadata__\":{}}"].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"", "the file is empty"),
        (
            b"GG",
            "the mark takes 4 bytes at 0, but the file ends at 2; it is cut short",
        ),
        (b"gguf\x03\0\0\0", "starts with 67 67 75 66"),
        (
            b"x",
            "no GGUF file: it starts with 78, which looks like nothing known here",
        ),
        (&safetensors, "safetensors; convert"),
        (
            b"PK\x03\x04\x14\0\0\0",
            "a zip archive or a PyTorch checkpoint",
        ),
        (b"\x80\x02}q\0.", "PyTorch pickle"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "git lfs pull",
        ),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"<HTML><head>", "a web page"),
        (b"tjgg\x03\0\0\0", "an old GGJT file"),
        (b"lmgg\0\0\0\0", "an old GGML file"),
        (b"{\"error\":\"Entry not found\"}", "JSON"),
        (&[0; 4096], "unfinished download"),
        (&[0x1f, 0x8b, 8, 0], "gzip"),
    ];
    for (bytes, piece) in cases {
        let case = bytes[..bytes.len().min(12)].escape_ascii().to_string();
        expect(&case, &refusal(&case, bytes.to_vec()), piece);
    }
}

#[test]
fn a_real_file_cut_at_any_byte_is_refused() {
    let path = reference().join("families/llama.gguf");
    let whole = std::fs::read(&path).unwrap();
    let header = Header::parse(&whole, whole.len() as u64).unwrap();
    let data_offset = header.data_offset as usize;
    let last = header
        .tensors
        .iter()
        .map(|tensor| tensor.offset + tensor.bytes)
        .max()
        .unwrap();
    // Every byte of the header, then some of the data, and the last bytes that count.
    let cuts = (1..data_offset + 64)
        .chain((data_offset..last as usize).step_by(4999))
        .chain([last as usize - 1]);
    for cut in cuts {
        let message = refusal(&format!("cut at {cut}"), whole[..cut].to_vec());
        expect(&format!("cut at {cut}"), &message, "cut short");
    }
}

#[test]
fn what_is_no_file_is_refused_with_its_path() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hostile-gguf");
    std::fs::create_dir_all(&folder).unwrap();
    let empty = folder.join("empty.gguf");
    std::fs::write(&empty, b"").unwrap();
    let cut = folder.join("cut.gguf");
    std::fs::write(&cut, &Gguf::sound().bytes()[..100]).unwrap();
    let missing = folder.join("missing.gguf");
    let cases: [(&Path, &str, &str); 4] = [
        (
            &folder,
            "bad-file",
            "is a folder; name the .gguf file inside it",
        ),
        (&empty, "bad-file", "is empty; download it again"),
        (&cut, "bad-file", "the file ends at 100; it is cut short"),
        (&missing, "io", "No such file"),
    ];
    for (path, code, piece) in cases {
        let error = ModelFile::open(path).unwrap_err();
        assert_eq!(error.code(), code);
        expect(code, &error.to_string(), piece);
        expect(code, &error.to_string(), &path.display().to_string());
    }
}

#[cfg(unix)]
#[test]
fn a_device_is_refused_and_not_waited_for() {
    for device in ["/dev/null", "/dev/zero"] {
        let error = ModelFile::open(Path::new(device)).unwrap_err().to_string();
        expect(device, &error, "is a device or a pipe");
    }
}

/// Sound in form, but not to be held: an error for who asks for the value, and for nobody else.
#[test]
fn values_that_cannot_be_held_spoil_only_themselves() {
    let tokens = [counted(b"the"), counted(&[0xe2, 0x28, 0xa1])].concat();
    let inner = inner_array(I32, 1, &7i32.to_le_bytes());
    let file = Gguf::sound()
        .with("general.author", text(&[0xff]))
        .with("tokenizer.ggml.tokens", array(TEXT, 2, &tokens))
        .with(
            "x.nested",
            array(ARRAY, 2, &[inner.clone(), inner].concat()),
        )
        .with("x.large", array(U64, 2, &[0xff; 16]))
        .with("x.nan", value(F32, &f32::NAN.to_le_bytes()))
        .with("x.negative", value(I32, &(-1i32).to_le_bytes()))
        .with("x.last", value(U32, &5u32.to_le_bytes()));
    let file = open(file.bytes()).unwrap();
    let metadata = file.metadata();
    let cases = [
        (
            metadata.text("general.author").map(drop),
            "metadata general.author is not UTF-8, where a text is needed",
        ),
        (
            metadata.texts("tokenizer.ggml.tokens").map(drop),
            "tokenizer.ggml.tokens is an array whose text 1 is not UTF-8",
        ),
        (
            metadata.integers("x.nested").map(drop),
            "metadata x.nested is an array of arrays, where an array of integers is needed",
        ),
        (
            metadata.integers("x.large").map(drop),
            "an array with numbers above 9223372036854775807",
        ),
        (
            metadata.f32("x.nan").map(drop),
            "metadata x.nan is NaN, where a finite number is needed",
        ),
        (
            metadata.u32("x.negative").map(drop),
            "metadata x.negative is -1, where a whole number below 2^32 is needed",
        ),
        (
            metadata.bool("x.last").map(drop),
            "metadata x.last is 5, where a boolean is needed",
        ),
    ];
    for (outcome, piece) in cases {
        expect(piece, &outcome.unwrap_err().to_string(), piece);
    }
    assert_eq!(metadata.u32("x.last").unwrap(), Some(5));
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference")
}
