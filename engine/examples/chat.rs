//! Asks the model in `model.gguf` a question, and prints the answer as it comes.

fn main() -> lantern_engine::Result<()> {
    let model = lantern_engine::open("model.gguf")?;
    for text in model.chat().user("Why is the sky blue?")? {
        print!("{}", text?);
    }
    Ok(())
}
