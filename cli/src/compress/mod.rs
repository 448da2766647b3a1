//! `lantern compress` and `lantern expand`: a text as what a model did not expect of it (Delétang et al. 2024). Both ask the
//! same model for the next token in the same passes on the same adapter, which answers the same, bit for bit.

mod container;
mod predictor;

use std::path::{Path, PathBuf};

use constriction::stream::{
    Decode, Encode,
    queue::{DefaultRangeDecoder, DefaultRangeEncoder},
};
use indicatif::DecimalBytes;
use lantern_engine::ModelFile;

use crate::{
    failure::{Failure, Result},
    files, interrupt,
    load::{self, LoadArgs, Loaded},
    notes, output,
    progress::Progress,
    tuning,
};
use container::{Container, Mode};
use predictor::Predictor;

/// `compress`'s flags.
#[derive(Debug, clap::Args)]
pub struct CompressArgs {
    /// The file, `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

/// `expand`'s flags.
#[derive(Debug, clap::Args)]
pub struct ExpandArgs {
    /// A file that `lantern compress` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    /// Where to write [default: FILE.lantern, and FILE without that]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The model that predicts: a GGUF file, a folder with safetensors, or user/repo[:file]; without one, SmolLM2-135M-Instruct
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    load: LoadArgs,
}

/// Writes FILE.lantern.
pub fn compress(args: &CompressArgs) -> Result {
    let common = &args.common;
    if args.file == Path::new("-") && common.output.is_none() {
        let problem = "of stdin, say where to write with -o".to_owned();
        return Err(Failure::Usage(problem));
    }
    let target = common.output.clone().unwrap_or_else(|| {
        let mut name = args.file.clone().into_os_string();
        name.push(ENDING);
        name.into()
    });
    files::check_new(&target, common.force)?;
    let bytes = files::read_bounded(&args.file, BYTES_MAX)?;
    let packed = pack(&bytes, common)?.to_bytes();
    files::write_whole(&target, |out| {
        out.write_all(&packed)
            .map_err(|error| Failure::io(&target, error))
    })?;
    let bits = packed.len() as f64 * 8.0 / bytes.len().max(1) as f64;
    output::line(&format!(
        "{}: {} of {}, {bits:.3} bits a byte",
        target.display(),
        DecimalBytes(packed.len() as u64),
        DecimalBytes(bytes.len() as u64)
    ))
}

/// Writes the file that was.
pub fn expand(args: &ExpandArgs) -> Result {
    let common = &args.common;
    let name = args.file.display().to_string();
    let target = match (&common.output, name.strip_suffix(ENDING)) {
        (Some(target), _) => target.clone(),
        (None, Some(without)) => without.into(),
        (None, None) => {
            let problem = format!("{name} does not end in {ENDING}: say where to write with -o");
            return Err(Failure::Usage(problem));
        }
    };
    files::check_new(&target, common.force)?;
    let packed = files::read_bounded(&args.file, BYTES_MAX)?;
    let container = Container::from_bytes(&packed, &name)?;
    let bytes = unpack(&container, &name, common)?;
    if container.checksum != container::checksum(&bytes) {
        return Err(Failure::Message(format!(
            "{name} gives another text than went in, and nothing was written: it was packed on {:?}, and another adapter or driver may compute otherwise",
            container.adapter
        )));
    }
    files::write_whole(&target, |out| {
        out.write_all(&bytes)
            .map_err(|error| Failure::io(&target, error))
    })?;
    output::line(&format!(
        "{}: {}",
        target.display(),
        DecimalBytes(bytes.len() as u64)
    ))
}

const ENDING: &str = ".lantern";
/// Bytes that are read of a file: all of them are in memory.
const BYTES_MAX: u64 = 1 << 30;

/// By the model, where that is text and becomes smaller; else as it is.
fn pack(bytes: &[u8], args: &CommonArgs) -> Result<Container> {
    let stored = Container::stored(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        notes::note("no UTF-8 text, of which a language model knows nothing: stored as it is");
        return Ok(stored);
    };
    if text.is_empty() {
        return Ok(stored);
    }
    let file = args.load.open(args.model.as_deref())?;
    let tokenizer = file.tokenizer()?;
    let tokens = tokenizer.encode(text, false)?;
    let back: Vec<u8> = tokens
        .iter()
        .flat_map(|&token| tokenizer.bytes(token))
        .collect();
    if back != bytes {
        notes::note("the model's tokenizer does not give this text back exactly: stored as it is");
        return Ok(stored);
    }
    let loaded = untuned(&file, args)?;
    let mut predictor = Predictor::new(&loaded.model, tokenizer.bos(), &args.load)?;
    let mut encoder = DefaultRangeEncoder::new();
    let mut progress = Progress::count("compressing", tokens.len() as u64);
    for (number, &token) in tokens.iter().enumerate() {
        if interrupt::asked() {
            return Err(Failure::Interrupted);
        }
        let expected = predictor.expected()?;
        let coded = encoder.encode_symbol(token as usize, &expected);
        coded
            .map_err(|error| Failure::Message(format!("token {token} cannot be coded: {error}")))?;
        predictor.push(token)?;
        progress.set(number as u64 + 1, tokens.len() as u64);
    }
    progress.finish();
    let words = encoder
        .into_compressed()
        .map_err(|error| Failure::Message(format!("{error:?}")))?;
    let packed = Container {
        mode: Mode::Model,
        tokens: tokens.len() as u64,
        model: loaded.model.fingerprint(),
        name: loaded.model.config().name.clone(),
        adapter: loaded.gpu.adapter().name.clone(),
        way: predictor.way(),
        payload: words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        ..stored.clone()
    };
    if packed.to_bytes().len() < stored.to_bytes().len() {
        return Ok(packed);
    }
    notes::note("the model makes it no smaller: stored as it is");
    Ok(stored)
}

/// The model with the kernels that it has by default: what was tuned in between would compute other bits.
fn untuned(file: &ModelFile, args: &CommonArgs) -> Result<Loaded> {
    let load = LoadArgs {
        tuning: tuning::Mode::Off,
        ..args.load.clone()
    };
    load::load(file, &load)
}

fn unpack(container: &Container, name: &str, args: &CommonArgs) -> Result<Vec<u8>> {
    if container.mode == Mode::Stored {
        return Ok(container.payload.clone());
    }
    let file = args.load.open(args.model.as_deref())?;
    let tokenizer = file.tokenizer()?;
    let loaded = untuned(&file, args)?;
    if container.model != loaded.model.fingerprint() {
        let (theirs, ours) = (&container.name, &loaded.model.config().name);
        return Err(Failure::Message(format!(
            "{name} was packed by the model {theirs:?}, and this is {ours:?} or other weights of it: name that with -m"
        )));
    }
    let mut predictor = Predictor::new(&loaded.model, tokenizer.bos(), &args.load)?;
    if container.way != predictor.way() {
        return Err(Failure::Message(format!(
            "{name} was packed with {}, and this is {}: the same flags are needed",
            container.way,
            predictor.way()
        )));
    }
    if container.adapter != loaded.gpu.adapter().name {
        notes::warning(&format!(
            "it was packed on {:?}; where this adapter computes otherwise, the checksum will say so",
            container.adapter
        ));
    }
    let words = container.payload.chunks_exact(4);
    let words: Vec<u32> = words
        .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
        .collect();
    let damaged = || Failure::Message(format!("{name} is damaged, or was computed otherwise"));
    if container.tokens as f64 > predictor.tokens_in(container.payload.len()) {
        return Err(damaged());
    }
    let mut decoder = DefaultRangeDecoder::from_compressed(words).map_err(|_| damaged())?;
    let mut progress = Progress::count("expanding", container.tokens);
    let mut bytes = Vec::new();
    for number in 0..container.tokens {
        if interrupt::asked() {
            return Err(Failure::Interrupted);
        }
        let expected = predictor.expected()?;
        let token = decoder.decode_symbol(&expected).map_err(|_| damaged())? as u32;
        bytes.extend(tokenizer.bytes(token));
        if bytes.len() as u64 > container.bytes {
            return Err(damaged());
        }
        predictor.push(token)?;
        progress.set(number + 1, container.tokens);
    }
    progress.finish();
    Ok(bytes)
}
