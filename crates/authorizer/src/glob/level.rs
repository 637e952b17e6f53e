//! One level of a pattern, read: a name, all names, or something in between.
//!
//! The reading follows minimatch 3.0 character by character, and so do its oddities: what is never
//! closed stands for itself, and a `*` in front of a `)` that closes nothing comes behind it.

use super::automaton::Automaton;
use super::{GlobError, Values};

/// What one level of a pattern says of one level of a topic.
#[derive(Clone, Debug)]
pub(super) enum Level {
    /// This name and no other.
    Name(Box<str>),
    /// `*`: whatever is not empty and does not begin with a dot.
    Any,
    /// `**`: any number of levels that do not begin with a dot.
    Globstar,
    /// Anything else.
    Glob(Automaton),
}

/// A part of a level, in the order of the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Star,
    Class(Class),
    /// `+(`, and the end of it behind the alternatives.
    Open(Repeat),
    Bar,
    Close(Repeat),
    /// Nothing is taken: the next character is no dot.
    NoDot,
    /// Nothing is taken: there is a next character.
    Some,
}

/// How often a group may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// `@(`
    Once,
    /// `?(`
    Optional,
    /// `+(`
    AtLeastOnce,
    /// `*(`
    Any,
    /// `!(`: whatever is none of the alternatives.
    Not,
}

/// `[a-z]`, or all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) negated: bool,
    pub(super) ranges: Vec<(char, char)>,
}

impl Class {
    pub(super) fn contains(&self, char: char) -> bool {
        let found = self
            .ranges
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&char));
        found != self.negated
    }

    /// The class that is between the brackets, `None` if one of its ranges is the wrong way round.
    fn read(parts: &[ClassPart]) -> Option<Self> {
        let negated = parts.first() == Some(&ClassPart::Plain('^'));
        let mut rest = parts.get(usize::from(negated)..).unwrap_or_default();
        let mut ranges = Vec::new();
        while let Some((first, behind)) = rest.split_first() {
            let from = first.char();
            rest = behind;
            let mut to = from;
            if let [ClassPart::Plain('-'), last, behind @ ..] = rest {
                to = last.char();
                rest = behind;
            }
            if to < from {
                return None;
            }
            ranges.push((from, to));
        }
        Some(Self { negated, ranges })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ClassPart {
    Plain(char),
    Escaped(char),
}

impl ClassPart {
    const fn char(self) -> char {
        match self {
            Self::Plain(char) | Self::Escaped(char) => char,
        }
    }
}

impl Level {
    pub(super) fn read(text: &str, values: &Values<'_>) -> Result<Self, GlobError> {
        if text == "**" {
            return Ok(Self::Globstar);
        }
        let chars: Vec<char> = text.chars().collect();
        let mut reader = Reader::new(values);
        reader.read(&chars, false)?;
        if !reader.magic {
            return Ok(Self::Name(unescaped(text, values).into()));
        }
        let stars = |token: &Token| matches!(token, Token::Star);
        if !reader.tokens.is_empty() && reader.tokens.iter().all(stars) {
            return Ok(Self::Any);
        }
        let tokens = reader.guarded(text.starts_with('.'));
        Ok(Self::Glob(Automaton::build(&tokens)?))
    }
}

/// A level without anything special in it: what is behind a backslash stands for itself.
fn unescaped(text: &str, values: &Values<'_>) -> String {
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let char = match char {
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        };
        match values.of(char) {
            Some(value) => name.push_str(value),
            None => name.push(char),
        }
    }
    name
}

/// Characters that mean something in a pattern, or did in what minimatch makes of it.
const SPECIAL: &str = "().*{}+?[]^$\\!";

struct Reader<'a> {
    values: &'a Values<'a>,
    tokens: Vec<Token>,
    /// Whether anything is more than a character.
    magic: bool,
    escaping: bool,
    /// One of `*?+@!`, of which the next character decides what it is.
    pending: Option<char>,
    /// Where groups were opened that are not closed yet, and as what.
    groups: Vec<(usize, Repeat)>,
    class: Option<OpenClass>,
}

