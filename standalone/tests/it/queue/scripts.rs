//! Each verb by itself.
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else is answered fails the test")]

use std::time::Duration;

use futures_util::future::try_join_all;
use rstest::rstest;
use shared::domain::{AreaId, BookingId, BookingRequest, Outcome, Refusal, Reservation, SeatId, Wanted};
use shared::queue::board::{JobState, LaneBoard};
use shared::queue::claim::{Batch, Claim};
use shared::queue::control::{Controls, Pause};
use shared::queue::enqueue::Added;
use shared::queue::feed::SeatsChanged;
use shared::queue::lease::{GiveBack, LeaseLost};
use shared::queue::lock::Locked;
use shared::queue::settle::{Decided, Ending};
use shared::queue::{Partition, Queue};

use super::named::redis_ms;
use super::{LANE, QueueLab, Site, job};
use crate::lab::TestResult;

pub(super) async fn claim(
    queue: &Queue,
    worker: &str,
    most: usize,
) -> Result<Batch, Box<dyn std::error::Error>> {
    match queue.claim(LANE, worker, most).await? {
        Claim::Batch(batch) => Ok(batch),
        other => Err(format!("{other:?}").into()),
    }
}

pub(super) fn refuse_all(batch: &Batch) -> Decided {
    let ending = || Ending::Decided(Outcome::Failed(Refusal::SoldOut));
    Decided { endings: batch.jobs.iter().map(|job| (job.number, ending())).collect(), ..Decided::default() }
}

