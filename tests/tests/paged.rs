//! Sequences that share a cache in blocks: beginnings that are known are not computed again, and what each says is what it
//! would say alone, whatever the others do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lantern_engine::{Batch, BatchOptions, Error, LoadOptions, Model, Precision, SamplerOptions};
use lantern_kernels::random::Random;
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, generate, load, prefill, reference},
};

/// A family of each mixer, and one with windows; whether its states can go back to any token.
const FAMILIES: [(&str, &str, bool); 10] = [
    ("families", "llama", true),
    ("families", "gemma3", true),
    ("families", "mixtral", true),
    ("families-2026", "deepseek2-v3", true),
    ("families-2026", "qwen35", false),
    ("families-2026", "falcon-h1", false),
    ("families-2026", "mamba2", false),
    ("families-2026", "rwkv7", false),
    ("families-2026", "kimi-linear", false),
    ("families-2026", "lfm2", false),
];

fn file(kind: &str, name: &str) -> PathBuf {
    folder(kind).join(format!("{name}.gguf"))
}

/// A context in which windows are shorter than it.
fn options() -> LoadOptions {
    LoadOptions::default()
        .precision(Precision::Exact)
        .context(96)
        .prefill_batch(8)
}

fn paged(model: &Model, sequences: u32, positions: usize) -> Batch {
    let options = BatchOptions::default()
        .sequences(sequences)
        .block(4)
        .positions(positions);
    block_on(model.batch_with(&options)).unwrap()
}

/// Tokens that a session of its own samples after a prompt.
fn alone(model: &Model, prompt: &[u32], count: usize, sampler: &SamplerOptions) -> Vec<u32> {
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, prompt);
    generate(&mut session, count, sampler)
}

/// A prompt computed to its end; how many of its tokens were known.
fn ask(batch: &mut Batch, sequence: u32, prompt: &[u32], sampler: &SamplerOptions) -> usize {
    let known = batch.start(sequence, prompt, sampler, false).unwrap();
    assert_eq!(batch.pending(sequence), prompt.len() - known);
    while block_on(batch.prefill(sequence, 5)).unwrap().is_none() {}
    known
}

fn step(batch: &mut Batch, sequences: &[u32]) {
    block_on(batch.begin(sequences)).unwrap();
    let sampled = block_on(batch.finish()).unwrap();
    assert!(sampled.iter().all(|(_, token)| token.is_some()));
}

fn check(model: &Model, batch: &Batch, sequence: u32, prompt: &[u32], sampler: &SamplerOptions) {
    let own = &batch.tokens(sequence)[prompt.len()..];
    let wanted = alone(model, prompt, own.len(), sampler);
    assert_eq!(own, wanted, "sequence {sequence}, {} tokens", prompt.len());
}

#[test]
fn gpu_known_beginnings_are_taken_over_and_forks_differ() {
    let gpu = adapters::open(&adapters::main());
    let (greedy, daring) = (
        SamplerOptions::greedy(),
        SamplerOptions::default().temperature(1.2).seed(3),
    );
    for (kind, name, goes_back) in FAMILIES {
        println!("{name}");
        let path = file(kind, name);
        let model = load(&gpu, &path, &options());
        let tokens = reference(&path).tokens;
        let other = [&tokens[..14], &[3, 5, 4, 6]].concat();
        let longer = [&tokens[..], &[7, 8, 9]].concat();
        let mut batch = paged(&model, 3, 3 * 96);
        assert_eq!(ask(&mut batch, 0, &tokens, &greedy), 0);
        // While the first still goes on: its beginning, and the copy at the end of its prompt.
        let known = ask(&mut batch, 1, &other, &daring);
        assert_eq!(known, if goes_back { 14 } else { 0 }, "{name}");
        assert_eq!(ask(&mut batch, 2, &longer, &greedy), tokens.len(), "{name}");
        for _ in 0..5 {
            step(&mut batch, &[0, 1, 2]);
        }
        check(&model, &batch, 0, &tokens, &greedy);
        check(&model, &batch, 1, &other, &daring);
        check(&model, &batch, 2, &longer, &greedy);
        // The same prompt once more: all of it but the last token, or the last block.
        let known = ask(&mut batch, 1, &tokens, &greedy);
        assert_eq!(known, if goes_back { 23 } else { 20 }, "{name}");
        // A conversation goes on where its answer ended, whichever sequence said it.
        let held = batch.tokens(0).to_vec();
        batch.release(0);
        let more = [&held[..], &[7, 8]].concat();
        assert_eq!(ask(&mut batch, 2, &more, &greedy), held.len() - 1, "{name}");
        // Two that go on from one, and go different ways.
        let before = batch.tokens(2).to_vec();
        batch.fork((2, 0), &daring, false).unwrap();
        assert_eq!(batch.pending(0), 1);
        for _ in 0..6 {
            step(&mut batch, &[0, 1, 2]);
        }
        check(&model, &batch, 2, &more, &greedy);
        check(&model, &batch, 0, &before, &daring);
        check(&model, &batch, 1, &tokens, &greedy);
    }
}

