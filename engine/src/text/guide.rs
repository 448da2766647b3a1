//! The way of an answer: thoughts first, where there are some, for as long as they may take; then what the answer has to be,
//! which a grammar says, or calls of tools in their model's own form.

use super::{
    Tokenizer, Tools,
    constraint::{Constraint, Grammar, Next},
    reasoning::{Leads, Progress, Reasoning, Said, Thoughts},
    said::Marks,
};
use crate::{Error, Result};

/// Form that an answer is to have.
pub(crate) struct Wanted<'a> {
    /// How thoughts are marked.
    pub reasoning: Option<Reasoning>,
    /// Tools that it may call, or has to.
    pub tools: Option<&'a Tools>,
    /// The form of its text.
    pub grammar: Option<&'a Grammar>,
    /// Tokens that thoughts may have.
    pub budget: Option<usize>,
}

/// The tokens that may follow, for an answer that is to be so; none where any may.
///
/// # Errors
/// [`Error::BadInput`] where a grammar or a tool's schema is none, or asks for what cannot be expressed.
pub(crate) fn guide(
    tokenizer: &Tokenizer,
    wanted: &Wanted<'_>,
) -> Result<Option<Box<dyn Constraint>>> {
    let required = wanted.tools.filter(|tools| tools.required());
    if required.is_some() && wanted.grammar.is_some() {
        return Err(Error::BadInput(
            "an answer is a call of a tool or has the form of a grammar, not both".into(),
        ));
    }
    let bound = match (required, wanted.grammar) {
        (Some(tools), _) => Some(tokenizer.calls(tools, false)?),
        (None, Some(grammar)) => Some(tokenizer.constraint(grammar)?),
        (None, None) => None,
    };
    // Calls that the model makes by itself have its tools' form, where they begin with a mark.
    let call = match wanted.tools {
        Some(tools)
            if required.is_none() && tools.open_mark().is_some() && cfg!(feature = "grammar") =>
        {
            let mark = tools.open_mark().unwrap_or_default();
            Some(Calling {
                tools: tools.clone(),
                mark,
                token: tokenizer.mark(mark),
                parallel: tools.parallel(),
                text: String::new(),
                // At once: it refuses schemas that cannot be expressed.
                next: Some(tokenizer.calls(tools, true)?),
                inner: None,
            })
        }
        _ => None,
    };
    let budget = wanted.budget.filter(|_| wanted.reasoning.is_some());
    if bound.is_none() && call.is_none() && budget.is_none() {
        return Ok(None);
    }
    Ok(Some(Box::new(Guide {
        tokenizer: tokenizer.clone(),
        marks: Marks {
            reasoning: wanted.reasoning,
            tools: wanted.tools.cloned(),
        },
        thoughts: wanted.reasoning.map(Thoughts::new),
        leads: wanted
            .reasoning
            .as_ref()
            .map(Reasoning::leads)
            .unwrap_or_default(),
        calls: required.is_some_and(Tools::in_harmony),
        budget,
        thought: 0,
        leading: 0,
        led: false,
        answer: Answer {
            bound,
            begun: false,
            call,
            ended: false,
            mask: Vec::new(),
        },
    })))
}

struct Guide {
    tokenizer: Tokenizer,
    marks: Marks,
    /// Thoughts of the answer so far; none where the model has none.
    thoughts: Option<Thoughts>,
    leads: Leads,
    /// The answer is a call that harmony's header names.
    calls: bool,
    /// Tokens that thoughts may have, and have.
    budget: Option<usize>,
    thought: usize,
    /// Tokens that were forced on the way to the answer, and are still to come.
    leading: usize,
    /// Thoughts are over, whatever is said.
    led: bool,
    answer: Answer,
}

/// The answer behind the thoughts.
struct Answer {
    /// Its form; none: any.
    bound: Option<Box<dyn Constraint>>,
    begun: bool,
    /// Calls that it may have.
    call: Option<Calling>,
    /// Nothing may follow.
    ended: bool,
    /// Bits of [`Step::Among`].
    mask: Vec<u32>,
}

