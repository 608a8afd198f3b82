//! What may happen to lanes of the booking queue.

use proptest::prelude::*;

use super::lane_model::End;

/// What happens to a lane.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Add(i64),
    Claim(usize),
    Extend(usize),
    Settle { ends: Vec<End>, rests: bool },
    GiveBack { rests: bool, fails: bool },
    Renew,
    LetTimePass,
    UseLeaseThatIsOver,
    Leave(usize),
    Recall,
    Forget(usize),
    Reenter,
    Pause(bool),
    PauseAll(bool),
    BeginEpoch,
}

/// What happens to so many lanes, each step to one of them.
pub(super) fn steps(lanes: usize) -> impl Strategy<Value = Vec<(usize, Step)>> {
    let end = prop_oneof![
        3 => Just(End::Won),
        2 => Just(End::Refused),
        2 => Just(End::StandsBy),
        1 => Just(End::Missing),
    ];
    let rests = || proptest::bool::weighted(0.2);
    let step = prop_oneof![
        12 => (1i64..30).prop_map(Step::Add),
        7 => (1usize..6).prop_map(Step::Claim),
        4 => (1usize..4).prop_map(Step::Extend),
        6 => (proptest::collection::vec(end, 1..5), rests())
            .prop_map(|(ends, rests)| Step::Settle { ends, rests }),
        2 => (rests(), any::<bool>()).prop_map(|(rests, fails)| Step::GiveBack { rests, fails }),
        1 => Just(Step::Renew),
        3 => Just(Step::LetTimePass),
        2 => Just(Step::UseLeaseThatIsOver),
        3 => (0usize..30).prop_map(Step::Leave),
        3 => Just(Step::Recall),
        1 => (0usize..30).prop_map(Step::Forget),
        1 => Just(Step::Reenter),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => proptest::bool::weighted(0.3).prop_map(Step::PauseAll),
        1 => Just(Step::BeginEpoch),
    ];
    proptest::collection::vec((0..lanes, step), 1..120)
}