struct OpenClass {
    /// Of the bracket in the pattern.
    at: usize,
    parts: Vec<ClassPart>,
}

impl<'a> Reader<'a> {
    fn new(values: &'a Values<'a>) -> Self {
        Self {
            values,
            tokens: Vec::new(),
            magic: false,
            escaping: false,
            pending: None,
            groups: Vec::new(),
            class: None,
        }
    }

    fn read(&mut self, chars: &[char], inside: bool) -> Result<(), GlobError> {
        for (at, char) in chars.iter().copied().enumerate() {
            if self.escaping && SPECIAL.contains(char) {
                self.escaping = false;
                self.character(char, true);
                continue;
            }
            match char {
                '\\' => {
                    self.settle();
                    self.escaping = true;
                }
                '?' | '*' | '+' | '@' | '!' => self.wildcard(char, at),
                '(' => self.open(),
                ')' => self.close(),
                '|' => self.bar(),
                '[' => {
                    self.settle();
                    match &mut self.class {
                        Some(class) => class.parts.push(ClassPart::Escaped('[')),
                        None => {
                            self.class = Some(OpenClass {
                                at,
                                parts: Vec::new(),
                            })
                        }
                    }
                }
                ']' => self.close_class(chars, at)?,
                other => {
                    self.settle();
                    let escaped = core::mem::take(&mut self.escaping);
                    let plain = escaped || !SPECIAL.contains(other) || other == '^';
                    self.character(other, !plain);
                }
            }
        }
        self.finish(chars, inside)
    }

    /// `literal` is whether a class takes it for nothing but itself.
    fn character(&mut self, char: char, literal: bool) {
        match &mut self.class {
            Some(class) if literal => class.parts.push(ClassPart::Escaped(char)),
            Some(class) => class.parts.push(ClassPart::Plain(char)),
            None => match self.values.of(char) {
                Some(value) => self.tokens.extend(value.chars().map(Token::Char)),
                None => self.tokens.push(Token::Char(char)),
            },
        }
    }

    fn settle(&mut self) {
        match self.pending.take() {
            None => {}
            Some('*') => {
                self.tokens.push(Token::Star);
                self.magic = true;
            }
            Some('?') => {
                self.tokens.push(Token::One);
                self.magic = true;
            }
            // In a class there is never one pending that was not in front of it.
            Some(other) => self.tokens.push(Token::Char(other)),
        }
    }

    fn wildcard(&mut self, char: char, at: usize) {
        if let Some(class) = &mut self.class {
            let first = at == class.at + 1;
            class.parts.push(match char {
                '!' if first => ClassPart::Plain('^'),
                other => ClassPart::Plain(other),
            });
            return;
        }
        self.settle();
        self.pending = Some(char);
    }

    fn open(&mut self) {
        if let Some(class) = &mut self.class {
            class.parts.push(ClassPart::Plain('('));
            return;
        }
        let repeat = match self.pending.take() {
            None => {
                self.tokens.push(Token::Char('('));
                return;
            }
            Some('?') => Repeat::Optional,
            Some('+') => Repeat::AtLeastOnce,
            Some('*') => Repeat::Any,
            Some('!') => Repeat::Not,
            Some(_) => Repeat::Once,
        };
        self.groups.push((self.tokens.len(), repeat));
        self.tokens.push(Token::Open(repeat));
    }

    fn close(&mut self) {
        if let Some(class) = &mut self.class {
            class.parts.push(ClassPart::Escaped(')'));
            return;
        }
        if self.groups.is_empty() {
            // What is pending comes behind it, as in minimatch.
            self.tokens.push(Token::Char(')'));
            return;
        }
        self.settle();
        if let Some((_, repeat)) = self.groups.pop() {
            self.magic = true;
            self.tokens.push(Token::Close(repeat));
        }
    }