/// Calls that a model makes by itself.
struct Calling {
    tools: Tools,
    /// The text that begins one, and its token, where it is one.
    mark: &'static str,
    token: Option<u32>,
    /// Others may follow.
    parallel: bool,
    /// The end of the text so far.
    text: String,
    /// The form of the next call, where it is made already.
    next: Option<Box<dyn Constraint>>,
    /// The form of the call that has begun.
    inner: Option<Box<dyn Constraint>>,
}

/// [`Next`], with the bits elsewhere.
enum Step {
    Any,
    Among,
    Forced(Vec<u32>),
    End,
}

impl Guide {
    fn progress(&self) -> Progress {
        match &self.thoughts {
            Some(thoughts) if !self.led => thoughts.progress(),
            _ => Progress::Answer,
        }
    }

    fn spent(&self) -> bool {
        self.budget.is_some_and(|budget| self.thought >= budget)
    }

    /// Forces a text with marks, which is no part of the answer.
    fn force(&mut self, text: &str) -> Result<Step> {
        let forced = self.tokenizer.encode_marked(text)?;
        self.leading = forced.len();
        Ok(Step::Forced(forced))
    }

    /// Leads from thoughts to the answer, which begins behind that.
    fn lead(&mut self, before: &str) -> Result<Step> {
        self.led = true;
        let to = match &self.answer {
            _ if self.calls => self.leads.call,
            // The model says itself whether it answers or calls.
            Answer { bound: None, .. } if self.marks.tools.is_some() => "",
            _ => self.leads.answer,
        };
        self.force(&format!("{before}{to}"))
    }

    fn step(&mut self) -> Result<Step> {
        let (begin, next) = (self.leads.begin, self.leads.next);
        match self.progress() {
            Progress::Begin if !begin.is_empty() => {
                if self.spent() {
                    return self.lead("");
                }
                self.force(begin)
            }
            Progress::Begin => {
                // The model may think before it answers.
                let reasoning = self.marks.reasoning.as_ref();
                let mark = reasoning.and_then(Reasoning::open_mark);
                let mark = mark.and_then(|mark| self.tokenizer.mark(mark));
                let mark = mark.filter(|_| !self.spent());
                self.answer.step(&self.tokenizer, mark)
            }
            Progress::Thinking if self.spent() => {
                let before = format!("{}{next}", self.leads.close);
                self.lead(&before)
            }
            Progress::Between if self.calls || self.answer.bound.is_some() => self.lead(next),
            Progress::Thinking | Progress::Between => Ok(Step::Any),
            Progress::Answer => self.answer.step(&self.tokenizer, None),
        }
    }
}

