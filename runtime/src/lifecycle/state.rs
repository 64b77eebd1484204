//! What an event means in a state: the whole lifecycle as one pure function.

/// Where a mount's plugin is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing runs; the next request starts it.
    Down,
    /// A generation is being started, and nothing serves meanwhile.
    Starting,
    /// A generation serves.
    Running,
    /// A generation serves, and the next one is being started.
    Replacing,
    /// Nothing runs, and nothing may be started for a while.
    Resting,
    /// No new requests; those inside finish.
    Draining,
    /// Over for good.
    Stopped,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request found nothing running.
    Wanted,
    /// The generation being started is ready.
    Started,
    /// The generation being started will not be.
    Failed,
    /// The generation that serves is gone.
    Exited,
    /// The rest after a failure is over.
    Rested,
    /// An operator wants a new generation.
    Reload,
    /// The mount goes away.
    Stop,
    /// The last request inside has left, or took too long.
    Drained,
}

/// What has to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Begin to start a generation.
    Start,
    /// Give up the start that is under way and begin another.
    Restart,
    /// Give up the start that is under way.
    Abandon,
    /// Publish the generation that was started.
    Publish,
    /// Publish the generation that was started; drain the one before it and stop it.
    Swap,
    /// Take down the generation that is gone.
    Bury,
    /// Take down the generation that is gone, and let nothing be started for a while.
    BuryAndRest,
    /// Let nothing be started for a while.
    Rest,
    /// Give up any start under way and let no request in any more.
    CloseGate,
    /// Stop the generation that served.
    End,
}

/// What `event` means in `state`, or `None` when it means nothing there.
pub(crate) fn step(state: State, event: Event) -> Option<(State, Option<Effect>)> {
    use {Effect as F, Event as E, State as S};

    Some(match (state, event) {
        (S::Down, E::Wanted | E::Reload) => (S::Starting, Some(F::Start)),
        (S::Starting, E::Started) => (S::Running, Some(F::Publish)),
        (S::Starting, E::Failed) => (S::Resting, Some(F::Rest)),
        (S::Running, E::Exited) => (S::Resting, Some(F::BuryAndRest)),
        (S::Resting, E::Rested) => (S::Down, None),

        (S::Resting, E::Reload) => (S::Starting, Some(F::Start)),
        (S::Running, E::Reload) => (S::Replacing, Some(F::Start)),
        (S::Starting | S::Replacing, E::Reload) => (state, Some(F::Restart)),
        (S::Replacing, E::Started) => (S::Running, Some(F::Swap)),
        (S::Replacing, E::Failed) => (S::Running, None),
        (S::Replacing, E::Exited) => (S::Starting, Some(F::Bury)),

        (S::Down | S::Resting, E::Stop) => (S::Stopped, None),
        (S::Starting, E::Stop) => (S::Stopped, Some(F::Abandon)),
        (S::Running | S::Replacing, E::Stop) => (S::Draining, Some(F::CloseGate)),
        (S::Draining, E::Drained | E::Exited) => (S::Stopped, Some(F::End)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use State as S;

    const STATES: [State; 7] = [
        S::Down,
        S::Starting,
        S::Running,
        S::Replacing,
        S::Resting,
        S::Draining,
        S::Stopped,
    ];
    const EVENTS: [Event; 8] = [
        Event::Wanted,
        Event::Started,
        Event::Failed,
        Event::Exited,
        Event::Rested,
        Event::Reload,
        Event::Stop,
        Event::Drained,
    ];

    fn pairs() -> impl Iterator<Item = (State, Event)> {
        STATES
            .into_iter()
            .flat_map(|state| EVENTS.map(|event| (state, event)))
    }

    fn serves(state: State) -> bool {
        matches!(state, S::Running | S::Replacing)
    }

    fn starts(state: State) -> bool {
        matches!(state, S::Starting | S::Replacing)
    }

    #[test]
    fn nothing_leaves_stopped() {
        assert!(
            EVENTS
                .iter()
                .all(|event| step(S::Stopped, *event).is_none())
        );
    }

    #[test]
    fn every_state_reaches_stopped_by_stop_and_drained() {
        for state in STATES.into_iter().filter(|state| *state != S::Stopped) {
            let after = step(state, Event::Stop).map_or(state, |(next, _)| next);
            let end = step(after, Event::Drained).map_or(after, |(next, _)| next);
            assert_eq!(end, S::Stopped, "{state:?}");
        }
    }

    #[test]
    fn what_is_stopping_starts_nothing_more() {
        for event in EVENTS {
            if let Some((next, effect)) = step(S::Draining, event) {
                assert_eq!((next, effect), (S::Stopped, Some(Effect::End)));
            }
        }
    }

    #[test]
    fn a_start_begins_exactly_where_one_becomes_due() {
        for (state, event) in pairs() {
            let Some((next, effect)) = step(state, event) else {
                continue;
            };
            let begins = matches!(effect, Some(Effect::Start | Effect::Restart));
            let due = starts(next) && (!starts(state) || event == Event::Reload);
            assert_eq!(begins, due, "{state:?} {event:?}");
        }
    }

    #[test]
    fn only_one_start_is_under_way_at_a_time() {
        for (state, event) in pairs() {
            if let Some((_, Some(Effect::Start))) = step(state, event) {
                assert!(!starts(state), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_start_under_way_ends_by_its_own_outcome_or_is_given_up() {
        for (state, event) in pairs().filter(|(state, _)| starts(*state)) {
            let Some((next, effect)) = step(state, event) else {
                continue;
            };
            let outcome = matches!(event, Event::Started | Event::Failed);
            let given_up = matches!(effect, Some(Effect::Abandon | Effect::CloseGate));
            assert!(starts(next) || outcome || given_up, "{state:?} {event:?}");
        }
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_generation_serving() {
        assert_eq!(step(S::Replacing, Event::Failed), Some((S::Running, None)));
    }

    #[test]
    fn what_served_is_taken_down_when_it_serves_no_more() {
        for (state, event) in pairs().filter(|(state, _)| serves(*state)) {
            let Some((next, effect)) = step(state, event) else {
                continue;
            };
            let taken_down = matches!(
                effect,
                Some(Effect::Bury | Effect::BuryAndRest | Effect::CloseGate)
            );
            assert_eq!(taken_down, !serves(next), "{state:?} {event:?}");
        }
    }

    #[test]
    fn a_request_starts_what_is_down_and_nothing_else() {
        for state in STATES {
            let started = step(state, Event::Wanted).is_some();
            assert_eq!(started, state == S::Down, "{state:?}");
        }
    }

    #[test]
    fn an_operator_starts_even_what_rests() {
        for state in [S::Down, S::Resting] {
            let expected = Some((S::Starting, Some(Effect::Start)));
            assert_eq!(step(state, Event::Reload), expected);
        }
    }
}
