//! Worker processes: what they get, what ends them, and that nothing of them is left.
//!
//! `main` is this file's own, because [`enter_worker`] has to come first in it.
#![allow(
    clippy::print_stdout,
    reason = "the server that a test plays tells its test what it did"
)]

#[path = "workers/race.rs"]
mod race;
#[path = "workers/standing.rs"]
mod standing;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use palisade_runtime::worker::{
    Attack, CanaryDeed, Execution, JobBudget, JobError, JobInput, JobRole, Layer, Limit,
    ProcessExit, SpawnedProcess, Surroundings,
};
use palisade_runtime::{Workers, enter_worker};

/// How long anything that has to happen may take.
const SOON: Duration = Duration::from_secs(10);

/// Set for a child of this file that plays the server.
const SERVER_VARIABLE: &str = "PALISADE_TEST_SERVER";

fn main() -> ExitCode {
    let workers = enter_worker();
    if std::env::var_os(SERVER_VARIABLE).is_some() {
        return be_a_server(workers);
    }
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials(&workers)).exit_code()
}

fn trials(workers: &Workers) -> Vec<Trial> {
    let trial = |name: &str, test: fn(Workers)| {
        let workers = workers.clone();
        Trial::test(name, move || {
            test(workers);
            Ok::<(), Failed>(())
        })
    };
    vec![
        trial(
            "every_wall_holds_or_says_why_it_does_not",
            every_wall_holds_or_says_why_it_does_not,
        ),
        trial(
            "an_attacker_who_swaps_the_file_runs_nothing",
            race::an_attacker_who_swaps_the_file_runs_nothing,
        ),
        trial(
            "an_attacker_who_rewrites_the_file_runs_nothing",
            race::an_attacker_who_rewrites_the_file_runs_nothing,
        ),
        trial(
            "who_trusts_the_path_runs_what_the_attacker_placed",
            race::who_trusts_the_path_runs_what_the_attacker_placed,
        ),
        trial("a_job_gives_its_result_back", a_job_gives_its_result_back),
        trial(
            "a_job_reads_a_file_that_others_read",
            a_job_reads_a_file_that_others_read,
        ),
        trial("a_job_may_refuse_with_a_text", a_job_may_refuse_with_a_text),
        trial(
            "a_job_that_wants_too_much_memory_is_told_apart",
            a_job_that_wants_too_much_memory_is_told_apart,
        ),
        trial(
            "a_job_that_overflows_its_stack_is_killed",
            a_job_that_overflows_its_stack_is_killed,
        ),
        trial(
            "a_job_that_computes_for_ever_is_ended",
            a_job_that_computes_for_ever_is_ended,
        ),
        trial(
            "a_job_that_sleeps_for_ever_is_ended",
            a_job_that_sleeps_for_ever_is_ended,
        ),
        trial("a_job_that_panics_says_so", a_job_that_panics_says_so),
        trial(
            "a_job_that_makes_too_much_is_told_apart",
            a_job_that_makes_too_much_is_told_apart,
        ),
        trial(
            "a_job_sees_nothing_of_the_server",
            a_job_sees_nothing_of_the_server,
        ),
        trial(
            "a_job_that_was_taken_over_reaches_nothing",
            a_job_that_was_taken_over_reaches_nothing,
        ),
        trial(
            "a_job_gives_way_to_the_server",
            a_job_gives_way_to_the_server,
        ),
        trial(
            "a_process_gets_exactly_what_is_stated",
            a_process_gets_exactly_what_is_stated,
        ),
        trial("a_process_tells_how_it_ended", a_process_tells_how_it_ended),
        trial(
            "a_killed_process_takes_its_group_along",
            a_killed_process_takes_its_group_along,
        ),
        trial(
            "a_process_that_leaves_its_session_ends_as_well",
            a_process_that_leaves_its_session_ends_as_well,
        ),
        trial(
            "dropping_the_handle_kills_the_process",
            dropping_the_handle_kills_the_process,
        ),
        trial(
            "what_cannot_be_executed_is_refused_with_the_reason",
            what_cannot_be_executed_is_refused_with_the_reason,
        ),
        trial(
            "too_long_an_environment_is_refused_with_its_length",
            too_long_an_environment_is_refused_with_its_length,
        ),
        trial(
            "what_stands_by_has_nothing_but_its_outputs_and_its_gate",
            standing::what_stands_by_has_nothing_but_its_outputs_and_its_gate,
        )
        .with_ignored_flag(!standing::may_look_into_processes()),
        trial(
            "what_stands_by_is_walled_in",
            standing::what_stands_by_is_walled_in,
        ),
        trial(
            "what_stands_by_is_closed_to_its_own_user",
            standing::what_stands_by_is_closed_to_its_own_user,
        )
        .with_ignored_flag(!standing::may_look_into_processes()),
        trial(
            "what_nobody_wants_any_more_ends",
            standing::what_nobody_wants_any_more_ends,
        ),
        trial(
            "what_cannot_be_executed_ends_what_stood_by",
            standing::what_cannot_be_executed_ends_what_stood_by,
        ),
        trial(
            "the_spawner_never_has_the_environment_of_a_process",
            standing::the_spawner_never_has_the_environment_of_a_process,
        ),
        trial(
            "many_processes_leave_no_descriptor_behind",
            many_processes_leave_no_descriptor_behind,
        ),
        trial(
            "the_death_of_the_server_ends_everything",
            the_death_of_the_server_ends_everything,
        ),
        trial(
            "the_death_of_the_spawner_ends_everything_and_the_next_start_makes_another",
            the_death_of_the_spawner_ends_everything_and_the_next_start_makes_another,
        ),
        trial(
            "dropping_the_last_handle_ends_the_spawner",
            dropping_the_last_handle_ends_the_spawner,
        ),
        trial(
            "one_sign_alone_makes_no_worker",
            one_sign_alone_makes_no_worker,
        ),
    ]
}