/// Users that come, go on and leave as chance has it, with prompts that begin alike and too little room for all: whoever finds
/// none makes another wait.
fn crowd(model: &Model, name: &str, tokens: &[u32], seed: u64) -> usize {
    const USERS: u32 = 3;
    let mut random = Random::new(seed);
    let mut number = |below: usize| random.below(below as u32) as usize;
    let mut batch = paged(model, USERS, 96);
    let mut prompts: Vec<Option<Vec<u32>>> = vec![None; USERS as usize];
    let greedy = SamplerOptions::greedy();
    let (mut waits, mut done) = (0, 0);
    let mut since = vec![0; USERS as usize];
    for turn in 0..300 {
        let user = number(USERS as usize);
        let sequence = user as u32;
        let Some(prompt) = prompts[user].clone() else {
            let shared = number(tokens.len() + 1);
            let own = (0..20 + number(40)).map(|at| (at * 7 + number(3)) as u32 % 40 + 3);
            let prompt = [&tokens[..shared], &own.collect::<Vec<_>>()].concat();
            batch.start(sequence, &prompt, &greedy, false).unwrap();
            prompts[user] = Some(prompt);
            since[user] = turn;
            continue;
        };
        let reads = batch.pending(sequence) > 1 || batch.tokens(sequence).len() == prompt.len();
        let computed = if reads {
            block_on(batch.prefill(sequence, 1 + number(9))).map(|_| ())
        } else {
            block_on(batch.begin(&[sequence])).map(|()| {
                block_on(batch.finish()).unwrap();
            })
        };
        match computed {
            Ok(()) => {}
            Err(Error::CacheFull { .. }) => {
                waits += 1;
                let holds = |&user: &u32| {
                    user == sequence || batch.pending(user) < batch.tokens(user).len()
                };
                let holding = (0..USERS).filter(holds);
                let youngest = holding.max_by_key(|&user| since[user as usize]);
                batch.pause(youngest.unwrap());
            }
            Err(error) => panic!("{name}, turn {turn}: {error}"),
        }
        if batch.tokens(sequence).len() >= prompt.len() + 6 {
            check(model, &batch, sequence, &prompt, &greedy);
            batch.release(sequence);
            prompts[user] = None;
            done += 1;
        }
    }
    assert!(done >= 3, "{name}: {done} users were done");
    for sequence in 0..USERS {
        batch.release(sequence);
    }
    assert_eq!(batch.blocks().0, 0, "{name}: blocks that nobody holds");
    waits
}

#[test]
fn gpu_a_crowd_says_what_each_says_alone() {
    let gpu = adapters::open(&adapters::main());
    for (kind, name, _) in FAMILIES {
        let path = file(kind, name);
        let model = load(&gpu, &path, &options());
        let tokens = reference(&path).tokens;
        let waits: usize = (0..3)
            .map(|seed| crowd(&model, name, &tokens, seed + 1))
            .sum();
        println!("{name}: {waits} waited");
        let grows = !["mamba2", "rwkv7"].contains(&name);
        assert_eq!(waits > 0, grows, "{name}: there was room for all, or none");
    }
}

#[test]
fn gpu_a_full_cache_is_said_and_changes_nothing() {
    let gpu = adapters::open(&adapters::main());
    let path = file("families", "llama");
    let model = load(&gpu, &path, &options());
    let greedy = SamplerOptions::greedy();
    let long: Vec<u32> = (0..90).map(|at| at % 40 + 3).collect();
    let mut batch = paged(&model, 2, 1);
    let (_, all) = batch.blocks();
    assert!(
        (24..=26).contains(&all),
        "room for one context: {all} blocks"
    );
    ask(&mut batch, 0, &long, &greedy);
    let other: Vec<u32> = long.iter().rev().copied().collect();
    batch.start(1, &other, &greedy, false).unwrap();
    assert!(!batch.has_room(&other));
    let full = loop {
        match block_on(batch.prefill(1, 8)) {
            Ok(token) => assert_eq!(token, None),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::CacheFull { .. }), "{full}");
    assert_eq!(full.code(), "cache-full");
    assert_eq!(batch.tokens(1), other);
    step(&mut batch, &[0]);
    batch.pause(0);
    assert!(batch.pending(0) > 90);
    while block_on(batch.prefill(1, 8)).unwrap().is_none() {}
    check(&model, &batch, 1, &other, &greedy);
    batch.release(1);
    while block_on(batch.prefill(0, 8)).unwrap().is_none() {}
    step(&mut batch, &[0]);
    check(&model, &batch, 0, &long, &greedy);
    for (block, sequences) in [(0, 2), (1 << 20, 2), (4, 0), (4, 17)] {
        let options = BatchOptions::default().sequences(sequences).block(block);
        assert!(block_on(model.batch_with(&options)).is_err());
    }
}

