//! What a mode cannot do by its nature, and why. Everything else runs in all of them.

use palisade_tests::Mode;

use crate::cases;

/// A case that a mode is excused from.
struct Difference {
    case: &'static str,
    modes: &'static [Mode],
    reason: &'static str,
}

const BUILTIN: &[Mode] = &[Mode::Builtin];
const COMPONENTS: &[Mode] = &[Mode::WasmCall, Mode::WasmMount];
const ALL_BUT_NATIVE: &[Mode] = &[Mode::Builtin, Mode::WasmCall, Mode::WasmMount];
const ALL_BUT_COMPONENTS: &[Mode] = &[Mode::Builtin, Mode::Native];

const SHARED_THREADS: &str = "it is linked into the host and runs on the host's own threads and in its memory, where \
    nothing can stop a loop, an abort or an allocation";
const SHARED_PROCESS: &str =
    "it is linked into the host: environment and descriptors are the host's own";
const NO_ARTIFACT: &str = "it has no file that could change or be missing";
const NO_PROCESS: &str = "it has no process of its own";
const NO_START: &str =
    "a component is not started again after a trap: each request finds a fresh store";
const NO_FUEL: &str = "only a component's instructions are counted";
const NO_ENTRY: &str =
    "it is not registered, so that nobody states its limits: it has the defaults";
const NO_STACK: &str = "what a process was doing when it died only its own output tells, and a builtin dies with its host";
const NO_FOLDERS: &str = "folders are granted to components only: what a process can reach is up to its walls, and a builtin \
    reaches what its host does";
const SHARED_MEMORY: &str = "it is linked into the host, whose memory it shares";
const ENDED_FOR_MEMORY: &str =
    "the kernel refuses a process no memory: it ends the one that holds too much";

