//! Small files that are made to cost much: each is refused by its structure, or its worker is ended at its budget.
//!
//! Those that take their worker's whole budget run with `--ignored` only.

use std::fmt::Write;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use palisade_runtime::worker::{JobBudget, JobError, JobInput, JobRole};
use palisade_runtime::{Profile, Workers};

use super::guest::SECTION;

/// What the server gives an inspector.
const INSPECT: JobBudget = JobBudget {
    memory_bytes: 256 << 20,
    cpu: Duration::from_secs(10),
    wall: Duration::from_secs(10),
    output_bytes_max: 1 << 20,
};

/// What the server gives a compiler.
const COMPILE: JobBudget = JobBudget {
    memory_bytes: 1 << 30,
    cpu: Duration::from_secs(30),
    wall: Duration::from_secs(60),
    output_bytes_max: 128 << 20,
};

/// Little enough that a bomb of a tenth of the size goes off.
const TIGHT: JobBudget = JobBudget {
    memory_bytes: 48 << 20,
    cpu: Duration::from_secs(1),
    wall: Duration::from_secs(60),
    output_bytes_max: 128 << 20,
};

pub(super) fn trials(workers: &Workers) -> Vec<Trial> {
    let mut trials: Vec<_> = oversized()
        .into_iter()
        .map(|(name, what, make)| {
            trial(
                workers,
                &format!("{name}_is_refused_by_its_structure"),
                move |workers| is_refused(&workers, &make(), what),
            )
        })
        .collect();
    for (name, make) in well_formed() {
        let test = move |workers: Workers| is_ended(&workers, &make(1), TIGHT);
        trials.push(trial(
            workers,
            &format!("{name}_is_ended_at_its_budget"),
            test,
        ));
        let test = move |workers: Workers| stays_within(&workers, &make(90), COMPILE);
        let full = trial(
            workers,
            &format!("{name}_of_full_size_stays_within_its_budget"),
            test,
        );
        trials.push(full.with_ignored_flag(true));
    }
    for (name, make) in malformed() {
        let test = move |workers: Workers| is_no_component(&workers, &make());
        trials.push(trial(
            workers,
            &format!("{name}_harm_only_their_worker"),
            test,
        ));
    }
    trials.push(trial(workers, "sparse_data_costs_no_memory", |workers| {
        let bytes = with(
            "(core module (memory 65536) (data (i32.const 0) \"a\") (data (i32.const -2) \"b\"))",
        );
        run(
            &workers,
            JobRole::Inspect(Profile::Ordinary),
            &bytes,
            INSPECT,
        )
        .unwrap();
        run(&workers, JobRole::Compile(Profile::Ordinary), &bytes, TIGHT).unwrap();
    }));
    trials
}

fn trial(workers: &Workers, name: &str, test: impl FnOnce(Workers) + Send + 'static) -> Trial {
    let workers = workers.clone();
    Trial::test(name, move || {
        test(workers);
        Ok::<(), Failed>(())
    })
}

fn run(
    workers: &Workers,
    role: JobRole,
    bytes: &[u8],
    budget: JobBudget,
) -> Result<Vec<u8>, JobError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(workers.run_job(role, JobInput::Bytes(bytes), budget))
}

/// Neither worker takes it, and both say what there is too much of.
fn is_refused(workers: &Workers, bytes: &[u8], what: &str) {
    for (role, budget) in [
        (JobRole::Inspect(Profile::Ordinary), INSPECT),
        (JobRole::Compile(Profile::Ordinary), COMPILE),
    ] {
        match run(workers, role, bytes, budget) {
            Err(JobError::Refused(text)) => assert!(text.contains(what), "{text}"),
            other => panic!("{role:?}: {:?}", other.map(|bytes| bytes.len())),
        }
    }
}

