//! What a mode cannot do by its nature, and why. Everything else runs in all of them.

use palisade_tests::Mode;

use crate::cases;

/// A case that a mode is excused from.
struct Difference {
    case: &'static str,
    modes: &'static [Mode],
    reason: &'static str,
}

const SHARED_THREADS: &str = "linked into the host: it runs on the host's own threads and in its memory, where \
    nothing can stop a loop, an abort or an allocation";
const NO_PROCESS: &str = "has no process of its own";
const ONE_VALUE: &str = "one value serves the whole mount: there is no second one to tell";
const NO_MEMORY: &str = "keeps nothing in memory from one request to the next";
const NO_LIMIT_YET: &str = "a process's memory is not limited yet: that needs a control group";

const DIFFERENCES: &[Difference] = &[
];

/// Why a mode does not run a case; none when it does.
pub(crate) fn reason(case: &str, mode: Mode) -> Option<&'static str> {
    DIFFERENCES
        .iter()
        .find(|difference| difference.case == case && difference.modes.contains(&mode))
        .map(|difference| difference.reason)
}

/// Every difference is about a case that exists and still runs somewhere.
pub(crate) fn check() {
    for difference in DIFFERENCES {
        let name = difference.case;
        assert!(cases().any(|case| case.name == name), "no case is called {name}");
        let runs = Mode::ALL.iter().any(|mode| reason(name, *mode).is_none());
        assert!(runs, "{name} runs in no mode at all");
    }
}