// ---- jobs

const BUDGET: JobBudget = JobBudget {
    memory_bytes: 64 << 20,
    cpu: SOON,
    wall: SOON,
    output_bytes_max: 1 << 20,
};

#[expect(
    clippy::needless_pass_by_value,
    reason = "each test owns a handle, as an embedder does"
)]
fn canary(workers: Workers, deed: CanaryDeed, budget: JobBudget) -> Result<Vec<u8>, JobError> {
    let input = deed.to_input();
    block_on(workers.run_job(JobRole::Canary, JobInput::Bytes(&input), budget))
}

/// As root on a kernel of this decade nothing may be lacking but what the control groups lack; an ordinary user lacks at
/// least a user to give. Each that is lacking has a reason.
fn every_wall_holds_or_says_why_it_does_not(workers: Workers) {
    let found = block_on(async { workers.protections().await.cloned() });
    let found = found.expect("the spawner lives");
    for layer in Layer::ALL {
        let reason = found.lacking().get(&layer);
        assert_ne!(
            found.holding().contains(&layer),
            reason.is_some(),
            "{layer}"
        );
        assert!(reason.is_none_or(|reason| !reason.is_empty()), "{layer}");
    }
    println!("{found:?}");
    let needs_nobody = [Layer::Seccomp, Layer::LandlockFiles];
    assert!(
        needs_nobody
            .iter()
            .all(|layer| found.holding().contains(layer)),
        "{found:?}"
    );
}

fn a_job_gives_its_result_back(workers: Workers) {
    let result = canary(workers, CanaryDeed::Behave, BUDGET).expect("the job is done");
    assert_eq!(result, CanaryDeed::Behave.to_input());
}

fn a_job_reads_a_file_that_others_read(workers: Workers) {
    let input = CanaryDeed::Behave.to_input();
    let file = memory_file(&input);
    block_on(async {
        let job = || workers.run_job(JobRole::Canary, JobInput::File(file.as_fd()), BUDGET);
        let (one, other) = tokio::join!(job(), job());
        assert_eq!(one.expect("the first is done"), input);
        assert_eq!(other.expect("the second is done"), input);
    });
}