/// Every limit of structure is kept, and compiling it is not done within the budget.
fn is_ended(workers: &Workers, bytes: &[u8], budget: JobBudget) {
    match compiled_within(workers, bytes, budget) {
        Err(error @ (JobError::TimedOut { .. } | JobError::OverMemory { .. })) => {
            assert!(error.to_string().contains("compile worker"), "{error}");
        }
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

/// The same, where a machine may be fast enough to be done.
fn stays_within(workers: &Workers, bytes: &[u8], budget: JobBudget) {
    match compiled_within(workers, bytes, budget) {
        Ok(_) | Err(JobError::TimedOut { .. } | JobError::OverMemory { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// What became of it; either way it has not gone on for longer than it may.
fn compiled_within(
    workers: &Workers,
    bytes: &[u8],
    budget: JobBudget,
) -> Result<Vec<u8>, JobError> {
    run(workers, JobRole::Inspect(Profile::Ordinary), bytes, INSPECT).unwrap();
    let begun = Instant::now();
    let outcome = run(workers, JobRole::Compile(Profile::Ordinary), bytes, budget);
    let took = begun.elapsed();
    assert!(took < budget.wall + Duration::from_secs(5), "{took:?}");
    outcome
}

/// What the inspector does not read, the compiler refuses, or dies of.
fn is_no_component(workers: &Workers, bytes: &[u8]) {
    let _ = run(workers, JobRole::Inspect(Profile::Ordinary), bytes, INSPECT);
    match run(workers, JobRole::Compile(Profile::Ordinary), bytes, COMPILE) {
        Err(
            error @ (JobError::Refused(_)
            | JobError::Killed { .. }
            | JobError::TimedOut { .. }
            | JobError::OverMemory { .. }),
        ) => assert!(!error.to_string().is_empty()),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

/// A component with the section of a plugin, and this.
fn with(content: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {SECTION}) {content})")).unwrap()
}

fn module(content: &str) -> Vec<u8> {
    with(&format!("(core module {content})"))
}

fn function(content: &str) -> Vec<u8> {
    module(&format!("(func {content})"))
}

type Make = fn() -> Vec<u8>;

/// A name, of what there is too much, and how to make it.
fn oversized() -> Vec<(&'static str, &'static str, Make)> {
    vec![
        ("many_functions", "functions", || {
            module(&"(func)".repeat(200_000))
        }),
        ("many_locals", "locals", || {
            let locals = "i32 ".repeat(49_000);
            let work = "(local.set 0 (i32.mul (local.get 1) (local.get 2)))".repeat(6_000);
            function(&format!("(local {locals}) {work}"))
        }),
        ("many_branches", "bytes in one function", || {
            function(&branches(30_000))
        }),
        ("deep_nesting", "blocks inside blocks", || {
            function(&format!(
                "{}{}",
                "block ".repeat(40_000),
                "end ".repeat(40_000)
            ))
        }),
        ("many_segments", "segments", || {
            let mut data = String::new();
            for number in 0_u32..18_000 {
                let _ = write!(data, "(data (i32.const {}) \"x\")", number * 200_000);
            }
            module(&format!("(memory 65536) {data}"))
        }),
        ("wide_tables", "bytes in one function", || {
            let table = format!("(br_table {} (i32.const 0))", "0 ".repeat(60_000));
            function(&table.repeat(20))
        }),
        (
            "nested_components",
            "levels of components",
            nested_components,
        ),
        ("many_modules", "modules and components", || {
            with(&"(core module)".repeat(10_000))
        }),
        ("many_instances", "instances", || {
            with(&format!(
                "(core module $m) {}",
                "(core instance (instantiate $m))".repeat(10_000)
            ))
        }),
        ("many_aliases", "aliases", || {
            let aliases = "(alias export $i \"f\" (func))".repeat(20_001);
            with(&format!(
                "(import \"i\" (instance $i (export \"f\" (func)))) {aliases}"
            ))
        }),
        ("many_exports", "imports and exports", || {
            let mut exports = String::new();
            for number in 0..100_000 {
                let _ = write!(exports, "(export \"{number}\" (func 0))");
            }
            module(&format!("(func) {exports}"))
        }),
        ("large_files", "bytes", || {
            module(&format!("(@custom \"x\" \"{}\")", "x".repeat(9 << 20)))
        }),
    ]
}

type MakeMany = fn(usize) -> Vec<u8>;

/// A name, and how to make so many of them.
fn well_formed() -> Vec<(&'static str, MakeMany)> {
    vec![
        ("a_function_of_branches", |count| {
            let body = format!("(func {})", branches(7_500));
            module(&body.repeat(count))
        }),
        ("a_module_of_small_functions", |count| {
            let body = format!("(func (local i32 i32) {})", conditions(2, count.min(30)));
            module(&body.repeat(20_000))
        }),
    ]
}

/// One function's content: so many conditions, over about as many locals as there may be.
pub(super) fn branches(count: usize) -> String {
    const LOCALS: usize = 1_990;
    let locals = "i32 ".repeat(LOCALS);
    format!("(local {locals}) {}", conditions(LOCALS, count))
}

fn conditions(locals: usize, count: usize) -> String {
    let mut code = String::new();
    for number in 0..count {
        let (condition, to) = (number % locals, (number * 7) % locals);
        let _ = write!(
            code,
            "(if (local.get {condition}) (then (local.set {to} (i32.const {number}))))"
        );
    }
    code
}

/// A thousand components inside one another; the text format does not go as deep.
fn nested_components() -> Vec<u8> {
    const COMPONENT: u8 = 4;
    let mut bytes = with("");
    let header = bytes[..8].to_vec();
    let mut inner = header.clone();
    for _ in 0..1_000 {
        let nested = [
            &header[..],
            &[COMPONENT],
            &super::leb128(inner.len()),
            &inner,
        ]
        .concat();
        inner = nested;
    }
    bytes.push(COMPONENT);
    bytes.extend(super::leb128(inner.len()));
    bytes.extend(inner);
    bytes
}

/// What only who validates it finds out.
fn malformed() -> Vec<(&'static str, Make)> {
    vec![
        ("types_that_double", || {
            let mut types = "(type $t0 (tuple u64 u64))".to_owned();
            for number in 1..30 {
                let before = number - 1;
                let _ = write!(types, "(type $t{number} (tuple $t{before} $t{before}))");
            }
            with(&format!(
                "{types} (type $f (func (param \"x\" $t29))) (import \"f\" (func (type $f)))"
            ))
        }),
        ("types_inside_one_another", super::deep),
        ("names_of_a_megabyte", || {
            module(&format!(
                "(func) (export \"{}\" (func 0))",
                "x".repeat(1 << 20)
            ))
        }),
        ("sections_that_come_twice", || {
            let mut bytes = wat::parse_str(format!("(component (core module {SECTION}))")).unwrap();
            // A core module of two memory sections.
            let twice = [
                0, b'a', b's', b'm', 1, 0, 0, 0, 5, 3, 1, 0, 1, 5, 3, 1, 0, 1,
            ];
            bytes.extend([1, u8::try_from(twice.len()).unwrap()]);
            bytes.extend(twice);
            bytes
        }),
    ]
}
