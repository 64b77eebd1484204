//! One part of a configuration file: takes settings out by name, remembers which were taken, and collects the faults.

use std::collections::BTreeSet;
use std::time::Duration;

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Body};
use palisade_runtime::ErrorKind;

use super::duration;

/// Everything that is wrong with a file so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) texts: Vec<String>,
    kinds: BTreeSet<ErrorKind>,
}

impl Faults {
    /// A file with this one fault.
    pub(super) fn one(text: String) -> Self {
        Self {
            texts: vec![text],
            kinds: BTreeSet::from([ErrorKind::InvalidInput]),
        }
    }

    /// The kind of them all; an input that is invalid when they are of several.
    pub(super) fn kind(&self) -> ErrorKind {
        match self.kinds.first() {
            Some(kind) if self.kinds.len() == 1 => *kind,
            _ => ErrorKind::InvalidInput,
        }
    }
}

fn text_of(value: &Expression) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn name_of(attribute: &Attribute) -> &str {
    attribute.key.as_str()
}

/// The root of a file, or one block of it.
pub(super) struct Section<'file, 'faults> {
    place: String,
    body: &'file Body,
    taken: BTreeSet<&'static str>,
    faults: &'faults mut Faults,
}

impl<'file, 'faults> Section<'file, 'faults> {
    pub(super) fn root(body: &'file Body, faults: &'faults mut Faults) -> Self {
        Self {
            place: String::new(),
            body,
            taken: BTreeSet::new(),
            faults,
        }
    }

    /// Notes a fault of the setting `name`; of the section itself when it is empty.
    pub(super) fn fault(&mut self, name: &str, fault: &str) {
        self.fault_of(ErrorKind::InvalidInput, name, fault);
    }

    /// The same for a fault with a code of its own.
    pub(super) fn fault_of(&mut self, kind: ErrorKind, name: &str, fault: &str) {
        let place = match (self.place.as_str(), name) {
            (place, "") => format!("{place}: "),
            ("", name) => format!("{name}: "),
            (place, name) => format!("{place}: {name}: "),
        };
        self.faults.texts.push(format!("{place}{fault}"));
        self.faults.kinds.insert(kind);
    }

    /// Whether the setting is given at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.body.has_attribute(name)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Expression::String(text) => Some(text.to_string()),
            _ => self.wrong(name, "it is not text in quotes"),
        }
    }

    pub(super) fn required_text(&mut self, name: &'static str) -> Option<String> {
        if !self.has(name) {
            return self.wrong(name, "it is missing");
        }
        match self.text(name)? {
            empty if empty.is_empty() => self.wrong(name, "it is empty"),
            text => Some(text),
        }
    }

    /// The digits of a number, which may be written as text.
    pub(super) fn digits(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Expression::String(text) => Some(text.to_string()),
            Expression::Number(number) => Some(number.value().to_string()),
            _ => self.wrong(name, "it is no number"),
        }
    }

    /// What was made of a setting, if it was given; the fault is noted, and gives `None`.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        value: Option<Result<T, String>>,
        wanted: &str,
    ) -> Option<Option<T>> {
        match value.transpose() {
            Ok(value) => Some(value),
            Err(text) => self.wrong(name, &format!("{text:?} is not {wanted}")),
        }
    }

    /// A list of texts; empty when it is not given.
    pub(super) fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let texts = match self.take(name) {
            None => Some(Vec::new()),
            Some(Expression::Array(items)) => items.iter().map(text_of).collect(),
            Some(_) => None,
        };
        match texts {
            None => self.wrong(
                name,
                "it is not a list of texts, such as [\"one\", \"two\"]",
            ),
            texts => texts,
        }
    }

    /// A boolean; OpenBao's files also write it as text or as a number.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Expression::Bool(flag) => Some(*flag.value()),
            Expression::String(word) if matches!(word.as_str(), "true" | "1") => Some(true),
            Expression::String(word) if matches!(word.as_str(), "false" | "0") => Some(false),
            Expression::Number(number) => match number.value().as_u64() {
                Some(number @ 0..=1) => Some(number == 1),
                _ => self.wrong(name, "it is neither true nor false"),
            },
            _ => self.wrong(name, "it is neither true nor false"),
        }
    }

    pub(super) fn duration(&mut self, name: &'static str) -> Option<Duration> {
        let text = match self.take(name)? {
            Expression::String(text) => text.to_string(),
            Expression::Number(number) => number.value().to_string(),
            _ => return self.wrong(name, "it is not a duration, such as \"1h\""),
        };
        match duration::parse(&text) {
            Ok(duration) => Some(duration),
            Err(fault) => self.wrong(name, &fault),
        }
    }

    /// All blocks of that name, each with its label; at least one. `None` when any of them has a fault.
    pub(super) fn blocks<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&str, &mut Section<'_, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.taken.insert(name);
        let body = self.body;
        let blocks: Vec<&Block> = body.get_blocks(name).collect();
        if blocks.is_empty() {
            return self.wrong(name, "there is no such block and one is needed");
        }
        let all: Vec<Option<T>> = blocks
            .iter()
            .map(|block| self.block(block, &mut read))
            .collect();
        all.into_iter().collect()
    }

    /// The one block of that name.
    pub(super) fn one_block<T>(
        &mut self,
        name: &'static str,
        read: impl FnMut(&str, &mut Section<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        let mut all = self.blocks(name, read)?;
        match all.len() {
            1 => all.pop(),
            _ => self.wrong(name, "there is more than one such block"),
        }
    }

    /// Reports what nobody took.
    pub(super) fn finish(mut self) {
        let (taken, body) = (std::mem::take(&mut self.taken), self.body);
        let attributes = body.attributes().map(name_of);
        let names = attributes.chain(body.blocks().map(|block| block.ident.as_str()));
        let unknown: BTreeSet<_> = names.filter(|name| !taken.contains(name)).collect();
        for name in unknown {
            self.fault(name, "this setting is not known");
        }
    }

    fn block<T>(
        &mut self,
        block: &Block,
        read: &mut impl FnMut(&str, &mut Section<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        let [label] = block.labels.as_slice() else {
            return self.wrong(
                block.ident.as_str(),
                "it needs exactly one label, such as \"tcp\"",
            );
        };
        let mut section = Section {
            place: format!("{} {:?}", block.ident.as_str(), label.as_str()),
            body: &block.body,
            taken: BTreeSet::new(),
            faults: self.faults,
        };
        let value = read(label.as_str(), &mut section);
        section.finish();
        value
    }

    fn take(&mut self, name: &'static str) -> Option<&'file Expression> {
        self.taken.insert(name);
        let body = self.body;
        let mut found = body
            .attributes()
            .filter(|attribute| name_of(attribute) == name);
        let first = found.next()?;
        match found.next() {
            None => Some(&first.value),
            Some(_) => self.wrong(name, "it is set twice"),
        }
    }

    fn wrong<T>(&mut self, name: &str, fault: &str) -> Option<T> {
        self.fault(name, fault);
        None
    }
}