fn a_job_may_refuse_with_a_text(workers: Workers) {
    let job = workers.run_job(JobRole::Canary, JobInput::Bytes(b"nonsense"), BUDGET);
    match block_on(job) {
        Err(JobError::Refused(text)) => assert_eq!(text, "no such deed"),
        other => panic!("{other:?}"),
    }
}

fn a_job_that_wants_too_much_memory_is_told_apart(workers: Workers) {
    match canary(workers, CanaryDeed::Allocate, BUDGET) {
        Err(JobError::OverMemory {
            role: "canary",
            limit,
        }) => assert_eq!(limit, 64 << 20),
        other => panic!("{other:?}"),
    }
}

fn a_job_that_overflows_its_stack_is_killed(workers: Workers) {
    match canary(workers, CanaryDeed::Recurse, BUDGET) {
        Err(JobError::Killed {
            exit: ProcessExit::Signal(_),
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
}

fn a_job_that_computes_for_ever_is_ended(workers: Workers) {
    let cpu = Duration::from_secs(1);
    match canary(workers, CanaryDeed::Loop, JobBudget { cpu, ..BUDGET }) {
        Err(JobError::TimedOut { limit, .. }) => assert_eq!(limit, cpu),
        other => panic!("{other:?}"),
    }
}

fn a_job_that_sleeps_for_ever_is_ended(workers: Workers) {
    let wall = Duration::from_millis(200);
    match canary(workers, CanaryDeed::Sleep, JobBudget { wall, ..BUDGET }) {
        Err(JobError::TimedOut { limit, .. }) => assert_eq!(limit, wall),
        other => panic!("{other:?}"),
    }
}

fn a_job_that_panics_says_so(workers: Workers) {
    match canary(workers, CanaryDeed::Panic, BUDGET) {
        Err(JobError::Failed { fault, .. }) => assert_eq!(fault, "panicked: as asked"),
        other => panic!("{other:?}"),
    }
}

fn a_job_that_makes_too_much_is_told_apart(workers: Workers) {
    let fits = canary(workers.clone(), CanaryDeed::Output(1 << 20), BUDGET);
    assert_eq!(fits.expect("it fits exactly").len(), 1 << 20);
    match canary(workers, CanaryDeed::Output((1 << 20) + 1), BUDGET) {
        Err(JobError::OverOutput { limit, .. }) => assert_eq!(limit, 1 << 20),
        other => panic!("{other:?}"),
    }
}

/// What each attack comes to in a job, and, as the control, in this process, which has no walls.
fn a_job_that_was_taken_over_reaches_nothing(workers: Workers) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    for attack in Attack::all(port) {
        let told = canary(workers.clone(), CanaryDeed::Attack(attack), BUDGET);
        let told = String::from_utf8(told.expect("the job is done")).expect("it is text");
        assert!(told.contains("not permitted"), "{attack:?}: {told:?}");
        attack
            .attempt()
            .unwrap_or_else(|fault| panic!("{attack:?} fails without walls too: {fault}"));
    }
}

fn a_job_gives_way_to_the_server(workers: Workers) {
    let spawner = workers.process_id().expect("there is a spawner");
    let is_nice = move || {
        let start = Instant::now();
        while !niceness_of_jobs(spawner).contains(&10) {
            assert!(start.elapsed() < SOON, "no job is nice");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let wall = SOON;
    let sleep = CanaryDeed::Sleep.to_input();
    block_on(async {
        let budget = JobBudget { wall, ..BUDGET };
        let job = workers.run_job(JobRole::Canary, JobInput::Bytes(&sleep), budget);
        tokio::select! {
            _ = job => panic!("it sleeps for ever"),
            seen = tokio::task::spawn_blocking(is_nice) => seen.expect("a job is nice"),
        }
    });
    // The control: whoever started it is less so.
    let of_spawner = niceness(spawner).map(|(_, nice)| nice);
    assert!(of_spawner.is_some_and(|nice| nice < 10), "{of_spawner:?}");
}

fn niceness_of_jobs(spawner: u32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("there is /proc");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let all = numbers.filter_map(niceness);
    all.filter(|(parent, _)| *parent == spawner)
        .map(|(_, nice)| nice)
        .collect()
}

/// The parent of a process, and its niceness: the 4th and 19th field of its line.
fn niceness(process: u32) -> Option<(u32, i32)> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(14)?.parse().ok()?))
}

fn a_job_sees_nothing_of_the_server(workers: Workers) {
    let leak = leaking_descriptor();
    let told = canary(workers.clone(), CanaryDeed::Tell, BUDGET).expect("the job is done");
    drop(leak);
    let (environment, descriptors, limits, status, groups): (
        Vec<String>,
        Vec<String>,
        String,
        String,
        String,
    ) = serde_json::from_slice(&told).expect("the canary tells JSON");
    assert_eq!(environment, ["PALISADE_WORKER_ROLE"]);
    assert_eq!(sorted(descriptors), ["0", "1", "2"]);
    assert!(
        line(&limits, "Max core file size").contains(" 0 "),
        "{limits}"
    );
    assert!(
        line(&limits, "Max data size").contains(" 67108864 "),
        "{limits}"
    );
    assert!(line(&limits, "Max open files").contains(" 16 "), "{limits}");
    assert!(line(&status, "NoNewPrivs:").ends_with('1'), "{status}");
    assert!(line(&status, "Threads:").ends_with("\t1"), "{status}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert!(
            line(&status, set).ends_with("\t0000000000000000"),
            "{status}"
        );
    }
    let found = block_on(async { workers.protections().await.cloned() });
    let holding = found.expect("the spawner lives").holding().clone();
    // Not the group that a server makes room in, which has no number.
    let is_of_a_spawner = |name: &str| {
        let number = name.strip_prefix("palisade-");
        number.is_some_and(|number| number.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    let is_capped = groups.split('/').any(is_of_a_spawner);
    assert_eq!(is_capped, holding.contains(&Layer::MemoryLimit), "{groups}");
}

// ---- processes

fn a_process_gets_exactly_what_is_stated(workers: Workers) {
    let leak = leaking_descriptor();
    let script = "tr '\\0' '\\n' </proc/self/environ; ls /proc/self/fd; pwd; \
                  read -r line && echo input; ulimit -c; ulimit -n; grep -E 'Sig(Blk|Ign)' /proc/self/status";
    let surroundings = Surroundings {
        directory: Some("/usr".to_owned()),
        limits: vec![(Limit::Core, 0), (Limit::Descriptors, 32)],
        ..Surroundings::default()
    };
    let (text, exit) = block_on(async {
        let started = workers.spawn(surroundings, shell(script)).await;
        let started = started.expect("a shell starts");
        let exit = started.process.exited().await;
        (read(started.stdout), exit)
    });
    drop(leak);
    let lines: Vec<_> = text.lines().collect();
    // `ls` has its own descriptor 3 on the directory it lists.
    let expected = [
        "ONLY=this",
        "0",
        "1",
        "2",
        "3",
        "/usr",
        "0",
        "32",
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
    ];
    assert_eq!(lines, expected);
    assert_eq!(exit, ProcessExit::Code(0));
}

fn a_process_tells_how_it_ended(workers: Workers) {
    block_on(async {
        let seven = start(&workers, "exit 7").await;
        assert_eq!(seven.process.exited().await, ProcessExit::Code(7));
        let killed = start(&workers, "kill -TERM $$; sleep 1000").await;
        assert_eq!(killed.process.exited().await, ProcessExit::Signal(15));
        assert_eq!(killed.process.exit(), Some(ProcessExit::Signal(15)));
    });
}

fn a_killed_process_takes_its_group_along(workers: Workers) {
    block_on(async {
        let started = start(&workers, "sleep 1000 & echo $!; wait").await;
        let child = first_line(&started);
        started.process.kill();
        assert_eq!(started.process.exited().await, ProcessExit::Signal(9));
        await_end(&child);
    });
}

fn a_process_that_leaves_its_session_ends_as_well(workers: Workers) {
    block_on(async {
        let script = "setsid sh -c 'echo $$; exec sleep 1000' & wait";
        let started = start(&workers, script).await;
        let child = first_line(&started);
        started.process.kill();
        started.process.exited().await;
        await_end(&child);
    });
}

fn dropping_the_handle_kills_the_process(workers: Workers) {
    block_on(async {
        let started = start(&workers, "echo $$; sleep 1000").await;
        let process = first_line(&started);
        drop(started);
        await_end(&process);
    });
}

fn what_cannot_be_executed_is_refused_with_the_reason(workers: Workers) {
    let file = memory_file(b"this is no program");
    let execution = Execution {
        executable: file.as_fd(),
        ..shell("")
    };
    match block_on(workers.spawn(Surroundings::default(), execution)) {
        Err(error) => assert!(error.to_string().contains("Exec format error"), "{error}"),
        Ok(_) => panic!("it ran"),
    }
}

fn too_long_an_environment_is_refused_with_its_length(workers: Workers) {
    let mut execution = shell("true");
    let long = ("LONG".to_owned(), "x".repeat(200_000));
    execution.env.push(long);
    match block_on(workers.spawn(Surroundings::default(), execution)) {
        Err(error) => assert!(error.to_string().contains("131072 are allowed"), "{error}"),
        Ok(_) => panic!("it ran"),
    }
}

fn many_processes_leave_no_descriptor_behind(workers: Workers) {
    let spawner = workers.process_id().expect("there is a spawner");
    block_on(async {
        for _ in 0..50 {
            let started = start(&workers, "true").await;
            assert_eq!(started.process.exited().await, ProcessExit::Code(0));
        }
    });
    // Other tests run at the same time, so this is no exact number, but fifty leaks would show.
    let open = std::fs::read_dir(format!("/proc/{spawner}/fd"))
        .expect("the spawner lives")
        .count();
    assert!(open < 40, "the spawner has {open} descriptors open");
}

// ---- ends

fn the_death_of_the_server_ends_everything(_: Workers) {
    let (mut server, mut lines) = start_server();
    let children = [
        lines.next_number(),
        lines.next_number(),
        lines.next_number(),
    ];
    server.kill().expect("the server can be killed");
    server.wait().expect("the server can be reaped");
    for child in &children {
        await_end(child);
    }
}

fn the_death_of_the_spawner_ends_everything_and_the_next_start_makes_another(_: Workers) {
    let (mut server, mut lines) = start_server();
    let [spawner, process, _grandchild] = [
        lines.next_number(),
        lines.next_number(),
        lines.next_number(),
    ];
    kill(&spawner);
    await_end(&spawner);
    await_end(&process);
    assert_eq!(lines.next_number(), "ended together with the spawner");
    assert_eq!(lines.next_number(), "started");
    assert_ne!(lines.next_number(), spawner);
    server.wait().expect("the server can be reaped");
}

fn dropping_the_last_handle_ends_the_spawner(_: Workers) {
    let (mut server, mut lines) = start_server_with("drop");
    let spawner = lines.next_number();
    await_end(&spawner);
    server.kill().expect("the server can be killed");
    server.wait().expect("the server can be reaped");
}

fn one_sign_alone_makes_no_worker(_: Workers) {
    let exe = std::env::current_exe().expect("this file has a name");
    let ordinary = |command: &mut Command| {
        let output = command
            .arg("--list")
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        String::from_utf8_lossy(&output.stdout).contains("one_sign_alone_makes_no_worker")
    };
    assert!(ordinary(
        Command::new(&exe).env("PALISADE_WORKER_ROLE", "palisade-spawner")
    ));
    assert!(ordinary(Command::new(&exe).arg0("palisade-spawner")));
    let mut both = Command::new(&exe);
    both.env("PALISADE_WORKER_ROLE", "palisade-spawner")
        .arg0("palisade-spawner");
    assert!(ordinary(&mut both), "without the socket it is no spawner");
}

/// Plays the server that a test asked for.
fn be_a_server(workers: Workers) -> ExitCode {
    println!("{}", workers.process_id().expect("there is a spawner"));
    match std::env::var(SERVER_VARIABLE).as_deref() {
        Ok("drop") => {
            drop(workers);
            loop {
                std::thread::park();
            }
        }
        Ok(standing::SERVER) => block_on(standing::serve(&workers)),
        _ => block_on(serve(&workers)),
    }
    ExitCode::SUCCESS
}

/// Starts a process with a child, tells their numbers and how it ended, and starts another.
async fn serve(workers: &Workers) {
    let started = start(workers, "sleep 1000 & echo $!; wait").await;
    println!("{}", started.process.id());
    println!("{}", first_line(&started));
    println!("{}", started.process.exited().await);
    let surroundings = Surroundings::default();
    match workers.spawn(surroundings, shell("true")).await {
        Ok(_) => println!("started"),
        Err(error) => println!("{error}"),
    }
    println!("{}", workers.process_id().expect("there is another"));
}

struct Lines(BufReader<std::process::ChildStdout>);

impl Lines {
    fn next_number(&mut self) -> String {
        let mut line = String::new();
        self.0
            .read_line(&mut line)
            .expect("the server writes lines");
        line.trim().to_owned()
    }
}

fn start_server() -> (Child, Lines) {
    start_server_with("serve")
}

fn start_server_with(how: &str) -> (Child, Lines) {
    let mut server = Command::new("/proc/self/exe")
        .env(SERVER_VARIABLE, how)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test can start itself");
    let lines = Lines(BufReader::new(
        server.stdout.take().expect("it was asked for"),
    ));
    (server, lines)
}

// ---- tools

async fn start(workers: &Workers, script: &str) -> SpawnedProcess {
    let started = workers.spawn(Surroundings::default(), shell(script)).await;
    started.expect("a shell starts")
}

fn shell(script: &str) -> Execution<'static> {
    Execution {
        executable: shell_file().as_fd(),
        argv: vec!["shell".to_owned(), "-c".to_owned(), script.to_owned()],
        env: vec![("ONLY".to_owned(), "this".to_owned())],
    }
}

fn shell_file() -> &'static OwnedFd {
    static SHELL: std::sync::OnceLock<OwnedFd> = std::sync::OnceLock::new();
    SHELL.get_or_init(|| File::open("/bin/sh").expect("there is a shell").into())
}

fn memory_file(bytes: &[u8]) -> OwnedFd {
    let file =
        rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).expect("it can be made");
    rustix::io::pwrite(&file, bytes, 0).expect("it can be written");
    file
}

/// A descriptor of this process that every child would inherit.
fn leaking_descriptor() -> OwnedFd {
    let file = memory_file(b"canary");
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("it can be made to leak");
    file
}

fn read(stdout: OwnedFd) -> String {
    let mut text = String::new();
    File::from(stdout)
        .read_to_string(&mut text)
        .expect("it is text");
    text
}

fn first_line(started: &SpawnedProcess) -> String {
    let stdout = started.stdout.try_clone().expect("it can be doubled");
    let mut line = String::new();
    BufReader::with_capacity(1, File::from(stdout))
        .read_line(&mut line)
        .expect("it is text");
    line.trim().to_owned()
}

/// Waits until a process is gone; a zombie is not gone yet.
fn await_end(pid: &str) {
    let start = Instant::now();
    assert!(pid.parse::<u32>().is_ok(), "{pid:?} is no process");
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(start.elapsed() < SOON, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(pid: &str) {
    let pid = pid
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("it is a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it can be killed");
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_default()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
        .block_on(future)
}
