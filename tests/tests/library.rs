//! The library's face: prefixes are reused, stop strings stay whole, conversations go on; and its first five lines.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use lantern_engine::{
    Chat, Completion, CompletionEvent, CompletionOptions, Error, FinishReason, Gpu, GpuOptions,
    LanguageModel, LoadOptions, Model, OpenEvent, OpenOptions, PrepareOptions, SamplerOptions,
    Session, Trial, open_with,
};
use pollster::block_on;

use crate::support::{adapters, default_model::default_model, models};

fn options() -> OpenOptions {
    OpenOptions::default()
        .gpu(adapters::open(&adapters::main()))
        .context(256)
        .tuning_seconds(None)
}

/// The default model, opened by its path; its trials are counted.
fn open() -> Option<LanguageModel> {
    let mut tried = 0;
    let mut each = |event: OpenEvent<'_>| {
        tried += usize::from(matches!(event, OpenEvent::Trying(_)));
        ControlFlow::Continue(())
    };
    let model = open_with(default_model()?, &options(), &mut each).unwrap();
    assert!(tried > 5, "{tried} kernels were tried");
    Some(model)
}

fn greedy(tokens: usize) -> CompletionOptions {
    CompletionOptions::default()
        .sampler(SamplerOptions::greedy())
        .max_tokens(tokens)
}

/// Completes, and asserts that the pieces that came are the text.
fn complete(
    session: &mut Session,
    model: &LanguageModel,
    prompt: &[u32],
    options: &CompletionOptions,
) -> Completion {
    let mut pieces = String::new();
    let mut each = |event: CompletionEvent<'_>| {
        if let CompletionEvent::Token { text, .. } | CompletionEvent::Rest { text, .. } = event {
            pieces += text;
        }
        ControlFlow::Continue(())
    };
    let completed = session.complete(model.tokenizer(), prompt.into(), options, &mut each);
    let completed = block_on(completed).unwrap();
    assert_eq!(pieces, completed.text);
    completed
}

#[test]
fn gpu_a_common_prefix_is_not_computed_again() {
    let Some(model) = open() else { return };
    let session = || block_on(model.session()).unwrap();
    let encode = |text: &str| model.tokenizer().encode(text, true).unwrap();
    let prompt = encode("The capital of France is the city of");
    let other = encode("The capital of France is a place that");
    let same = prompt
        .iter()
        .zip(&other)
        .take_while(|(a, b)| a == b)
        .count();
    assert!(same > 3 && same < other.len());
    let mut used = session();
    complete(&mut used, &model, &prompt, &greedy(4));
    let reused = complete(&mut used, &model, &other, &greedy(6));
    let fresh = complete(&mut session(), &model, &other, &greedy(6));
    assert_eq!(fresh.usage.cached_tokens, 0);
    assert_eq!(reused.usage.cached_tokens, same);
    assert_eq!(reused.usage.prefilled_tokens, other.len() - same);
    assert_eq!(reused.tokens, fresh.tokens);
    assert_eq!(reused.finish_reason, FinishReason::Length);
    // All of it is there: the last token is computed again, since the next is sampled from its logits.
    let again = complete(&mut used, &model, &other, &greedy(6));
    assert_eq!(again.usage.prefilled_tokens, 1);
    assert_eq!(again.tokens, fresh.tokens);
    let long = vec![1; 257];
    let go_on = &mut |_: CompletionEvent<'_>| ControlFlow::Continue(());
    let options = greedy(1);
    let refused = used.complete(model.tokenizer(), long[..].into(), &options, go_on);
    assert!(matches!(
        block_on(refused),
        Err(Error::ContextFull {
            tokens: 257,
            context: 256
        })
    ));
}

#[test]
fn gpu_a_stop_string_ends_a_text_and_is_no_part_of_it() {
    let Some(model) = open() else { return };
    let prompt = model.tokenizer().encode("One, two, three,", true).unwrap();
    let mut session = block_on(model.session()).unwrap();
    let whole = complete(&mut session, &model, &prompt, &greedy(12));
    let text: Vec<char> = whole.text.chars().collect();
    assert!(text.len() > 12, "{:?}", whole.text);
    // Begins and ends within tokens.
    let stop: String = text[6..11].iter().collect();
    let cut = complete(&mut session, &model, &prompt, &greedy(12).stop(&*stop));
    assert_eq!(cut.text, whole.text[..whole.text.find(&stop).unwrap()]);
    assert_eq!(cut.finish_reason, FinishReason::Stop);
    assert!(whole.tokens.starts_with(&cut.tokens) && cut.tokens.len() < whole.tokens.len());
    // What was held back comes at the end, where the rest of the stop string did not.
    let never = format!("{}\u{1F3EE}", text[text.len() - 1]);
    let kept = complete(&mut session, &model, &prompt, &greedy(12).stop(never));
    assert_eq!(kept.text, whole.text);
}

#[test]
fn gpu_a_conversation_goes_on_from_what_its_session_holds() {
    let Some(model) = open() else { return };
    let mut chat = model.chat().system("You are brief.").options(greedy(6));
    let first = chat.user("Why is the sky blue?").unwrap();
    let first = first.completion().unwrap();
    assert!(first.tokens.len() <= 6 && !first.text.is_empty());
    // Dropped after its first piece, an answer is what came until then.
    let mut reply = chat.user("And at night?").unwrap();
    let piece = reply.next().unwrap().unwrap();
    drop(reply);
    let said = chat.messages();
    let roles: Vec<&str> = said.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant"]);
    assert_eq!(said[2].content, first.text);
    assert!(said[4].content.starts_with(&piece));
    let third = chat.user("Why?").unwrap().completion().unwrap();
    assert!(third.usage.cached_tokens > first.usage.prompt_tokens);
    // A message that does not fit is taken back.
    let long = "word ".repeat(400);
    let refused = chat.user(&long).unwrap().completion();
    assert!(matches!(refused, Err(Error::ContextFull { .. })));
    assert_eq!(chat.messages().len(), 7);
}

#[test]
fn gpu_shaders_that_are_not_tried_are_checked() {
    let path = models::folder("families").join("llama.gguf");
    let off = PrepareOptions::default()
        .trial(Trial::Off)
        .tuning_seconds(None);
    let prepare = |checked: bool| {
        let options = GpuOptions::default().checked(checked);
        let gpu: Arc<Gpu> = Arc::new(adapters::gpu(&adapters::main(), options));
        let model = models::load(&gpu, &path, &LoadOptions::default());
        block_on(model.prepare(&off, &mut |_| ControlFlow::Continue(())))
    };
    prepare(true).unwrap();
    assert!(matches!(prepare(false), Err(Error::BadInput(_))));
}

#[test]
fn models_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Gpu>();
    shared::<Model>();
    shared::<LanguageModel>();
    sent::<Session>();
    sent::<Chat>();
}

#[test]
fn the_first_five_lines_are_the_same_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let example = read("engine/examples/chat.rs");
    let lines = example.split_once("-> lantern_engine::Result<()> {\n");
    let lines = lines.and_then(|(_, rest)| rest.split_once("    Ok(())\n"));
    let (lines, _) = lines.expect("the example has a main");
    let with = |prefix: &str| -> String {
        let lines = lines.lines();
        lines
            .map(|line| format!("{prefix}{}", &line[4..]))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(lines.lines().count(), 4);
    for (file, prefix) in [("README.md", ""), ("engine/src/lib.rs", "//! ")] {
        assert!(read(file).contains(&with(prefix)), "{file} has other lines");
    }
}
