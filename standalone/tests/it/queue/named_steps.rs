//! What may happen to the lanes of a named queue.

use proptest::prelude::*;
use shared::queue::control::Rate;
use shared::queue::inspect::Finished;

/// What happens to the lanes.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Add { lane: u16, jobs: usize },
    AddAgain(usize),
    Schedule { lane: u16, in_ms: u64 },
    Claim { lane: u16, most: usize },
    Settle { lane: u16, endings: Vec<End> },
    GiveBack { lane: u16, rest_ms: u64 },
    LetLeaseRunOut(u16),
    Promote(usize),
    TakeOut(usize),
    Clean { lane: u16, which: Finished, limit: usize },
    Pause { lane: Option<u16>, paused: bool },
    Limit { lane: Option<u16>, rate: Option<Rate> },
    LanesAtOnce(Option<u32>),
    Wait(u64),
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Completed,
    Failed,
    Later(u64),
    /// Nothing is said of it, so it waits on.
    Missing,
}

/// What happens to so many lanes.
pub(super) fn steps(lanes: u16) -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        3 => Just(End::Completed),
        1 => Just(End::Failed),
        3 => (30u64..90).prop_map(End::Later),
        1 => Just(End::Missing),
    ];
    let rate =
        || proptest::option::of((1u32..5, 40u32..150).prop_map(|(max, window_ms)| Rate { max, window_ms }));
    let one = || 0..lanes;
    let one_or_all = || proptest::option::of(0..lanes);
    let step = prop_oneof![
        4 => (one(), 1usize..4).prop_map(|(lane, jobs)| Step::Add { lane, jobs }),
        1 => (0usize..50).prop_map(Step::AddAgain),
        2 => (one(), 30u64..120).prop_map(|(lane, in_ms)| Step::Schedule { lane, in_ms }),
        7 => (one(), 1usize..6).prop_map(|(lane, most)| Step::Claim { lane, most }),
        4 => (one(), proptest::collection::vec(end, 1..5))
            .prop_map(|(lane, endings)| Step::Settle { lane, endings }),
        2 => (one(), prop_oneof![Just(0u64), 30u64..90])
            .prop_map(|(lane, rest_ms)| Step::GiveBack { lane, rest_ms }),
        2 => one().prop_map(Step::LetLeaseRunOut),
        2 => (0usize..50).prop_map(Step::Promote),
        1 => (0usize..50).prop_map(Step::TakeOut),
        1 => (one(), prop_oneof![Just(Finished::Completed), Just(Finished::Failed)], 1usize..4)
            .prop_map(|(lane, which, limit)| Step::Clean { lane, which, limit }),
        1 => (one_or_all(), any::<bool>()).prop_map(|(lane, paused)| Step::Pause { lane, paused }),
        2 => (one_or_all(), rate()).prop_map(|(lane, rate)| Step::Limit { lane, rate }),
        1 => proptest::option::of(1u32..3).prop_map(Step::LanesAtOnce),
        2 => (1u64..60).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..50)
}