const DIFFERENCES: &[Difference] = &[
    // Deadlines and crashes, which a builtin shares with its host.
    shared("a_plugin_that_waits_too_long_meets_its_deadline"),
    shared("a_plugin_that_sleeps_meets_its_deadline"),
    shared("an_endless_loop_meets_its_deadline"),
    shared("an_endless_fill_of_memory_is_ended"),
    shared("a_loop_in_one_mount_does_not_hold_up_another"),
    shared("endless_recursion_ends_the_call_and_nothing_else"),
    shared("a_caller_that_goes_away_leaves_the_mount_in_order"),
    shared("requests_run_side_by_side"),
    shared("a_transaction_that_lost_to_another_request_is_told"),
    shared("a_write_after_a_commit_and_before_the_answer_follows_the_rule_of_the_mode"),
    shared("a_crash_is_told_and_the_next_request_is_served"),
    shared("an_exit_is_told_and_the_next_request_is_served"),
    shared("a_crash_of_one_mount_leaves_its_sister_alone"),
    shared("mounts_of_one_entry_are_all_served_after_a_crash_of_one"),
    shared("a_crash_loses_memory_and_keeps_storage"),
    shared("a_request_that_may_have_had_an_effect_is_not_sent_again"),
    shared("writes_before_a_trap_follow_the_rule_of_the_mode"),
    shared("writes_before_a_timeout_follow_the_rule_of_the_mode"),
    shared("a_setup_that_dies_fails_the_enable"),
    shared("a_setup_that_hangs_is_given_up"),
    shared("a_start_that_hangs_delays_only_its_own_callers"),
    shared("a_busy_loop_does_not_hold_up_a_stop_for_ever"),
    // What a process is given.
    except(
        "the_environment_holds_nothing_of_the_host",
        BUILTIN,
        SHARED_PROCESS,
    ),
    except(
        "no_descriptor_of_the_host_is_inherited",
        BUILTIN,
        SHARED_PROCESS,
    ),
    except(
        "what_a_plugin_prints_reaches_no_answer",
        BUILTIN,
        SHARED_PROCESS,
    ),
    // Files.
    except(
        "bytes_registered_anew_run_from_the_next_reload_on",
        BUILTIN,
        NO_ARTIFACT,
    ),
    except(
        "a_file_that_changed_is_refused_at_the_next_start",
        BUILTIN,
        NO_ARTIFACT,
    ),
    except(
        "a_reload_that_fails_leaves_the_old_generation_serving",
        BUILTIN,
        NO_ARTIFACT,
    ),
    except(
        "an_entry_whose_file_is_gone_does_not_hold_up_the_others",
        BUILTIN,
        NO_ARTIFACT,
    ),
    // Processes.
    except(
        "a_killed_process_is_replaced_at_the_next_request",
        ALL_BUT_NATIVE,
        NO_PROCESS,
    ),
    except(
        "a_safe_read_that_lost_its_process_is_sent_again",
        ALL_BUT_NATIVE,
        NO_PROCESS,
    ),
    except(
        "fifty_requests_after_a_crash_cause_one_start",
        ALL_BUT_NATIVE,
        NO_PROCESS,
    ),
    except(
        "no_process_is_left_after_a_stop",
        ALL_BUT_NATIVE,
        NO_PROCESS,
    ),
    except(
        "a_thousand_requests_that_crash_a_process_cause_few_starts",
        ALL_BUT_NATIVE,
        NO_PROCESS,
    ),
    shared("a_plugin_that_keeps_crashing_is_started_ever_later"),
    except(
        "a_plugin_that_keeps_crashing_is_started_ever_later",
        COMPONENTS,
        NO_START,
    ),
    except(
        "a_request_that_may_have_had_an_effect_is_not_sent_again",
        COMPONENTS,
        NO_START,
    ),
    // Limits that are stated.
    except(
        "a_stated_request_timeout_is_what_a_request_has",
        BUILTIN,
        NO_ENTRY,
    ),
    except(
        "a_request_that_finds_no_place_and_no_queue_is_refused",
        BUILTIN,
        NO_ENTRY,
    ),
    except(
        "no_more_requests_run_at_once_than_the_entry_says",
        BUILTIN,
        NO_ENTRY,
    ),
    except(
        "a_stated_fuel_is_what_a_request_has",
        ALL_BUT_COMPONENTS,
        NO_FUEL,
    ),
    except(
        "an_entry_that_used_up_its_fuel_of_a_minute_is_refused_until_there_is_more",
        ALL_BUT_COMPONENTS,
        NO_FUEL,
    ),
    except(
        "a_stated_memory_is_what_a_plugin_has",
        BUILTIN,
        SHARED_MEMORY,
    ),
    except(
        "a_crash_of_a_component_is_kept_with_its_mount",
        ALL_BUT_COMPONENTS,
        NO_STACK,
    ),
    // Grants.
    except(
        "a_stated_environment_is_what_a_plugin_has",
        BUILTIN,
        NO_ENTRY,
    ),
    folders("a_granted_folder_is_read_and_written"),
    folders("a_folder_that_is_not_granted_is_not_there"),
    folders("a_folder_that_is_granted_for_reading_is_not_written"),
    folders("no_path_leads_out_of_a_granted_folder"),
    folders("a_file_with_a_second_name_is_not_written"),
    folders("nothing_moves_from_one_granted_folder_to_another"),
    folders("a_folder_takes_no_more_bytes_than_its_entry_says"),
    folders("requests_side_by_side_stay_within_one_quota"),
    folders("files_that_are_removed_while_they_are_open_count"),
    folders("a_folder_takes_no_more_files_than_its_entry_says"),
    folders("a_plugin_has_no_more_files_open_than_it_may"),
    folders("a_granted_folder_that_is_missing_fails_the_enable"),
    // Fuel and memory.
    except(
        "work_without_end_runs_out_of_fuel",
        ALL_BUT_COMPONENTS,
        NO_FUEL,
    ),
    except(
        "memory_over_the_default_limit_is_refused_with_the_limit",
        BUILTIN,
        SHARED_MEMORY,
    ),
    except(
        "a_plugin_that_asks_for_too_much_memory_can_go_on_with_less",
        BUILTIN,
        SHARED_MEMORY,
    ),
    except(
        "a_plugin_that_asks_for_too_much_memory_can_go_on_with_less",
        &[Mode::Native],
        ENDED_FOR_MEMORY,
    ),
];

const fn except(case: &'static str, modes: &'static [Mode], reason: &'static str) -> Difference {
    Difference {
        case,
        modes,
        reason,
    }
}

const fn folders(case: &'static str) -> Difference {
    except(case, ALL_BUT_COMPONENTS, NO_FOLDERS)
}

const fn shared(case: &'static str) -> Difference {
    except(case, BUILTIN, SHARED_THREADS)
}

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
        assert!(
            cases().any(|case| case.name == name),
            "no case is called {name}"
        );
        let runs = Mode::ALL.iter().any(|mode| reason(name, *mode).is_none());
        assert!(runs, "{name} runs in no mode at all");
    }
}
