//! The rules of the house, as tests: what stands where, who may name whom, what never changes.
//!
//! A rule is a function from a tree of files to the faults it finds. Each is held against the repository, and against
//! a copy of it with a breach planted: a rule that finds nothing there would prove nothing here.

mod breaches;
mod crates;
mod documents;
mod frozen;
mod layout;
mod modules;
mod source;
mod tree;

use breaches::BREACHES;
use tree::{Faults, Tree};

/// Makes each rule a test of that name, and all of them a list.
macro_rules! rules {
    ($($name:ident => $check:path,)*) => {
        $(
            #[test]
            fn $name() {
                let faults = $check(&Tree::repository());
                assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
            }
        )*

        /// Every rule by its name.
        const RULES: &[(&str, fn(&Tree) -> Faults)] = &[$((stringify!($name), $check)),*];
    };
}

rules! {
    the_top_level_holds_what_the_design_says => layout::top_level,
    every_source_file_opens_with_what_it_is_for => layout::opening_lines,
    no_module_is_a_mod_rs => layout::no_mod_rs,
    unsafe_code_stays_in_the_files_that_are_listed => layout::unsafe_homes,
    every_package_takes_the_workspace_lints => layout::lint_tables,
    nothing_speaks_of_the_workshop_it_was_made_in => layout::workshop_words,
    packages_depend_along_the_arrows => crates::arrows,
    the_engine_and_the_rpc_stack_are_named_at_home_only => crates::homes,
    a_guest_and_its_library_have_different_names => crates::guest_names,
    one_tls_stack_is_compiled_from_one_registry => crates::supply,
    modules_of_the_runtime_know_only_what_lies_below => modules::arrows,
    a_released_contract_is_never_changed => frozen::contracts,
    documents_name_files_and_tests_that_exist => documents::references,
    the_checklists_name_tests_in_the_files_that_have_them => documents::checklists,
}

#[test]
fn every_planted_breach_is_found() {
    for breach in BREACHES {
        let (_, check) = RULES
            .iter()
            .find(|(name, _)| *name == breach.rule)
            .unwrap_or_else(|| panic!("no rule is called {}", breach.rule));
        let copy = Tree::repository().copy().expect("a tree can be copied");
        (breach.plant)(copy.root()).unwrap_or_else(|fault| panic!("{}: {fault}", breach.what));
        let faults = check(&copy.reread());
        assert!(
            faults.iter().any(|fault| fault.contains(breach.names)),
            "{} does not see that {}: {faults:?}",
            breach.rule,
            breach.what
        );
    }
}

#[test]
fn every_rule_has_a_planted_breach() {
    for (name, _) in RULES {
        assert!(
            BREACHES.iter().any(|breach| breach.rule == *name),
            "{name} has no breach that proves it"
        );
    }
}
