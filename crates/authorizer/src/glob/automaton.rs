//! A level that is neither one name nor all of them, as a finite automaton.
//!
//! It is run backwards, from the last character to the first, with the set of states from which the end
//! can be reached. So no pattern makes it take longer than characters times states, and what must *not*
//! follow (`!(…)`) is known at each place before it is asked for.

use super::GlobError;
use super::level::{Class, Repeat, Token};

/// How many states an automaton may have.
const STATES_MAX: usize = 2_048;

#[derive(Clone, Debug)]
enum State {
    /// The level is over.
    End,
    /// Whatever follows will do.
    Reached,
    Char(char, usize),
    One(usize),
    Star(usize),
    Class(Class, usize),
    Either(Vec<usize>),
    NoDot(usize),
    Some(usize),
    /// From `not` nothing may be reached, and from `next` the end.
    NotAhead {
        not: usize,
        next: usize,
    },
}

/// A level's automaton.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    states: Vec<State>,
    start: usize,
    /// The state with `NotAhead`, if there is one: those before it have to be known first.
    negation: Option<usize>,
    /// The first character, if all names have the same.
    first: Option<char>,
}

impl Automaton {
    pub(super) fn build(tokens: &[Token]) -> Result<Self, GlobError> {
        let mut builder = Builder {
            states: vec![State::End],
            negation: None,
        };
        let start = builder.sequence(tokens, 0)?;
        let first = tokens
            .iter()
            .find(|token| !matches!(token, Token::NoDot | Token::Some));
        let first = match first {
            Some(Token::Char(char)) => Some(*char),
            _ => None,
        };
        Ok(Self {
            states: builder.states,
            start,
            negation: builder.negation,
            first,
        })
    }

    /// The character with which every name begins that it takes; `None` if there may be several.
    pub(super) const fn first(&self) -> Option<char> {
        self.first
    }

    /// Whether it takes `name`. With `dots` a name that begins with a dot is like any other.
    pub(super) fn matches(&self, name: &str, dots: bool) -> bool {
        let mut behind = vec![false; self.states.len()];
        let mut here = vec![false; self.states.len()];
        self.settle(&mut here, &behind, None, dots);
        for char in name.chars().rev() {
            core::mem::swap(&mut here, &mut behind);
            here.fill(false);
            self.settle(&mut here, &behind, Some(char), dots);
        }
        here.get(self.start).copied().unwrap_or(false)
    }

    /// Which states reach the end from `here`, where `char` is next.
    fn settle(&self, here: &mut [bool], behind: &[bool], char: Option<char>, dots: bool) {
        let boundary = self.negation.unwrap_or(0);
        for range in [0..boundary, boundary..self.states.len()] {
            loop {
                let mut changed = false;
                for (at, state) in self
                    .states
                    .iter()
                    .enumerate()
                    .skip(range.start)
                    .take(range.len())
                {
                    let known = here.get(at).copied().unwrap_or(false);
                    if !known && reaches(state, at, here, behind, char, dots) {
                        if let Some(slot) = here.get_mut(at) {
                            *slot = true;
                        }
                        changed = true;
                    }
                }
                if !changed {
                    break;
                }
            }
        }
    }
}

fn reaches(
    state: &State,
    at: usize,
    here: &[bool],
    behind: &[bool],
    char: Option<char>,
    dots: bool,
) -> bool {
    let now = |state: usize| here.get(state).copied().unwrap_or(false);
    let then = |state: usize| behind.get(state).copied().unwrap_or(false);
    match state {
        State::End => char.is_none(),
        State::Reached => true,
        State::Char(wanted, next) => char == Some(*wanted) && then(*next),
        State::One(next) => char.is_some() && then(*next),
        State::Star(next) => now(*next) || (char.is_some() && then(at)),
        State::Class(class, next) => char.is_some_and(|char| class.contains(char)) && then(*next),
        State::Either(nexts) => nexts.iter().any(|next| now(*next)),
        State::NoDot(next) => (dots || char != Some('.')) && now(*next),
        State::Some(next) => char.is_some() && now(*next),
        State::NotAhead { not, next } => !now(*not) && now(*next),
    }
}

struct Builder {
    states: Vec<State>,
    negation: Option<usize>,
}

impl Builder {
    fn push(&mut self, state: State) -> Result<usize, GlobError> {
        if self.states.len() >= STATES_MAX {
            return Err(GlobError::TooLong);
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    /// The state before `tokens`, behind which `next` comes.
    fn sequence(&mut self, tokens: &[Token], next: usize) -> Result<usize, GlobError> {
        let mut next = next;
        let mut rest = tokens;
        while let Some((last, before)) = rest.split_last() {
            rest = before;
            next = match last {
                Token::Char(char) => self.push(State::Char(*char, next))?,
                Token::One => self.push(State::One(next))?,
                Token::Star => self.push(State::Star(next))?,
                Token::Class(class) => self.push(State::Class(class.clone(), next))?,
                Token::NoDot => self.push(State::NoDot(next))?,
                Token::Some => self.push(State::Some(next))?,
                Token::Close(repeat) => {
                    let open = opening(before);
                    let inner = before.get(open + 1..).unwrap_or_default();
                    rest = before.get(..open).unwrap_or_default();
                    let behind = tokens.get(before.len() + 1..).unwrap_or_default();
                    self.group(*repeat, inner, behind, next)?
                }
                // Outside of a group there is none.
                Token::Open(_) | Token::Bar => next,
            };
        }
        Ok(next)
    }

    fn group(
        &mut self,
        repeat: Repeat,
        inner: &[Token],
        behind: &[Token],
        next: usize,
    ) -> Result<usize, GlobError> {
        match repeat {
            Repeat::Once => self.alternatives(inner, next),
            Repeat::Optional => {
                let once = self.alternatives(inner, next)?;
                self.push(State::Either(vec![once, next]))
            }
            Repeat::Any | Repeat::AtLeastOnce => {
                let again = self.push(State::Either(vec![next]))?;
                let once = self.alternatives(inner, again)?;
                if let Some(State::Either(nexts)) = self.states.get_mut(again) {
                    nexts.push(once);
                }
                Ok(if repeat == Repeat::Any { again } else { once })
            }
            Repeat::Not => {
                // At the end of the level the alternatives are whole names; elsewhere nothing may
                // follow that begins with one of them and goes on as the pattern does.
                let end = match behind {
                    [] => 0,
                    _ => {
                        let reached = self.push(State::Reached)?;
                        self.sequence(behind, reached)?
                    }
                };
                let not = self.alternatives(inner, end)?;
                let next = self.push(State::Star(next))?;
                let negation = self.push(State::NotAhead { not, next })?;
                self.negation = Some(negation);
                Ok(negation)
            }
        }
    }

    fn alternatives(&mut self, inner: &[Token], next: usize) -> Result<usize, GlobError> {
        let mut starts = Vec::new();
        let mut depth = 0_usize;
        let mut from = 0;
        for (at, token) in inner.iter().enumerate() {
            match token {
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth = depth.saturating_sub(1),
                Token::Bar if depth == 0 => {
                    starts.push(self.sequence(inner.get(from..at).unwrap_or_default(), next)?);
                    from = at + 1;
                }
                _ => {}
            }
        }
        starts.push(self.sequence(inner.get(from..).unwrap_or_default(), next)?);
        self.push(State::Either(starts))
    }
}

/// Where the group begins whose end is behind `tokens`.
fn opening(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().rev() {
        match token {
            Token::Close(_) => depth += 1,
            Token::Open(_) if depth == 0 => return at,
            Token::Open(_) => depth -= 1,
            _ => {}
        }
    }
    0
}
