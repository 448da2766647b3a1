//! Completes a text greedily, and says why it ended and how fast it was.

use lantern_engine::{CompletionOptions, SamplerOptions};

fn main() -> lantern_engine::Result<()> {
    let model = lantern_engine::open("model.gguf")?;
    let options = CompletionOptions::default()
        .sampler(SamplerOptions::greedy())
        .max_tokens(32)
        .stop("\n\n");
    let completion = model
        .complete("The capital of France is", &options)?
        .completion()?;
    println!("{}", completion.text);
    println!(
        "{:?} after {} tokens, {:.1} tokens/s",
        completion.finish_reason,
        completion.tokens.len(),
        completion.decode_rate()
    );
    Ok(())
}