#[rstest]
#[tokio::test]
async fn enqueue_numbers_rise_and_the_same_request_is_the_same_job(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let first = lab.add(1, 1).await?;
    let second = lab.add(2, 1).await?;
    assert!(second > first);
    let again = lab.queue.enqueue(LANE, &[job(1, 1)?, job(3, 1)?]).await?.ok_or("an epoch")?;
    assert!(
        matches!(again.jobs[0], Added::Queued { number, is_new: false, place: 1, .. } if number == first)
    );
    assert!(matches!(again.jobs[1], Added::Queued { is_new: true, place: 3, .. }));
    let none = lab.queue.enqueue(LANE, &[]).await?.ok_or("an epoch")?;
    assert_eq!((none.jobs.len(), none.seq), (0, 0), "nothing to add tells the feed nothing");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn enqueue_keeps_an_idempotency_key_beyond_the_end_of_its_job(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let keyed = |quantity| {
        job(1, quantity).map(|mut job| {
            job.envelope.is_keyed = true;
            job.idempotency = Some("key".to_owned());
            job
        })
    };
    let added = lab.queue.enqueue(LANE, &[keyed(1)?]).await?.ok_or("an epoch")?.jobs;
    let batch = claim(&lab.queue, "w", 10).await?;
    lab.queue.settle(&batch, &refuse_all(&batch), true).await??;
    let again = lab.queue.enqueue(LANE, &[keyed(1)?, keyed(2)?]).await?.ok_or("an epoch")?.jobs;
    let number = |added: &Added| match added {
        Added::Queued { number, .. } => Some(*number),
        Added::Mismatch | Added::TooMany | Added::Full => None,
    };
    assert_eq!(number(&again[0]), number(&added[0]));
    assert!(matches!(again[0], Added::Queued { place: 0, is_new: false, .. }), "it no longer waits");
    assert_eq!(again[1], Added::Mismatch);
    let idem = lab.queue.keys().idem(LANE);
    let left_s: i64 = redis::cmd("TTL").arg(&idem).query_async(&mut lab.queue.connection()).await?;
    assert!((43_200..=86_400).contains(&left_s), "also where nobody comes any more: {left_s}");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn claim_leases_the_head_in_order_and_to_one_worker(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &["--queue-lease-ms=300"]).await?;
    assert!(matches!(lab.queue.claim(LANE, "w", 10).await?, Claim::Empty));
    let mut numbers = Vec::new();
    for owner in 1..=5 {
        numbers.push(lab.add(owner, 1).await?);
    }
    let batch = claim(&lab.queue, "w", 3).await?;
    assert_eq!(batch.jobs.iter().map(|job| job.number).collect::<Vec<_>>(), numbers[..3]);
    for worker in ["w", "x"] {
        assert!(
            matches!(lab.queue.claim(LANE, worker, 3).await?, Claim::NotBefore(_)),
            "one batch in flight"
        );
    }
    tokio::time::sleep(Duration::from_millis(350)).await;
    let rescued = claim(&lab.queue, "x", 4).await?;
    assert!(rescued.was_stalled && rescued.lease.fence > batch.lease.fence);
    assert_eq!(
        rescued.jobs.iter().map(|job| job.number).collect::<Vec<_>>(),
        numbers[..4],
        "still at the head"
    );
    assert_eq!(lab.queue.settle(&batch, &refuse_all(&batch), true).await?, Err(LeaseLost), "too late");
    assert_eq!(lab.queue.renew(&batch.lease).await?, Err(LeaseLost));
    assert_eq!(lab.queue.give_back(&batch.lease, &GiveBack::default()).await?, Err(LeaseLost));
    let mut left = Vec::new();
    for (number, owner) in numbers.into_iter().zip(1..) {
        left.push((number, job(owner, 1)?.envelope, Outcome::Failed(Refusal::Left)));
    }
    assert_eq!(lab.queue.leave(LANE, &left).await?, 5);
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert!(matches!(lab.queue.claim(LANE, "w", 1).await?, Claim::Empty));
    let leased: u64 = redis::cmd("ZCARD")
        .arg(lab.queue.keys().leased(Partition::of(LANE)))
        .query_async(&mut lab.queue.connection())
        .await?;
    assert_eq!(leased, 0, "nothing is kept of a lease that ran out");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn extend_goes_on_under_the_same_lease_while_the_batch_before_is_settled(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &["--queue-lease-ms=400"]).await?;
    let mut numbers = Vec::new();
    for owner in 1..=5 {
        numbers.push(lab.add(owner, 1).await?);
    }
    let first = claim(&lab.queue, "w", 2).await?;
    let second = lab.queue.extend(&first.lease, numbers[1], 2).await?.ok_or("more jobs")?;
    assert!(
        lab.queue.extend(&first.lease, numbers[1], 2).await?.is_none(),
        "told twice, nobody is passed over"
    );
    assert_eq!(second.lease, first.lease);
    assert_eq!(second.jobs.iter().map(|job| job.number).collect::<Vec<_>>(), numbers[2..4]);
    assert_eq!(lab.queue.settle(&first, &refuse_all(&first), false).await?, Ok(3), "the lane is kept");
    let state = lab.queue.lane_state(LANE).await?;
    assert_eq!((state.active, state.waiting), (2, 1));
    assert_eq!(lab.queue.settle(&second, &refuse_all(&second), true).await?, Ok(1));
    assert!(lab.queue.extend(&first.lease, numbers[3], 2).await?.is_none(), "the lease is given back");
    let third = claim(&lab.queue, "x", 2).await?;
    assert!(lab.queue.extend(&third.lease, numbers[4], 2).await?.is_none(), "nobody else waits");
    lab.add(9, 1).await?;
    let controls = Controls { queue: Pause { paused: true, message: String::new() }, ..Controls::default() };
    lab.queue.copy_controls(Partition::of(LANE), &controls).await?;
    assert!(lab.queue.extend(&third.lease, numbers[4], 2).await?.is_none(), "a pause ends it");
    lab.ready().await?;
    tokio::time::sleep(Duration::from_millis(450)).await;
    let rescued = claim(&lab.queue, "y", 5).await?;
    assert_eq!(rescued.jobs.len(), 2, "what was taken and not settled is claimed anew");
    assert!(lab.queue.extend(&third.lease, numbers[4], 2).await?.is_none(), "a lost lease takes nothing");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn settle_ends_jobs_once_and_frees_the_lane(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let mut numbers = Vec::new();
    for owner in 1..=3 {
        numbers.push(lab.add(owner, 1).await?);
    }
    let batch = claim(&lab.queue, "w", 2).await?;
    let mut decided = refuse_all(&batch);
    let won = Reservation {
        booking: BookingId::new(),
        seats: vec![SeatId(9)],
        slots: vec![],
        expires_at_ms: 60_000,
    };
    decided.endings.insert(batch.jobs[0].number, Ending::Decided(Outcome::Completed(won)));
    decided.now_ms = 0;
    let key = lab.queue.keys().seat_lock(LANE, SeatId(9));
    assert_eq!(lab.queue.lock(&batch.lease, &[vec![key.clone()]]).await?, Locked::Except(vec![]));
    decided.locks.push(key.clone());
    for _ in 0..2 {
        assert_eq!(lab.queue.settle(&batch, &decided, true).await?, Ok(1), "told twice, it answers the same");
    }
    let state = lab.queue.lane_state(LANE).await?;
    assert_eq!((state.completed, state.failed, state.waiting, state.lease.is_none()), (1, 1, 1, true));
    let mut redis = lab.queue.connection();
    let reserved = lab.queue.keys().seat_reserved(LANE, SeatId(9));
    let (owner, ttl, lock): (i64, i64, bool) = redis::pipe()
        .cmd("GET")
        .arg(&reserved)
        .cmd("PTTL")
        .arg(&reserved)
        .cmd("EXISTS")
        .arg(&key)
        .query_async(&mut redis)
        .await?;
    assert_eq!((owner, lock), (1, false));
    assert!((1..=60_000).contains(&ttl), "{ttl}");

    // One who had won before leaves with it, and it is shown; what somebody has since stays theirs.
    let late = Reservation {
        booking: BookingId::new(),
        seats: vec![SeatId(9), SeatId(10)],
        slots: vec![(AreaId(1), 2)],
        expires_at_ms: redis_ms(&lab.queue).await? + 60_000,
    };
    let left = [(numbers[2], job(3, 1)?.envelope, Outcome::Completed(late))];
    assert_eq!(lab.queue.leave(LANE, &left).await?, 1);
    let keys = lab.queue.keys();
    let late = [keys.seat_reserved(LANE, SeatId(10)), keys.slot_reserved(LANE, AreaId(1), 2)];
    for (key, expected) in [(&reserved, 1), (&late[0], 3), (&late[1], 3)] {
        let (owner, ttl): (Option<i64>, i64) =
            redis::pipe().cmd("GET").arg(key).cmd("PTTL").arg(key).query_async(&mut redis).await?;
        assert_eq!(owner, Some(expected), "{key}");
        assert!((1..=60_000).contains(&ttl), "{key}: {ttl}");
    }
    assert_eq!(lab.queue.lane_state(LANE).await?.completed, 2);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_lane_given_back_rests_and_counts_the_failed_job(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let number = lab.add(1, 1).await?;
    let batch = claim(&lab.queue, "w", 2).await?;
    let how = GiveBack {
        delay: Duration::from_millis(150),
        failed: Some(number),
        least_fence: 40,
        ..GiveBack::default()
    };
    assert_eq!(lab.queue.give_back(&batch.lease, &how).await?, Ok(1));
    assert!(matches!(lab.queue.claim(LANE, "w", 2).await?, Claim::NotBefore(_)));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let again = claim(&lab.queue, "w", 2).await?;
    assert_eq!((again.jobs[0].attempts, again.lease.fence), (1, 41), "the fence goes on above PostgreSQL's");
    let left = [(number, job(1, 1)?.envelope, Outcome::Failed(Refusal::Left))];
    assert_eq!(lab.queue.leave(LANE, &left).await?, 1);
    let how = GiveBack { failed: Some(number), ..GiveBack::default() };
    assert_eq!(lab.queue.give_back(&again.lease, &how).await?, Ok(0));
    lab.add(2, 1).await?;
    let third = claim(&lab.queue, "w", 2).await?;
    let stuck = Decided { stuck: Some(number), ..Decided::default() };
    assert_eq!(lab.queue.settle(&third, &stuck, true).await?, Ok(1));
    let attempts: u64 = redis::cmd("HLEN")
        .arg(lab.queue.keys().attempts(LANE))
        .query_async(&mut lab.queue.connection())
        .await?;
    assert_eq!(attempts, 0, "nothing is counted of one that has left meanwhile");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn locks_are_all_or_nothing_and_yield_to_a_newer_fence(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &["--queue-lease-ms=200"]).await?;
    lab.add(1, 1).await?;
    let old = claim(&lab.queue, "w", 1).await?.lease;
    let keys = |seats: &[i64]| -> Vec<String> {
        seats.iter().map(|seat| lab.queue.keys().seat_lock(LANE, SeatId(*seat))).collect()
    };
    let mut redis = lab.queue.connection();
    let () = redis::cmd("SET").arg(&keys(&[3])[0]).arg("99:1").query_async(&mut redis).await?;
    let jobs = [keys(&[1]), keys(&[2, 3]), keys(&[4])];
    assert_eq!(lab.queue.lock(&old, &jobs).await?, Locked::Except(vec![1]));
    let held: bool = redis::cmd("EXISTS").arg(&keys(&[2])[0]).query_async(&mut redis).await?;
    assert!(!held, "all or nothing");
    tokio::time::sleep(Duration::from_millis(250)).await;
    let () = redis::cmd("SET")
        .arg(&keys(&[1])[0])
        .arg(format!("{LANE}:{}", old.fence))
        .query_async(&mut redis)
        .await?;
    let new = claim(&lab.queue, "x", 1).await?.lease;
    assert_eq!(lab.queue.lock(&new, &jobs[..1]).await?, Locked::Except(vec![]), "a newer fence takes over");
    assert_eq!(lab.queue.lock(&old, &jobs[..1]).await?, Locked::Stale, "an older one finds out");
    assert_eq!(lab.queue.lock(&new, &[]).await?, Locked::Except(vec![]));
    Ok(())
}

#[rstest]
#[tokio::test]
async fn leaving_and_reentering_are_safe_to_tell_twice(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let number = lab.add(1, 1).await?;
    let left = [(number, job(1, 1)?.envelope, Outcome::Failed(Refusal::Left))];
    assert_eq!(lab.queue.leave(LANE, &left).await?, 1);
    assert_eq!(lab.queue.leave(LANE, &left).await?, 0);
    assert_ne!(lab.add(1, 1).await?, number, "the request is free again");
    let lost = [(number, job(5, 1)?.envelope)];
    assert_eq!(lab.queue.reenter(LANE, &lost).await?, 1);
    assert_eq!(lab.queue.reenter(LANE, &lost).await?, 0);
    assert_eq!(claim(&lab.queue, "w", 1).await?.jobs[0].number, number, "at its own number, so at the head");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn an_epoch_stops_claims_until_pauses_are_known_and_the_time_is_over(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &["--queue-recover-ms=200"]).await?;
    tokio::time::sleep(Duration::from_millis(250)).await;
    lab.add(1, 1).await?;
    let partition = Partition::of(LANE);
    let before = lab.queue.partition_state(partition).await?.epoch;
    let epoch = lab.queue.begin_epoch(partition, &before, 0).await?;
    assert_ne!(epoch, before);
    assert_eq!(
        lab.queue.begin_epoch(partition, &before, 0).await?,
        epoch,
        "who saw the old one begins nothing"
    );
    assert!(matches!(lab.queue.claim(LANE, "w", 1).await?, Claim::NoControls(_)));
    lab.ready().await?;
    assert!(matches!(lab.queue.claim(LANE, "w", 1).await?, Claim::Recovering(_)));
    tokio::time::sleep(Duration::from_millis(250)).await;
    claim(&lab.queue, "w", 1).await?;
    Ok(())
}

#[rstest]
#[tokio::test]
async fn pauses_are_copied_as_a_whole_and_told_once(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    lab.add(1, 1).await?;
    let partition = Partition::of(LANE);
    let mut controls = Controls::default();
    controls.lanes.insert(LANE, Pause { paused: true, message: "tea".to_owned() });
    assert_eq!(lab.queue.copy_controls(partition, &controls).await?, 1);
    assert_eq!(lab.queue.copy_controls(partition, &controls).await?, 0);
    assert!(matches!(lab.queue.claim(LANE, "w", 1).await?, Claim::Paused));
    assert_eq!(lab.queue.lane_state(LANE).await?.own_pause.message, "tea");
    assert_eq!(lab.queue.due_lanes(partition, 10).await?, [], "a paused lane wakes nobody");
    assert_eq!(lab.queue.copy_controls(partition, &Controls::default()).await?, 1);
    assert_eq!(lab.queue.due_lanes(partition, 10).await?, [LANE]);
    claim(&lab.queue, "w", 1).await?;
    Ok(())
}

#[rstest]
#[tokio::test]
async fn announcing_freed_places_recalls_who_stand_by_in_their_order(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    // Pairs and singles in turn; then two who want a seat by name, and one who wants room in an area.
    let mut numbers = Vec::new();
    for owner in 1..=6 {
        numbers.push(lab.add(owner, 1 + u32::from(owner % 2 == 1)).await?);
    }
    for (owner, seat) in [(7, 1), (8, 2)] {
        numbers.push(lab.add_request(owner, BookingRequest::named(vec![SeatId(seat)], false)?).await?);
    }
    let area = Wanted::Area { area: AreaId(1), quantity: 1 };
    numbers.push(lab.add_request(9, BookingRequest::chosen(area)?).await?);
    lab.stand_by("w").await?;
    assert_eq!(lab.queue.lane_state(LANE).await?.standby, 9);
    assert_eq!(lab.queue.announce_seats(LANE, &SeatsChanged::default()).await?, 0, "nothing came free");
    let seats = |ids: &[i64]| SeatsChanged {
        seats: ids.iter().map(|id| SeatId(*id)).collect(),
        ..SeatsChanged::default()
    };
    for (freed, asked) in [
        (seats(&[1]), vec![0, 1, 6]),
        (seats(&[3]), vec![0, 1]),
        (seats(&[2, 3]), vec![0, 1, 2, 3, 7]),
        (SeatsChanged { slots: vec![(AreaId(1), 5)], ..SeatsChanged::default() }, vec![0, 1, 8]),
    ] {
        let asked: Vec<u64> = asked.into_iter().map(|nth| numbers[nth]).collect();
        lab.queue.announce_seats(LANE, &freed).await?;
        lab.until_waiting(asked.len() as u64).await;
        assert_eq!(lab.stand_by("w").await?, asked, "{freed:?}");
    }
    Ok(())
}

#[rstest]
#[tokio::test]
async fn who_has_left_takes_nobodys_turn_to_be_asked(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let mut numbers = Vec::new();
    for owner in 1..=4 {
        numbers.push(lab.add(owner, 1).await?);
    }
    lab.stand_by("w").await?;
    for owner in [1, 2] {
        let number = numbers[usize::try_from(owner - 1)?];
        let left = [(number, job(owner, 1)?.envelope, Outcome::Failed(Refusal::Left))];
        assert_eq!(lab.queue.leave(LANE, &left).await?, 1);
    }
    let freed = SeatsChanged { seats: vec![SeatId(1)], ..SeatsChanged::default() };
    for asked in [1, 2] {
        lab.queue.announce_seats(LANE, &freed).await?;
        lab.until_waiting(asked).await;
    }
    assert_eq!(lab.stand_by("w").await?, numbers[2..], "the second one while the first was asked");
    Ok(())
}

#[tokio::test]
async fn whoever_can_use_what_came_free_is_asked_however_many_cannot() -> TestResult {
    let lab = QueueLab::start(Site::Single, &[]).await?;
    for owner in 1..=1_200 {
        lab.add_request(owner, BookingRequest::named(vec![SeatId(1_000 + owner)], false)?).await?;
    }
    let last = lab.add_request(2_000, BookingRequest::named(vec![SeatId(1)], false)?).await?;
    while lab.queue.lane_state(LANE).await?.waiting > 0 {
        lab.stand_by("w").await?;
    }
    let freed = SeatsChanged { seats: vec![SeatId(1)], ..SeatsChanged::default() };
    assert_eq!(lab.queue.announce_seats(LANE, &freed).await?, 1);
    assert_eq!(lab.stand_by("w").await?, [last]);
    // Nothing may have been announced at all.
    let (mut asked, mut turn) = (Vec::new(), None);
    for _ in 0..3 {
        asked.push(lab.queue.recall_standby(LANE, &mut turn, 1).await?);
        let again = lab.queue.recall_standby(LANE, &mut turn.clone(), 1).await?;
        assert_eq!(again, 0, "those who were asked are decided first");
        let latecomer = lab.add(3_000 + i64::try_from(asked.len())?, 1).await?;
        assert_eq!(lab.stand_by("w").await?.last(), Some(&latecomer));
    }
    assert_eq!(asked, [500, 500, 201], "nobody is asked twice in a turn, nor who came since it began");
    assert_eq!(turn, None);
    assert_eq!(lab.queue.recall_standby(LANE, &mut turn, 2).await?, 1_000);
    assert!(turn.is_some(), "the next turn is under way");
    Ok(())
}

#[tokio::test]
async fn whoever_another_process_has_called_back_is_not_counted_on() -> TestResult {
    let lab = QueueLab::start(Site::Single, &[]).await?;
    for owner in 1..=900 {
        lab.add(owner, 1).await?;
    }
    lab.stand_by("w").await?;
    // As many looks as there are processes, which all find the same first ones.
    let others = try_join_all([(); 3].map(|()| lab.another())).await?;
    let seats = |nth: i64| (nth * 100..(nth + 1) * 100).map(SeatId).collect();
    let freed: Vec<SeatsChanged> =
        (0..3).map(|nth| SeatsChanged { seats: seats(nth), ..SeatsChanged::default() }).collect();
    let called = others.iter().zip(&freed).map(|(queue, freed)| queue.announce_seats(LANE, freed));
    let called = try_join_all(called).await?;
    assert!(called.iter().sum::<u64>() >= 300, "{called:?}");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_lane_that_is_given_back_with_jobs_of_the_lease_has_none_that_is_decided(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let numbers = [lab.add(1, 1).await?, lab.add(2, 1).await?, lab.add(3, 1).await?];
    let feed = lab.queue.feed_end(Partition::of(LANE)).await?;
    let batch = claim(&lab.queue, "w", 2).await?;
    // The second one waits on.
    let endings = [(numbers[0], Ending::Decided(Outcome::Failed(Refusal::SoldOut)))].into();
    assert_eq!(lab.queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await?, Ok(2));
    let mut lane = LaneBoard::new(LANE);
    for number in numbers {
        lane.load(number, &[], false);
    }
    let (connection, longest) = (&mut lab.queue.connection(), Duration::from_millis(1));
    for entry in lab.queue.read_feed(connection, Partition::of(LANE), &feed, longest).await? {
        lane.apply(&entry.change, 0);
    }
    for (number, expected) in [(numbers[1], 1), (numbers[2], 2)] {
        let state = lane.state(number);
        assert!(matches!(state, JobState::Waiting { place, .. } if place == expected), "{state:?}");
    }
    Ok(())
}

#[rstest]
#[tokio::test]
async fn who_is_put_on_stand_by_while_places_come_free_is_decided_again(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let [first, second] = [lab.add(1, 1).await?, lab.add(2, 1).await?];
    let batch = claim(&lab.queue, "w", 1).await?;
    let extended = lab.queue.extend(&batch.lease, first, 1).await?.ok_or("an extension")?;
    let third = lab.add(3, 1).await?;
    let freed = SeatsChanged { seats: vec![SeatId(1)], ..SeatsChanged::default() };
    assert_eq!(lab.queue.announce_seats(LANE, &freed).await?, 0, "nobody stands by yet");
    let stands_by = |number| Decided { endings: [(number, Ending::StandsBy)].into(), ..Decided::default() };
    assert_eq!(lab.queue.settle(&batch, &stands_by(first), false).await?, Ok(3), "the first waits on");
    assert!(lab.queue.extend(&batch.lease, second, 1).await?.is_none(), "nobody goes on behind them");
    assert_eq!(lab.queue.settle(&extended, &stands_by(second), true).await?, Ok(3));
    let batch = claim(&lab.queue, "w", 3).await?;
    assert_eq!(batch.jobs.iter().map(|job| job.number).collect::<Vec<_>>(), [first, second, third]);
    assert_eq!(lab.queue.settle(&batch, &stands_by(first), true).await?, Ok(2), "nothing came free since");
    assert_eq!(lab.queue.lane_state(LANE).await?.standby, 1);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn who_is_put_on_stand_by_while_a_batch_frees_what_it_does_not_take_is_decided_again(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let number = lab.add(1, 1).await?;
    let batch = claim(&lab.queue, "w", 1).await?;
    lab.queue.note_freed(LANE).await?;
    let endings = [(number, Ending::StandsBy)].into();
    assert_eq!(lab.queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await?, Ok(1));
    assert_eq!(lab.stand_by("w").await?, [number], "nothing came free since");
    assert_eq!(lab.queue.lane_state(LANE).await?.standby, 1);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn nothing_is_claimed_from_another_run_of_redis_than_the_epoch_began_in(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let first = lab.add(1, 1).await?;
    let batch = claim(&lab.queue, "w", 1).await?;
    lab.add(2, 1).await?;
    let partition = lab.queue.keys().partition(Partition::of(LANE));
    let () = redis::cmd("HSET")
        .arg(partition)
        .arg("run_id")
        .arg("another")
        .query_async(&mut lab.queue.connection())
        .await?;
    assert!(lab.queue.extend(&batch.lease, first, 1).await?.is_none(), "nor is anything further taken");
    lab.queue.give_back(&batch.lease, &GiveBack::default()).await??;
    let Claim::Restarted(epoch) = lab.queue.claim(LANE, "w", 1).await? else {
        return Err("it was claimed".into());
    };
    lab.queue.begin_epoch(Partition::of(LANE), &epoch, 0).await?;
    lab.ready().await?;
    assert_eq!(claim(&lab.queue, "w", 1).await?.jobs[0].number, first);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn nobody_goes_on_behind_those_who_came_back(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let standing_by = lab.add(1, 1).await?;
    let batch = claim(&lab.queue, "w", 10).await?;
    let endings = [(standing_by, Ending::StandsBy)].into();
    lab.queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await??;
    let second = lab.add(2, 1).await?;
    let batch = claim(&lab.queue, "w", 10).await?;
    lab.add(3, 1).await?;
    assert_eq!(lab.queue.recall_standby(LANE, &mut None, 1).await?, 1);
    assert!(lab.queue.extend(&batch.lease, second, 10).await?.is_none(), "the first is back at the head");
    lab.queue.settle(&batch, &refuse_all(&batch), true).await??;
    let batch = claim(&lab.queue, "w", 1).await?;
    assert_eq!(batch.jobs[0].number, standing_by);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn those_who_leave_a_batch_are_not_active_and_parts_settled_twice_count_once(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let mut numbers = Vec::new();
    for owner in 1..=8 {
        numbers.push(lab.add(owner, 1).await?);
    }
    let first = claim(&lab.queue, "w", 4).await?;
    let second = lab.queue.extend(&first.lease, numbers[3], 2).await?.ok_or("more jobs")?;
    let counts = async || lab.queue.lane_state(LANE).await.map(|lane| (lane.active, lane.waiting));
    assert_eq!(counts().await?, (6, 2));
    let removed = Outcome::Failed(Refusal::Removed);
    let left =
        [(numbers[1], job(2, 1)?.envelope, removed.clone()), (numbers[7], job(8, 1)?.envelope, removed)];
    for _ in 0..2 {
        lab.queue.leave(LANE, &left).await?;
        assert_eq!(counts().await?, (5, 1), "one who was active, and one who waited");
    }
    for _ in 0..2 {
        assert_eq!(lab.queue.settle(&first, &refuse_all(&first), false).await?, Ok(3));
        assert_eq!(counts().await?, (2, 1));
    }
    assert_eq!(lab.queue.settle(&second, &refuse_all(&second), true).await?, Ok(1));
    assert_eq!(lab.queue.lane_state(LANE).await?.failed, 7);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_place_is_one_at_least_when_many_of_a_batch_have_left(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    for owner in 1..=8 {
        lab.add(owner, 1).await?;
    }
    let batch = claim(&lab.queue, "w", 8).await?;
    let left: Vec<_> = batch
        .jobs
        .iter()
        .filter_map(|job| Some((job.number, job.envelope.clone()?, Outcome::Failed(Refusal::Left))))
        .collect();
    assert_eq!(lab.queue.leave(LANE, &left).await?, 8);
    let added = lab.queue.enqueue(LANE, &[job(9, 1)?]).await?.ok_or("an epoch")?.jobs;
    assert!(matches!(added[0], Added::Queued { place: 1, .. }), "{added:?}");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_full_redis_refuses_enqueues_only(#[values(Site::Single, Site::Cluster)] site: Site) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    lab.add(1, 1).await?;
    let mut redis = lab.queue.connection();
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").query_async(&mut redis).await?;
    assert!(matches!(lab.queue.enqueue(LANE, &[job(2, 1)?]).await, Err(shared::queue::QueueError::Full)));
    let batch = claim(&lab.queue, "w", 1).await?;
    assert_eq!(lab.queue.renew(&batch.lease).await?, Ok(()));
    assert_eq!(lab.queue.settle(&batch, &refuse_all(&batch), true).await?, Ok(0), "a full Redis drains");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn pauses_that_were_read_before_a_change_are_not_copied_after_it(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    lab.add(1, 1).await?;
    let read = |version: i64, paused: bool| {
        let queue = Pause { paused, message: String::new() };
        Controls { queue, version, ..Controls::default() }
    };
    let at = Partition::of(LANE);
    assert_eq!(lab.queue.copy_controls(at, &read(5, true)).await?, 1);
    assert_eq!(lab.queue.copy_controls(at, &read(4, false)).await?, 0, "it was read before");
    assert!(matches!(lab.queue.claim(LANE, "w", 1).await?, Claim::Paused));
    assert_eq!(lab.queue.copy_controls(at, &read(6, false)).await?, 1);
    assert_eq!(claim(&lab.queue, "w", 1).await?.jobs.len(), 1);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_batch_is_settled_whole_though_many_came_back_between_its_jobs(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let first = lab.add(1, 1).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    lab.add(2, 1).await?;
    let batch = claim(&lab.queue, "w", 2).await?;
    let mut back = redis::cmd("ZADD");
    back.arg(lab.queue.keys().wait(LANE));
    for number in first + 1..=first + 20 {
        back.arg(number).arg(format!("{number}:came back"));
    }
    let () = back.query_async(&mut lab.queue.connection()).await?;
    assert_eq!(lab.queue.settle(&batch, &refuse_all(&batch), true).await?, Ok(20));
    assert_eq!(lab.queue.lane_state(LANE).await?.failed, 2);
    Ok(())
}
