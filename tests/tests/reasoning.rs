//! Thoughts apart from answers: how a model marks them is known by its vocabulary, its template and the prompt's end.

use std::ops::ControlFlow;

use lantern_engine::{
    ChatTemplate, Completion, CompletionEvent, CompletionOptions, FinishReason, LoadOptions,
    Prompt, Tokenizer, file::Value,
};
use pollster::block_on;
use serde_json::json;

use crate::support::{
    adapters,
    models::{folder, load},
    vocabulary::{Mark, printable},
};

/// Kinds of tokens, as GGUF numbers them.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// A vocabulary of the printable ASCII characters, with marks behind them.
fn tokenizer(marks: &[Mark<'_>]) -> Tokenizer {
    let ends = ["bos_token_id", "eos_token_id"].map(|key| (key, Value::Unsigned(1)));
    printable(&[("<unk>", 2), ("<s>", CONTROL)], marks, &ends)
}

/// A completion that says `said` to the prompt of a template that ends in `end`, and the pieces of it that come at its end.
fn answer(
    tokenizer: &Tokenizer,
    end: &str,
    said: &str,
    options: CompletionOptions,
) -> (Completion, [String; 2]) {
    let gpu = adapters::open(&adapters::main());
    let path = folder("families").join("llama.gguf");
    let model = load(&gpu, &path, &LoadOptions::default());
    let mut session = block_on(model.session()).unwrap();
    let source = format!("{{{{ messages[0].content }}}}\n{end}");
    let template = ChatTemplate::new(&source).unwrap();
    let input = json!({"messages": [{"role": "user", "content": "Hm?"}]});
    let tokens = template.tokens(input, tokenizer, false).unwrap();
    let sampled = tokenizer.encode_rendered(said).unwrap();
    let prompt = Prompt {
        tokens: &tokens,
        sampled: &sampled,
        reasoning: template.reasoning(tokenizer, &tokens),
        tools: None,
    };
    let mut rest = [String::new(), String::new()];
    let mut each = |event: CompletionEvent<'_>| {
        if let CompletionEvent::Rest { text, reasoning } = event {
            rest = [reasoning, text].map(str::to_owned);
        }
        ControlFlow::Continue(())
    };
    let options = options.max_tokens(sampled.len());
    let completed = session.complete(tokenizer, prompt, &options, &mut each);
    let completed = block_on(completed).unwrap();
    assert_eq!(completed.finish_reason, FinishReason::Length);
    (completed, rest)
}

#[test]
fn thoughts_are_split_off_by_what_the_model_has() {
    let think = [("<think>", USER_DEFINED), ("</think>", USER_DEFINED)];
    let hidden = [("[THINK]", CONTROL), ("[/THINK]", CONTROL)];
    let gemma = [("<|channel>", CONTROL), ("<channel|>", CONTROL)];
    let harmony = [
        "<|channel|>",
        "<|message|>",
        "<|start|>",
        "<|end|>",
        "<|call|>",
        "<|return|>",
    ];
    let harmony = harmony.map(|mark| (mark, CONTROL));
    let written = "<think>\nHm.\n</think>\n\nYes.";
    let channels =
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.";
    // Marks of the vocabulary, the prompt's end, what is said, the thoughts and the answer in it.
    let cases: &[(&[Mark<'_>], &str, &str, &str, &str)] = &[
        (&think, "", written, "Hm.", "Yes."),
        (&think, "<think>\n", "Hm.\n</think>Yes.", "Hm.", "Yes."),
        (&think, "<think>\n\n</think>\n\n", "Yes.", "", "Yes."),
        (&think, "", "Yes.", "", "Yes."),
        // Only the template knows the marks.
        (&[], "<think>", "Hm.</think>Yes.", "Hm.", "Yes."),
        (&[], "", written, "", written),
        (&hidden, "", "[THINK]Hm.[/THINK]Yes.", "Hm.", "Yes."),
        (
            &gemma,
            "",
            "<|channel>thought\nHm.<channel|>Yes.",
            "Hm.",
            "Yes.",
        ),
        (&harmony, "", channels, "Hm.", "Yes."),
    ];
    for (marks, end, said, thoughts, text) in cases {
        let tokenizer = tokenizer(marks);
        let (whole, _) = answer(&tokenizer, end, said, CompletionOptions::default());
        assert_eq!(
            [&*whole.reasoning, &whole.text],
            [*thoughts, text],
            "{said}"
        );
        let raw = CompletionOptions::default().thoughts_in_text(true);
        let (whole, _) = answer(&tokenizer, end, said, raw);
        assert_eq!([&*whole.reasoning, &whole.text], ["", said], "{said}");
    }
}

#[test]
fn what_may_be_a_mark_comes_at_the_end() {
    let tokenizer = tokenizer(&[("</think>", USER_DEFINED)]);
    let rest = |said| answer(&tokenizer, "<think>", said, CompletionOptions::default()).1;
    assert_eq!(rest("Hm.</th"), ["</th", ""]);
    assert_eq!(rest("Hm.</think>Yes.</th"), ["", ""]);
    assert_eq!(rest("Hm. \n"), ["", ""]);
}