/// A folder of a test's own, which goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("lantern-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path); // of an earlier run
        Place(path)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // its own
    }
}

fn kept(model: &Model, folder: &Path) -> Batch {
    let mut batch = paged(model, 2, 2 * 96);
    block_on(batch.keep_in(folder, 1 << 26)).unwrap();
    batch
}

fn save(batch: &mut Batch) -> usize {
    let mut count = 0;
    while block_on(batch.save()).unwrap() {
        count += 1;
    }
    count
}

/// Tokens long enough for windows to have left some behind.
fn long(tokens: &[u32]) -> Vec<u32> {
    [tokens, tokens, &[5, 6, 7]].concat()
}

#[test]
fn gpu_beginnings_outlast_the_program() {
    let gpu = adapters::open(&adapters::main());
    let greedy = SamplerOptions::greedy();
    for (kind, name, goes_back) in FAMILIES {
        let place = Place::new(&format!("kept-{name}"));
        let path = file(kind, name);
        let prompt = long(&reference(&path).tokens);
        {
            let model = load(&gpu, &path, &options());
            let mut batch = kept(&model, &place.0);
            ask(&mut batch, 0, &prompt, &greedy);
            // While a sequence goes on: copies of states, and what windows have left behind.
            let early = !goes_back || name == "gemma3";
            assert_eq!(save(&mut batch) > 0, early, "{name}");
            batch.release(0);
            assert!(save(&mut batch) + place.files().len() > 0, "{name}");
            assert_eq!(save(&mut batch), 0, "{name}: all is saved");
        }
        let model = load(&gpu, &path, &options());
        let mut batch = kept(&model, &place.0);
        // Up to the last whole block.
        assert_eq!(ask(&mut batch, 1, &prompt, &greedy), 48, "{name}");
        for _ in 0..4 {
            step(&mut batch, &[1]);
        }
        check(&model, &batch, 1, &prompt, &greedy);
        let other = [&prompt[..48], &[9, 8]].concat();
        assert_eq!(ask(&mut batch, 0, &other, &greedy), 48, "{name}");
        check(&model, &batch, 0, &other, &greedy);
        assert!(batch.refused_files().is_empty());
        // Cells of another precision are none of these.
        let mixed = load(&gpu, &path, &options().precision(Precision::Mixed));
        let known = ask(&mut kept(&mixed, &place.0), 0, &prompt, &greedy);
        assert_eq!(known, 0, "{name}");
    }
}

#[test]
fn gpu_damaged_files_are_said_and_not_used() {
    let gpu = adapters::open(&adapters::main());
    let greedy = SamplerOptions::greedy();
    for (kind, name) in [("families", "gemma3"), ("families-2026", "qwen35")] {
        let place = Place::new(&format!("damaged-{name}"));
        let path = file(kind, name);
        let model = load(&gpu, &path, &options());
        let prompt = long(&reference(&path).tokens);
        let mut batch = kept(&model, &place.0);
        ask(&mut batch, 0, &prompt, &greedy);
        batch.release(0);
        save(&mut batch);
        let files = place.files();
        for (number, file) in files.iter().enumerate() {
            let mut bytes = fs::read(file).unwrap();
            match number % 3 {
                0 => bytes.truncate(40),
                1 => *bytes.last_mut().unwrap() ^= 1,
                _ => bytes[20] ^= 1,
            }
            fs::write(file, bytes).unwrap();
        }
        let mut batch = kept(&model, &place.0);
        assert_eq!(ask(&mut batch, 0, &prompt, &greedy), 0, "{name}");
        let refused = batch.refused_files();
        assert!(!refused.is_empty(), "{name}");
        for error in refused {
            assert!(matches!(error, Error::BadFile { .. }), "{error}");
        }
        check(&model, &batch, 0, &prompt, &greedy);
    }
}
