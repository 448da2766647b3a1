//! A model for many: each request gets what it would get alone, in order, and none waits for a long prompt.

use std::{
    ops::ControlFlow,
    sync::mpsc::{Receiver, channel},
};

use lantern_engine::{
    Completion, CompletionEvent, CompletionOptions, Error, FinishReason, Grammar, LanguageModel,
    OpenOptions, Precision, Request, Result, SamplerOptions, Service, ServiceEvent, ServiceOptions,
    open_with,
};
use pollster::block_on;

use crate::support::{adapters, default_model::default_model};

fn open(context: usize) -> Option<LanguageModel> {
    let options = OpenOptions::default()
        .gpu(adapters::open(&adapters::main()))
        .context(context)
        .precision(Precision::Exact)
        .tuning_seconds(None);
    let model = open_with(default_model()?, &options, &mut |_| {
        ControlFlow::Continue(())
    });
    Some(model.unwrap())
}

/// A request that waits for its end; `stop` ends it after so many tokens.
fn ask(
    service: &Service,
    prompt: &str,
    options: &CompletionOptions,
    stop: Option<usize>,
) -> Result<Receiver<Result<Completion>>> {
    let (sender, done) = channel();
    let mut pieces = String::new();
    let mut count = 0;
    let tokenizer = service.model().tokenizer();
    service.submit(Request {
        tools: None,
        tokens: tokenizer.encode_prompt(prompt, false)?,
        reasoning: None,
        options: options.clone(),
        each: Box::new(move |event| {
            match event {
                ServiceEvent::Completion(event) => match event {
                    CompletionEvent::Token { text, .. } => {
                        pieces += text;
                        count += 1;
                    }
                    CompletionEvent::Rest { text, .. } => pieces += text,
                    CompletionEvent::Prefill { done, total } => assert!(done <= total),
                    CompletionEvent::ToolCall { .. } => panic!("there are no tools"),
                },
                ServiceEvent::Done(completion) => {
                    if let Ok(completion) = &completion {
                        assert_eq!(completion.text, pieces);
                    }
                    sender.send(completion).unwrap();
                }
            }
            match stop {
                Some(stop) if count >= stop => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }),
    })?;
    Ok(done)
}

fn alone(model: &LanguageModel, prompt: &str, options: &CompletionOptions) -> Completion {
    let tokenizer = model.tokenizer();
    let tokens = tokenizer.encode_prompt(prompt, false).unwrap();
    let mut session = block_on(model.session()).unwrap();
    let mut each = |_: CompletionEvent<'_>| ControlFlow::Continue(());
    let completed = session.complete(tokenizer, tokens[..].into(), options, &mut each);
    block_on(completed).unwrap()
}

#[test]
fn gpu_each_request_gets_what_it_would_alone() {
    let Some(model) = open(512) else { return };
    let greedy = CompletionOptions::default()
        .sampler(SamplerOptions::greedy())
        .max_tokens(12);
    let daring = greedy
        .clone()
        .sampler(SamplerOptions::default().seed(11).repeat_penalty(1.1));
    let digits = greedy.clone().grammar(Grammar::Regex(
        "The answer is [0-9]{3}, I think\\.".to_owned(),
    ));
    let long = "Here is a list of words: ".to_owned() + &"apple, pear, plum, ".repeat(20);
    let requests = [
        ("The capital of France is", &greedy),
        (long.as_str(), &greedy),
        ("Once upon a time", &daring),
        ("How much is that?", &digits),
        ("The capital of France is", &daring),
        ("One, two, three,", &greedy),
    ];
    let options = ServiceOptions::default().sequences(3);
    let service = Service::start(&model, options).unwrap();
    let all: Vec<_> = requests
        .iter()
        .map(|(prompt, options)| ask(&service, prompt, options, None).unwrap())
        .collect();
    for (done, (prompt, options)) in all.into_iter().zip(requests) {
        let (got, wanted) = (
            done.recv().unwrap().unwrap(),
            alone(&model, prompt, options),
        );
        assert_eq!(got.text, wanted.text, "{prompt}");
        assert_eq!(got.tokens, wanted.tokens, "{prompt}");
        assert_eq!(got.finish_reason, wanted.finish_reason, "{prompt}");
    }
    let stats = service.stats();
    assert_eq!((stats.completed, stats.running, stats.waiting), (6, 0, 0));
    assert_eq!(stats.first_token.count, 6);

    // A prompt that was seen is not read again.
    let again = ask(&service, &(long + "and"), &greedy, None).unwrap();
    let usage = again.recv().unwrap().unwrap().usage;
    assert!(usage.prefilled_tokens <= 2, "{usage:?}");
}

/// Two at once where there is room for one context: some wait in the middle, and say what they would have said.
#[test]
fn gpu_whoever_finds_no_room_waits() {
    let Some(model) = open(96) else { return };
    let options = CompletionOptions::default()
        .sampler(SamplerOptions::default().seed(7).repeat_penalty(1.2))
        .ignore_end(true)
        .max_tokens(70);
    let room = ServiceOptions::default().sequences(2).positions(96);
    let service = Service::start(&model, room).unwrap();
    let prompts = ["The capital of France is", "One, two, three,"];
    let all = prompts.map(|prompt| ask(&service, prompt, &options, None).unwrap());
    for (prompt, done) in prompts.iter().zip(all) {
        let got = done.recv().unwrap().unwrap();
        let wanted = alone(&model, prompt, &options);
        assert_eq!(got.tokens, wanted.tokens, "{prompt}");
    }
    let stats = service.stats();
    assert!(stats.paused > 0, "there was room for all");
    assert_eq!(stats.completed, 2);
    assert!(stats.blocks < 6, "{}", stats.blocks);
}

/// A second service finds what a first one has read.
#[test]
fn gpu_prompts_are_known_after_a_restart() {
    let Some(model) = open(256) else { return };
    let name = format!("lantern-service-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&folder); // of an earlier run
    let greedy = CompletionOptions::default()
        .sampler(SamplerOptions::greedy())
        .max_tokens(8);
    let long = "Here is a list of words: ".to_owned() + &"apple, pear, plum, ".repeat(20);
    let mut answers = Vec::new();
    for known in [false, true] {
        let options = ServiceOptions::default()
            .sequences(2)
            .cache_dir(&folder, 1 << 30)
            .note(|note| panic!("{note}"));
        let service = Service::start(&model, options).unwrap();
        let done = ask(&service, &long, &greedy, None).unwrap();
        let completion = done.recv().unwrap().unwrap();
        let usage = completion.usage;
        assert_eq!(usage.prefilled_tokens <= 32, known, "{usage:?}");
        answers.push(completion.tokens);
    }
    assert_eq!(answers[0], answers[1]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn gpu_requests_are_refused_ended_and_let_go() {
    let Some(model) = open(128) else { return };
    let greedy = CompletionOptions::default().sampler(SamplerOptions::greedy());
    let options = ServiceOptions::default().sequences(1).queue(1);
    let service = Service::start(&model, options).unwrap();
    let endless = greedy.clone().ignore_end(true);
    let first = ask(&service, "Once", &endless, Some(30)).unwrap();
    let second = ask(&service, "Twice", &greedy.clone().max_tokens(2), None);
    let refused = (0..8).map(|_| ask(&service, "Thrice", &greedy, None));
    let refused = refused.filter_map(Result::err).count();
    assert!(refused >= 6, "{refused} of 8 are refused");
    assert_eq!(service.stats().refused, refused as u64);
    let first = first.recv().unwrap().unwrap();
    assert_eq!(first.finish_reason, FinishReason::Aborted);
    assert_eq!(first.usage.sampled_tokens, 30);
    let second = second.unwrap().recv().unwrap().unwrap();
    assert_eq!(second.finish_reason, FinishReason::Length);
    let long = "word ".repeat(600);
    assert!(matches!(
        ask(&service, &long, &greedy, None),
        Err(Error::ContextFull { .. })
    ));
    let wrong = greedy.clone().grammar(Grammar::Regex("(".to_owned()));
    let refused = ask(&service, "Once", &wrong, None).unwrap();
    assert!(matches!(refused.recv().unwrap(), Err(Error::BadInput(_))));
    let full = ask(&service, "Once", &endless, None).unwrap();
    let end = full.recv().unwrap().unwrap().finish_reason;
    assert_eq!(end, FinishReason::ContextFull);
    let open = ask(&service, "Once", &endless, None).unwrap();
    drop(service);
    assert!(matches!(open.recv().unwrap(), Err(Error::Aborted)));
}
