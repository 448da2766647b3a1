//! Answers of the engine on their way to a client.

use std::{convert::Infallible, ops::ControlFlow, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::{StreamExt, stream};
use lantern_engine::{Completion, CompletionEvent, Request, ServiceEvent};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{
    error::ApiError,
    served::Held,
    wanted::{ANSWERS_MAX, Wanted},
};

/// Pieces of an answer that wait for a slow client; with more its answer ends.
const PIECES: usize = 4096;

/// Time without a piece after which a client is told that its answer goes on.
const SILENCE: Duration = Duration::from_secs(15);

/// Progress of one of a request's answers.
pub enum Said {
    /// It was asked for.
    Begun,
    Piece(Piece),
    Done(Result<Completion, ApiError>),
}

/// A piece of an answer.
pub enum Piece {
    Text {
        text: String,
        /// Thoughts, which come before the text.
        reasoning: String,
    },
    /// More of a call of a tool.
    Call {
        /// The number of the call in its answer.
        index: usize,
        /// The tool's name, with the first piece of a call; else empty.
        name: String,
        arguments: String,
    },
}

/// Answers to a request, as they come.
pub struct Answers {
    said: Receiver<(usize, Said)>,
    /// Number of answers: those to the first prompt come first.
    count: usize,
    /// The model stays for as long as it answers.
    _held: Held,
}

/// Asks for all answers to a request; `Answers`, and how many tokens the prompts have. An answer that nobody reads any more
/// ends.
pub fn ask(held: &Held, wanted: Wanted) -> Result<(Answers, usize), ApiError> {
    let service = held.service()?;
    let count = wanted.prompts.len() * wanted.count;
    if !(1..=ANSWERS_MAX).contains(&count) {
        let message = format!("n is 1 to {ANSWERS_MAX} for all prompts together, not {count}");
        return Err(ApiError::bad(message, Some("n")));
    }
    let pieces = if wanted.stream { PIECES } else { 1 };
    let (sender, said) = channel(count * pieces);
    let mut prompt_tokens = 0;
    let mut requests = Vec::new();
    for prompt in wanted.prompts {
        let given = prompt.given(held)?;
        prompt_tokens += given.tokens.len();
        for number in 0..wanted.count {
            let mut options = wanted.options.clone();
            options.sampler.seed = options.sampler.seed.wrapping_add(number as u64);
            let (sender, stream, at) = (sender.clone(), wanted.stream, requests.len());
            requests.push(Request {
                tokens: given.tokens.clone(),
                reasoning: given.reasoning,
                tools: given.tools.clone(),
                options,
                each: Box::new(move |event| hear(&sender, at, stream, event)),
            });
        }
    }
    for request in requests {
        service.submit(request)?;
    }
    let answers = Answers {
        said,
        count,
        _held: held.clone(),
    };
    Ok((answers, prompt_tokens))
}

/// Hands on what the service says of an answer; breaks where nobody reads it, or too slowly.
fn hear(
    sender: &Sender<(usize, Said)>,
    number: usize,
    stream: bool,
    event: ServiceEvent<'_>,
) -> ControlFlow<()> {
    let said = match event {
        ServiceEvent::Done(done) => Some(Said::Done(done.map_err(ApiError::from))),
        ServiceEvent::Completion(
            CompletionEvent::Token {
                text, reasoning, ..
            }
            | CompletionEvent::Rest { text, reasoning },
        ) if stream && !(text.is_empty() && reasoning.is_empty()) => {
            let (text, reasoning) = (text.to_owned(), reasoning.to_owned());
            Some(Said::Piece(Piece::Text { text, reasoning }))
        }
        ServiceEvent::Completion(CompletionEvent::ToolCall {
            index,
            name,
            arguments,
        }) if stream => {
            let (name, arguments) = (name.to_owned(), arguments.to_owned());
            let piece = Piece::Call {
                index,
                name,
                arguments,
            };
            Some(Said::Piece(piece))
        }
        ServiceEvent::Completion(_) => None,
    };
    let read = match said {
        Some(said) => sender.try_send((number, said)).is_ok(),
        None => !sender.is_closed(),
    };
    if read {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

impl Answers {
    /// Number of answers.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Waits for all answers.
    pub async fn whole(mut self) -> Result<Vec<Completion>, ApiError> {
        let mut all: Vec<Option<Completion>> = (0..self.count).map(|_| None).collect();
        let mut left = self.count;
        while left > 0 {
            let ended = || ApiError::from(lantern_engine::Error::Aborted);
            let (number, said) = self.said.recv().await.ok_or_else(ended)?;
            if let Said::Done(done) = said {
                all[number] = Some(done?);
                left -= 1;
            }
        }
        Ok(all.into_iter().flatten().collect())
    }

    /// Events of all answers as they come, as `tell` makes them of an answer's number and what is said of it. `silence` goes
    /// out where nothing else does.
    pub fn stream(
        self,
        silence: Event,
        mut tell: impl FnMut(usize, Said) -> Vec<Event> + Send + 'static,
    ) -> Response {
        let begun: Vec<Event> = (0..self.count)
            .flat_map(|number| tell(number, Said::Begun))
            .collect();
        let rest = stream::unfold(self, async |mut answers| {
            let next = answers.said.recv().await?;
            Some((next, answers))
        });
        let rest = rest.flat_map(move |(number, said)| stream::iter(tell(number, said)));
        let all = stream::iter(begun).chain(rest).map(Ok::<_, Infallible>);
        let keep = KeepAlive::new().interval(SILENCE).event(silence);
        Sse::new(all).keep_alive(keep).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_read_ends() {
        let token = || {
            ServiceEvent::Completion(CompletionEvent::Token {
                token: 1,
                text: "a",
                reasoning: "",
            })
        };
        let (sender, mut said) = channel(2);
        let goes_on = ControlFlow::Continue(());
        let hear = |stream| hear(&sender, 0, stream, token());
        assert_eq!(hear(true), goes_on);
        assert_eq!(hear(true), goes_on);
        assert_eq!(hear(true), ControlFlow::Break(()), "nobody reads");
        assert_eq!(
            hear(false),
            goes_on,
            "pieces of whole answers wait for nobody"
        );
        assert!(said.try_recv().is_ok());
        assert_eq!(hear(true), goes_on, "it is read again");
        said.close();
        assert_eq!(hear(false), ControlFlow::Break(()), "nobody is there");
    }
}
