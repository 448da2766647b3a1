//! Prints the five likeliest next tokens, from the logits of a session; what is `async` is waited for by pollster.

use std::ops::ControlFlow;

use pollster::block_on;

fn main() -> lantern_engine::Result<()> {
    let model = lantern_engine::open("model.gguf")?;
    let tokenizer = model.tokenizer();
    let tokens = tokenizer.encode("The capital of France is", true)?;
    let mut session = block_on(model.session())?;
    block_on(session.prefill(&tokens, &mut |_, _| ControlFlow::Continue(())))?;
    let logits = block_on(session.logits())?;
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    ids.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    for &id in &ids[..5] {
        println!("{:8.3} {:?}", logits[id as usize], tokenizer.decode(&[id]));
    }
    Ok(())
}
