//! What the documents point at has to be there: files, folders and the tests that hold an invariant.

use crate::tree::{Faults, Tree};

/// Every file, folder and test that a document names exists.
pub(crate) fn references(tree: &Tree) -> Faults {
    let tests = test_names(tree);
    let mut faults = Vec::new();
    for document in tree.files_with(".md") {
        let text = tree.text(document);
        for span in code_spans(&text) {
            if is_path(tree, span) && !tree.has(span.trim_end_matches('/')) {
                faults.push(format!("{document} names {span}, which does not exist"));
            }
            if is_test_name(span) && !tests.iter().any(|test| test == span) {
                faults.push(format!(
                    "{document} names the test {span}, which does not exist"
                ));
            }
        }
        for link in links(&text) {
            if !tree.has(&beside(document, link)) {
                faults.push(format!("{document} links to {link}, which does not exist"));
            }
        }
    }
    faults
}

/// The documents that name, for each of their items, the tests that hold it; and the letter that the items begin with.
const CHECKLISTS: [(&str, char); 3] = [
    ("docs/go-plugin-host.md", 'H'),
    ("docs/native-attacks.md", 'N'),
    ("docs/wasm-attacks.md", 'W'),
];

/// In a checklist each test is in the file that is named before it, and no item is without a word on how it is held.
pub(crate) fn checklists(tree: &Tree) -> Faults {
    CHECKLISTS
        .into_iter()
        .flat_map(|(document, letter)| faults_of_checklist(tree, document, letter))
        .collect()
}

fn faults_of_checklist(tree: &Tree, document: &str, letter: char) -> Faults {
    let text = tree.text(document);
    let is_item = |line: &&str| {
        let number = line
            .strip_prefix("| ")
            .and_then(|rest| rest.strip_prefix(letter));
        number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let bars = |line: &str| line.matches('|').count();
    let header = text.lines().find(|line| line.starts_with("|---"));
    let width = header.map_or(0, bars);
    let rows = text.lines().filter(is_item);
    rows.flat_map(|row| faults_of_item(tree, document, row, bars(row) == width))
        .collect()
}

fn faults_of_item(tree: &Tree, document: &str, row: &str, is_whole: bool) -> Faults {
    let item = row.split_whitespace().nth(1).unwrap_or_default();
    let held_by = row.trim_end_matches(['|', ' ']).rsplit('|').next();
    if !is_whole || held_by.is_none_or(|cell| cell.trim().is_empty() || row.ends_with("| |")) {
        return vec![format!("{document} does not say what holds {item}")];
    }
    let mut file = None;
    let mut faults = Vec::new();
    for span in code_spans(held_by.unwrap_or_default()) {
        if span.ends_with(".rs") {
            file = Some(span);
        } else if is_test_name(span) && !file.is_some_and(|file| has_function(tree, file, span)) {
            let place = file.unwrap_or("no file");
            faults.push(format!(
                "{document} names {span} for {item}, which {place} does not have"
            ));
        }
    }
    faults
}

fn has_function(tree: &Tree, file: &str, name: &str) -> bool {
    let (text, head) = (tree.text(file), format!("fn {name}"));
    let mut rest = text.split(&head).skip(1);
    rest.any(|after| after.starts_with(['(', '<']))
}

/// What stands between single backticks, outside of fenced blocks.
fn code_spans(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut spans = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

/// Whether a span means a file or folder of the repository: it begins with a folder of the top level.
fn is_path(tree: &Tree, span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
    match span.split_once('/') {
        Some((folder, _)) => {
            span.chars().all(plain) && tree.files().any(|f| f.starts_with(&format!("{folder}/")))
        }
        None => false,
    }
}

/// Whether a span is a sentence in snake case, as only tests are named.
fn is_test_name(span: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    span.chars().all(word) && span.matches('_').count() >= 3
}

/// The names of all functions: a case of the suites is a function like a test.
fn test_names(tree: &Tree) -> Vec<String> {
    let mut names = Vec::new();
    for file in tree.files_with(".rs") {
        let text = tree.text(file);
        for (_, rest) in text
            .match_indices("fn ")
            .map(|(at, m)| text.split_at(at + m.len()))
        {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            names.push(rest[..end.unwrap_or(rest.len())].to_owned());
        }
        // Rules of this suite are made into tests by name.
        let made = text
            .lines()
            .filter_map(|line| line.trim().split_once(" => "));
        names.extend(made.map(|(name, _)| name.to_owned()));
    }
    names
}

/// The targets of links within the repository.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|target| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// A link's target as a path from the root.
fn beside(document: &str, link: &str) -> String {
    match document.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{link}"),
        None => link.to_owned(),
    }
}