impl Constraint for Guide {
    fn next(&mut self) -> Result<Next<'_>> {
        Ok(match self.step()? {
            Step::Any => Next::Any,
            Step::Among => Next::Among(&self.answer.mask),
            Step::Forced(tokens) => Next::Forced(tokens),
            Step::End => Next::End,
        })
    }

    fn accept(&mut self, token: u32) -> Result<()> {
        let says = self.marks.says(&self.tokenizer, token);
        let bytes = self.tokenizer.bytes(token);
        let text = String::from_utf8_lossy(if says { &bytes } else { &[] });
        let before = self.progress();
        let thinks = matches!(before, Progress::Thinking | Progress::Between);
        self.thought += usize::from(thinks);
        let leads = self.leading > 0;
        self.leading = self.leading.saturating_sub(1);
        let said = match &mut self.thoughts {
            Some(thoughts) if before != Progress::Answer || leads => thoughts.push(&text),
            _ => vec![],
        };
        if leads {
            return Ok(());
        }
        match (before, self.progress()) {
            (Progress::Begin, Progress::Begin) | (_, Progress::Answer) if !thinks => {
                self.answer.accept(&self.tokenizer, token, &text)
            }
            // What the last token of the thoughts has of the answer.
            (_, Progress::Answer) => {
                let rest: String = said.into_iter().filter_map(Said::answer).collect();
                for token in self.tokenizer.encode_within(rest.trim_start())? {
                    let bytes = self.tokenizer.bytes(token);
                    let text = String::from_utf8_lossy(&bytes);
                    self.answer.accept(&self.tokenizer, token, &text)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Answer {
    /// Finds out what may follow. `or`: a token that may, too, where the answer begins.
    fn step(&mut self, tokenizer: &Tokenizer, or: Option<u32>) -> Result<Step> {
        if self.ended {
            return Ok(Step::End);
        }
        let calling = self.call.as_mut();
        if let Some(call) = calling
            && let Some(inner) = &mut call.inner
        {
            let step = kept(inner.next()?, &mut self.mask);
            let Step::End = step else {
                return Ok(step);
            };
            (call.inner, self.ended) = (None, !call.parallel);
            return Ok(if self.ended { Step::End } else { Step::Any });
        }
        let Some(bound) = &mut self.bound else {
            return Ok(Step::Any);
        };
        let step = kept(bound.next()?, &mut self.mask);
        let call = self.call.as_ref().and_then(|call| call.token);
        let others: Vec<u32> = [or, call].into_iter().flatten().collect();
        if self.begun || others.is_empty() {
            return Ok(step);
        }
        if let Step::Forced(tokens) = &step {
            self.mask = vec![0; tokenizer.vocab_size().div_ceil(32)];
            set(&mut self.mask, tokens[0]);
        }
        for token in others {
            set(&mut self.mask, token);
        }
        Ok(match step {
            Step::Forced(_) => Step::Among,
            other => other,
        })
    }

    fn accept(&mut self, tokenizer: &Tokenizer, token: u32, text: &str) -> Result<()> {
        let first = !std::mem::replace(&mut self.begun, true);
        if let Some(call) = &mut self.call {
            if let Some(inner) = &mut call.inner {
                return inner.accept(token);
            }
            if first && call.token == Some(token) {
                self.bound = None;
            }
            if self.bound.is_none() {
                return call.accept(tokenizer, text);
            }
        }
        self.bound
            .as_mut()
            .map_or(Ok(()), |bound| bound.accept(token))
    }
}

impl Calling {
    /// Takes text outside of calls; one may begin in it.
    fn accept(&mut self, tokenizer: &Tokenizer, text: &str) -> Result<()> {
        self.text += text;
        let Some(at) = self.text.find(self.mark) else {
            let mut keep = self.text.len().saturating_sub(self.mark.len());
            while !self.text.is_char_boundary(keep) {
                keep -= 1;
            }
            self.text.drain(..keep);
            return Ok(());
        };
        let rest = self.text.split_off(at + self.mark.len());
        self.text.clear();
        let mut inner = match self.next.take() {
            Some(next) => next,
            None => tokenizer.calls(&self.tools, true)?,
        };
        for token in tokenizer.encode_within(&rest)? {
            if inner.accept(token).is_err() {
                return Ok(()); // a call of another form, which is read as far as it can be
            }
        }
        self.inner = Some(inner);
        Ok(())
    }
}

/// Step of what may follow, with its bits in `mask`.
fn kept(next: Next<'_>, mask: &mut Vec<u32>) -> Step {
    match next {
        Next::Any => Step::Any,
        Next::Among(bits) => {
            mask.clear();
            mask.extend(bits);
            Step::Among
        }
        Next::Forced(tokens) => Step::Forced(tokens),
        Next::End => Step::End,
    }
}

fn set(mask: &mut [u32], token: u32) {
    if let Some(word) = mask.get_mut(token as usize / 32) {
        *word |= 1 << (token % 32);
    }
}