    fn bar(&mut self) {
        if let Some(class) = &mut self.class {
            class.parts.push(ClassPart::Escaped('|'));
            self.escaping = false;
        } else if self.groups.is_empty() || self.escaping {
            self.tokens.push(Token::Char('|'));
            self.escaping = false;
        } else {
            self.settle();
            self.tokens.push(Token::Bar);
        }
    }

    fn close_class(&mut self, chars: &[char], at: usize) -> Result<(), GlobError> {
        match &mut self.class {
            None => self.tokens.push(Token::Char(']')),
            Some(class) if at == class.at + 1 => class.parts.push(ClassPart::Escaped(']')),
            Some(class) => {
                if let Some(read) = Class::read(&class.parts) {
                    self.magic = true;
                    self.tokens.push(Token::Class(read));
                } else {
                    let inner = chars.get(class.at + 1..at).unwrap_or_default();
                    self.broken_class(inner)?;
                    self.tokens.push(Token::Char(']'));
                }
                self.class = None;
                return Ok(());
            }
        }
        self.escaping = false;
        Ok(())
    }

    /// A bracket that opens nothing: it and what is behind it are read as if there were no class.
    fn broken_class(&mut self, inner: &[char]) -> Result<(), GlobError> {
        let mut reader = Reader::new(self.values);
        reader.read(inner, true)?;
        self.tokens.push(Token::Char('['));
        self.magic |= reader.magic;
        self.tokens
            .extend(reader.guarded(inner.first() == Some(&'.')));
        Ok(())
    }

    fn finish(&mut self, chars: &[char], inside: bool) -> Result<(), GlobError> {
        if let Some(class) = self.class.take() {
            self.broken_class(chars.get(class.at + 1..).unwrap_or_default())?;
        }
        while let Some((at, repeat)) = self.groups.pop() {
            self.magic = true;
            for token in self.tokens.iter_mut().skip(at) {
                if *token == Token::Bar {
                    *token = Token::Char('|');
                }
            }
            let sign = match repeat {
                Repeat::Any => Token::Star,
                Repeat::Optional => Token::One,
                Repeat::Once => Token::Char('@'),
                Repeat::AtLeastOnce => Token::Char('+'),
                Repeat::Not => Token::Char('!'),
            };
            if let Some(token) = self.tokens.get_mut(at) {
                *token = sign;
            }
            self.tokens.insert(at + 1, Token::Char('('));
        }
        self.settle();
        if core::mem::take(&mut self.escaping) {
            self.tokens.push(Token::Char('\\'));
        }
        self.check_negation(inside)
    }

    /// Of `!(…)` a level may have one, outside of other groups and with none around that would
    /// have to be read together with it.
    fn check_negation(&self, inside: bool) -> Result<(), GlobError> {
        let opens = |token: &&Token| matches!(token, Token::Open(_) | Token::Char('('));
        let closes = |token: &&Token| matches!(token, Token::Close(_) | Token::Char(')'));
        let negation = |token: &Token| *token == Token::Open(Repeat::Not);
        let Some(from) = self.tokens.iter().position(negation) else {
            return Ok(());
        };
        let to = self
            .tokens
            .iter()
            .position(|token| *token == Token::Close(Repeat::Not));
        let others = self.tokens.iter().filter(|token| negation(token)).count() > 1;
        let before = self.tokens.iter().take(from).any(|token| opens(&token));
        let behind = self
            .tokens
            .iter()
            .skip(to.map_or(0, |to| to + 1))
            .any(|token| closes(&token));
        if inside || others || (before && behind) {
            return Err(GlobError::Negation);
        }
        Ok(())
    }

    /// The tokens behind what has to hold before the first of them.
    fn guarded(self, begins_with_dot: bool) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(self.tokens.len() + 2);
        let first = self.tokens.first();
        let could_take_dot = matches!(
            first,
            Some(Token::One | Token::Star | Token::Class(_) | Token::Open(_))
        );
        if could_take_dot && !begins_with_dot {
            tokens.push(Token::NoDot);
        }
        if self.magic && !self.tokens.is_empty() {
            tokens.push(Token::Some);
        }
        tokens.extend(self.tokens);
        tokens
    }
}
