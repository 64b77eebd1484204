//! Requests that nobody would think of, invented from a seed: the same ones in every run.

use palisade_runtime::contract::Operation;

/// Invents requests.
pub(super) struct Inventor(u64);

const OPERATIONS: &[Operation] = &[
    Operation::Create,
    Operation::Update,
    Operation::Update,
    Operation::Patch,
    Operation::Patch,
    Operation::Read,
    Operation::Read,
    Operation::Delete,
    Operation::List,
];

const FAMILIES: &[&str] = &[
    "data/",
    "data/",
    "data/",
    "metadata/",
    "metadata/",
    "delete/",
    "undelete/",
    "destroy/",
    "subkeys/",
    "config",
    "other/",
];

const KEYS: &[&str] = &["a", "a", "b", "b/c", "ü x", ""];

/// Names that mean something somewhere, and some that do not.
const NAMES: &[&str] = &[
    "data",
    "data",
    "options",
    "cas",
    "version",
    "versions",
    "max_versions",
    "cas_required",
    "delete_version_after",
    "custom_metadata",
    "depth",
    "after",
    "limit",
    "k",
    "é",
    "",
];

/// No exponents: Rust writes those of texts in another form.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "2",
    "-1",
    "3.0",
    "9223372036854775807",
    "9223372036854775808",
    "0.10",
    "\"\"",
    "\"1\"",
    "\" 2 \"",
    "\"x\"",
    "\"1,2\"",
    "\"1h30m\"",
    "\"-5s\"",
    "\"true\"",
    "\"a\\u0000b\\n\"",
    "\"\\ud83d\\ude00\"",
    "[]",
    "[1]",
    "[1,\"2\"]",
    "{}",
];

impl Inventor {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An operation, a path and a body.
    pub(super) fn request(&mut self) -> (Operation, String, String) {
        let (operation, family) = (self.one_of(OPERATIONS), self.one_of(FAMILIES));
        let key = match family {
            "config" => "",
            _ => self.one_of(KEYS),
        };
        (operation, format!("{family}{key}"), self.body())
    }

    /// Mostly what a write of data looks like, so that there is something to find.
    fn body(&mut self) -> String {
        match self.below(4) {
            0 => self.object(0),
            1 => "null".to_owned(),
            _ => format!(
                r#"{{"data":{},"versions":[{}]}}"#,
                self.object(0),
                self.below(9)
            ),
        }
    }

    fn object(&mut self, depth: u64) -> String {
        let mut members: Vec<String> = Vec::new();
        let mut names = NAMES.to_vec();
        for _ in 0..self.below(4) {
            // Each name once: what comes of two is nobody's business.
            let name = names.swap_remove(self.below(names.len() as u64) as usize);
            names.retain(|other| *other != name);
            let value = self.value(depth);
            members.push(format!("\"{name}\":{value}"));
        }
        format!("{{{}}}", members.join(","))
    }

    fn value(&mut self, depth: u64) -> String {
        match self.below(3) {
            0 if depth < 4 => self.object(depth + 1),
            _ => self.one_of(VALUES).to_owned(),
        }
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// As xorshift64* makes them.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}
