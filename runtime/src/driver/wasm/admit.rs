//! The server's half of an inspection: what becomes of each import, and whether the component may be registered.

use super::clip;
use super::inspect::Inspection;
use crate::RegisterError;
use crate::catalog::{Import, Survey, Verdict};
use palisade_contract::SectionFacts;

/// The major and minor version of the contract, within which everything fits together.
const CONTRACT_TRACK: (u64, u64) = (0, 1);

/// The major and minor version of WASI that toolchains build against.
const WASI_TRACK: (u64, u64) = (0, 2);

/// What the contract offers.
const CONTRACT_IMPORTS: &[&str] = &[
    "palisade:plugin/types",
    "palisade:plugin/storage",
    "palisade:plugin/system",
    "palisade:plugin/log",
    "palisade:plugin/clock",
    "palisade:plugin/random",
    "palisade:plugin/deadline",
];

/// What of WASI is given: time, randomness, and output that goes to the log.
const WASI_GRANTED: &[&str] = &[
    "wasi:cli/exit",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// What standard libraries and interpreters import whether they need it or not, each linked with nothing behind it unless
/// the entry is granted something.
const WASI_STUBBED: &[&str] = &[
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:cli/environment",
    "wasi:cli/stdin",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
];

/// What they import as well, and [`deny`](super::deny) answers.
const WASI_DENIED: &[&str] = &[
    "wasi:sockets/network",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Makes a survey of a worker's answer, believing of it what can be checked.
///
/// # Errors
///
/// [`RegisterError::Worker`] when it is no answer.
pub(crate) fn survey(answer: &[u8]) -> Result<Survey, RegisterError> {
    let found: Inspection = serde_json::from_slice(answer).map_err(|error| {
        RegisterError::Worker(format!(
            "the inspector answered with no inspection: {error}"
        ))
    })?;
    let imports = found.imports.iter();
    Ok(Survey {
        facts: found.facts,
        imports: imports
            .map(|name| Import {
                name: clip::name(name),
                verdict: verdict(name),
            })
            .collect(),
        exports: found.exports.iter().map(|it| clip::name(it)).collect(),
        structure: found.structure,
        producers: found.producers,
    })
}

/// Says yes or no to what was found.
///
/// # Errors
///
/// [`RegisterError::Import`] with every import that no plugin is given, [`RegisterError::Component`] when it is of another
/// contract or no plugin.
pub(crate) fn admit(survey: &Survey) -> Result<(), RegisterError> {
    check_imports(&survey.imports)?;
    check_exports(&survey.exports)?;
    check_contract(&survey.facts)
}

fn check_imports(imports: &[Import]) -> Result<(), RegisterError> {
    let refused = imports
        .iter()
        .filter(|import| import.verdict == Verdict::Refused);
    let refused: Vec<_> = refused.map(|import| import.name.clone()).collect();
    match refused.is_empty() {
        true => Ok(()),
        false => Err(RegisterError::Import { imports: refused }),
    }
}

fn check_exports(exports: &[String]) -> Result<(), RegisterError> {
    let backend = |name: &String| {
        Interface::parse(name).is_some_and(|it| {
            it.path == "palisade:plugin/backend" && it.is_of_track(CONTRACT_TRACK)
        })
    };
    if exports.iter().any(backend) {
        return Ok(());
    }
    let found: Vec<_> = exports.iter().map(|name| clip::name(name)).collect();
    Err(RegisterError::Component(format!(
        "it exports {found:?}, but not palisade:plugin/backend@0.1.x"
    )))
}

/// A section may name any contract of this track: what it was built against loads for ever.
fn check_contract(facts: &SectionFacts) -> Result<(), RegisterError> {
    let known = semver::Version::parse(&facts.contract)
        .is_ok_and(|version| (version.major, version.minor) == CONTRACT_TRACK);
    if known {
        return Ok(());
    }
    Err(RegisterError::Component(format!(
        "it was built against contract {:?}, this runtime speaks 0.1.x",
        clip::name(&facts.contract)
    )))
}

/// What becomes of an import of that name.
fn verdict(name: &str) -> Verdict {
    let Some(interface) = Interface::parse(name) else {
        return Verdict::Refused;
    };
    if interface.is_one_of(CONTRACT_IMPORTS, CONTRACT_TRACK)
        || interface.is_one_of(WASI_GRANTED, WASI_TRACK)
    {
        return Verdict::Granted;
    }
    match interface.is_one_of(WASI_STUBBED, WASI_TRACK)
        || interface.is_one_of(WASI_DENIED, WASI_TRACK)
    {
        true => Verdict::Stubbed,
        false => Verdict::Refused,
    }
}

/// Whether an import of that name is answered with a denial, by its shape alone.
pub(super) fn is_denied(name: &str) -> bool {
    Interface::parse(name).is_some_and(|interface| interface.is_one_of(WASI_DENIED, WASI_TRACK))
}

/// The name of an interface in parts, such as `wasi:io/poll@0.2.6`.
struct Interface<'a> {
    path: &'a str,
    version: semver::Version,
}

impl<'a> Interface<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (path, version) = name.split_once('@')?;
        let version = semver::Version::parse(version).ok()?;
        Some(Self { path, version })
    }

    fn is_one_of(&self, paths: &[&str], track: (u64, u64)) -> bool {
        paths.contains(&self.path) && self.is_of_track(track)
    }

    /// Patch versions of a track fit together; what comes before a release does not.
    fn is_of_track(&self, (major, minor): (u64, u64)) -> bool {
        let version = &self.version;
        (version.major, version.minor) == (major, minor) && version.pre.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Structure;
    use crate::driver::wasm::exports::BACKEND;

    fn found(imports: &[&str], exports: &[&str]) -> Survey {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let answer = serde_json::to_vec(&Inspection {
            facts: SectionFacts::parse(br#"{"contract":"0.1.7","type":"auth","version":""}"#)
                .unwrap(),
            imports: names(imports),
            exports: names(exports),
            structure: Structure::default(),
            producers: Vec::new(),
        });
        survey(&answer.unwrap()).unwrap()
    }

    fn verdicts(imports: &[&str]) -> Vec<Verdict> {
        let survey = found(imports, &[BACKEND]);
        survey.imports.iter().map(|import| import.verdict).collect()
    }

    #[test]
    fn granted_imports_are_known_by_interface_and_track() {
        let imports = [
            "palisade:plugin/storage@0.1.0",
            "palisade:plugin/types@0.1.9",
            "wasi:io/poll@0.2.0",
            "wasi:random/insecure@0.2.6",
        ];
        assert_eq!(verdicts(&imports), [Verdict::Granted; 4]);
        admit(&found(&imports, &[BACKEND])).unwrap();
    }

    #[test]
    fn what_toolchains_import_for_nothing_is_stubbed() {
        let imports = [
            "wasi:cli/environment@0.2.0",
            "wasi:cli/terminal-stderr@0.2.99",
            "wasi:filesystem/preopens@0.2.6",
            "wasi:sockets/tcp-create-socket@0.2.6",
        ];
        assert_eq!(verdicts(&imports), [Verdict::Stubbed; 4]);
        admit(&found(&imports, &[BACKEND])).unwrap();
        assert!(is_denied(imports[3]) && !is_denied(imports[2]));
    }

    #[test]
    fn every_other_import_is_refused_by_name() {
        let others = [
            "wasi:http/outgoing-handler@0.2.6",
            "wasi:filesystem/types@0.3.0",
            "wasi:sockets/tls@0.2.6",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll@0.2.0-rc-2023-11-10",
            "wasi:io/poll",
            "palisade:plugin/storage@0.2.0",
            BACKEND,
            "wasi:io/p\u{43e}ll@0.2.0",
            "bare",
        ];
        let imports = [&others[..], &["wasi:io/poll@0.2.0"]].concat();
        match admit(&found(&imports, &[BACKEND])).unwrap_err() {
            RegisterError::Import { imports } => assert_eq!(imports.len(), others.len()),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn no_import_has_two_verdicts() {
        let all = [CONTRACT_IMPORTS, WASI_GRANTED, WASI_STUBBED, WASI_DENIED].concat();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), distinct.len());
    }

    #[test]
    fn a_component_that_exports_no_backend_is_refused() {
        let survey = found(
            &[],
            &["palisade:plugin/backend@0.2.0", "wasi:cli/run@0.2.0"],
        );
        let fault = admit(&survey).unwrap_err().to_string();
        assert!(fault.contains("palisade:plugin/backend@0.1.x"), "{fault}");
    }
}
