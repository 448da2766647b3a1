//! Where a model's bytes come from changes nothing: a mapped file, ranges that are waited for, files of a split model.

use std::{
    cell::RefCell,
    fs,
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
};

use lantern_engine::{
    Error, GpuOptions, LoadOptions, Model, ModelFile, Result,
    file::{Remote, Source, Value},
};
use pollster::block_on;

use crate::support::{
    adapters,
    gguf::{self, ARRAY, BOOL, F64, Gguf, I64, U64, counted, text, value},
    models::{folder, prefill_all, reference},
};

/// Ranges that were asked for.
type Asked = Arc<Mutex<Vec<Range<u64>>>>;

/// A file that says `now` only when asked a second time, as a download would.
struct Slow(Vec<u8>, Asked);

impl Remote for Slow {
    fn read(&self, range: Range<u64>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + '_>> {
        self.1.lock().unwrap().push(range.clone());
        let mut asked = false;
        Box::pin(std::future::poll_fn(move |context| {
            if !std::mem::replace(&mut asked, true) {
                context.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            let bytes = &self.0[range.start as usize..range.end as usize];
            std::task::Poll::Ready(Ok(bytes.to_vec()))
        }))
    }
}

fn slow(bytes: Vec<u8>) -> (Source, Asked) {
    let asked = Asked::default();
    let length = bytes.len() as u64;
    let remote = Box::new(Slow(bytes, asked.clone()));
    (Source::remote("slow".to_owned(), length, remote), asked)
}

fn logits(file: &ModelFile, tokens: &[u32]) -> Vec<f32> {
    let gpu = Arc::new(adapters::gpu(&adapters::main(), GpuOptions::default()));
    let model = block_on(Model::load(
        &gpu,
        file,
        &LoadOptions::default(),
        &mut |_, _| ControlFlow::Continue(()),
    ));
    let mut session = block_on(model.unwrap().session()).unwrap();
    prefill_all(&mut session, tokens)
}

#[test]
fn ranges_that_are_waited_for_give_the_same_model() {
    for name in ["formats/Q4_1", "families/llama3-rope-factors"] {
        let path = folder(name).with_extension("gguf");
        let (source, asked) = slow(fs::read(&path).unwrap());
        let file = block_on(ModelFile::read(vec![source])).unwrap();
        let tokens = reference(&path).tokens;
        let mapped = ModelFile::open(&path).unwrap();
        assert_eq!(logits(&file, &tokens), logits(&mapped, &tokens), "{name}");
        let longest = asked.lock().unwrap().iter().map(|r| r.end - r.start).max();
        assert!(longest.unwrap() <= 2 << 20, "{name}: {longest:?}");
    }
}

#[test]
fn a_long_header_is_read_in_growing_steps_and_no_weight_with_it() {
    let words: Vec<u8> = (0..200_000u32)
        .flat_map(|i| counted(format!("token {i}").as_bytes()))
        .collect();
    let mut model = Gguf::sound().with("words", gguf::array(gguf::TEXT, 200_000, &words));
    model.data += 64 << 20;
    let (source, asked) = slow(model.bytes());
    let file = block_on(ModelFile::read(vec![source])).unwrap();
    assert_eq!(file.tensors().len(), 2);
    let asked = asked.lock().unwrap();
    let read: u64 = asked.iter().map(|range| range.end - range.start).sum();
    assert!(asked.len() > 1 && read < 17 << 20, "{asked:?}");
}

#[test]
fn bad_remote_files_are_refused_by_their_first_bytes() {
    let lie = gguf::array(gguf::TEXT, u64::MAX / 2, b"");
    for (bytes, piece) in [
        (
            [&b"<!doctype html>"[..], &vec![b' '; 9 << 20]].concat(),
            "a web page",
        ),
        (Gguf::sound().header()[..40].to_vec(), "cut short"),
        (Gguf::sound().with("words", lie).bytes(), "are claimed"),
        (vec![], "empty"),
    ] {
        let (source, asked) = slow(bytes);
        let error = block_on(ModelFile::read(vec![source])).unwrap_err();
        assert!(error.to_string().contains(piece), "{piece}: {error}");
        assert_eq!(error.code(), "bad-file");
        assert!(asked.lock().unwrap().len() <= 1, "{piece}");
    }
}

/// `path`'s model in `count` files, as gguf-split cuts it: metadata in the first, tensors in all.
fn split(path: &Path, count: usize) -> Vec<Vec<u8>> {
    let file = ModelFile::open(path).unwrap();
    let each = file.tensors().len().div_ceil(count);
    let u64_value = |n: usize| value(U64, &(n as u64).to_le_bytes());
    let part = |(number, tensors): (usize, &[_])| {
        let mut part = Gguf::sound();
        part.metadata.clear();
        if number == 0 {
            let all = file.metadata().0.iter();
            part.metadata
                .extend(all.map(|(key, value)| (key.clone().into_bytes(), encoded(value))));
        }
        part = part
            .with("split.no", u64_value(number))
            .with("split.count", u64_value(count))
            .with("split.tensors.count", u64_value(file.tensors().len()));
        part.tensors.clear();
        let data = RefCell::new(Vec::new());
        part.tensors.extend(
            tensors
                .iter()
                .map(|tensor: &lantern_engine::file::TensorInfo| {
                    let mut data = data.borrow_mut();
                    let start = data.len().next_multiple_of(32);
                    data.resize(start, 0);
                    data.extend_from_slice(&block_on(file.data(tensor, 0..tensor.bytes)).unwrap());
                    gguf::tensor(&tensor.name, &tensor.shape, tensor.kind.id(), start as u64)
                }),
        );
        let mut bytes = part.header();
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        [bytes, data.into_inner()].concat()
    };
    file.tensors().chunks(each).enumerate().map(part).collect()
}

fn encoded(metadata: &Value) -> Vec<u8> {
    let joined = |kind, items: Vec<Vec<u8>>| {
        let count = (items.len() as u64).to_le_bytes();
        value(
            ARRAY,
            &[&u32::to_le_bytes(kind)[..], &count, &items.concat()].concat(),
        )
    };
    match metadata {
        Value::Unsigned(v) => value(U64, &v.to_le_bytes()),
        Value::Signed(v) => value(I64, &v.to_le_bytes()),
        Value::Float(v) => value(F64, &v.to_le_bytes()),
        Value::Bool(v) => value(BOOL, &[u8::from(*v)]),
        Value::Text(v) => text(v.as_bytes()),
        Value::Integers(v) => joined(I64, v.iter().map(|v| v.to_le_bytes().to_vec()).collect()),
        Value::Floats(v) => joined(F64, v.iter().map(|v| v.to_le_bytes().to_vec()).collect()),
        Value::Texts(v) => joined(
            gguf::TEXT,
            v.iter().map(|v| counted(v.as_bytes())).collect(),
        ),
        Value::Unusable { what, .. } => panic!("{what}"),
    }
}

/// The parts in a folder of the test's own, and the first one's path.
fn written(name: &str, parts: &[Vec<u8>]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lantern-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (number, bytes) in parts.iter().enumerate() {
        let name = format!("m-{:05}-of-{:05}.gguf", number + 1, parts.len());
        fs::write(folder.join(name), bytes).unwrap();
    }
    folder.join(format!("m-00001-of-{:05}.gguf", parts.len()))
}

#[test]
fn a_split_model_is_the_model() {
    let path = folder("formats").join("Q4_0.gguf");
    let parts = split(&path, 3);
    assert_eq!(parts.len(), 3);
    let first = written("split", &parts);
    let tokens = reference(&path).tokens;
    let wanted = logits(&ModelFile::open(&path).unwrap(), &tokens);
    let file = ModelFile::open(&first).unwrap();
    assert_eq!(logits(&file, &tokens), wanted);
    let remote = parts.into_iter().map(|part| slow(part).0).collect();
    let file = block_on(ModelFile::read(remote)).unwrap();
    assert_eq!(logits(&file, &tokens), wanted);
    fs::remove_dir_all(first.parent().unwrap()).unwrap();
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let parts = split(&folder("formats").join("Q4_0.gguf"), 2);
    let other = split(&folder("families").join("llama-yarn.gguf"), 2);
    let whole = fs::read(folder("formats").join("Q4_0.gguf")).unwrap();
    let read = |parts: &[&Vec<u8>]| {
        let sources = parts.iter().map(|part| slow((*part).clone()).0).collect();
        let error: Error = block_on(ModelFile::read(sources)).unwrap_err();
        assert_eq!(error.code(), "bad-file");
        error.to_string()
    };
    let (a, b) = (&parts[0], &parts[1]);
    assert!(read(&[a]).contains("split into 2 files, and 1"));
    assert!(read(&[b, a]).contains("says that it is part 2"));
    assert!(read(&[a, &whole]).contains("says nothing"));
    let mixed = read(&[a, &other[1]]);
    assert!(
        mixed.contains("different models") || mixed.contains("twice"),
        "{mixed}"
    );
}

#[test]
fn a_missing_part_is_named() {
    let parts = split(&folder("formats").join("Q4_0.gguf"), 2);
    let first = written("missing", &parts);
    fs::remove_file(first.with_file_name("m-00002-of-00002.gguf")).unwrap();
    let error = ModelFile::open(&first).unwrap_err();
    assert!(
        error.to_string().contains("m-00002-of-00002.gguf"),
        "{error}"
    );
    fs::remove_dir_all(first.parent().unwrap()).unwrap();
}
