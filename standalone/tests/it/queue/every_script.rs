//! Every script there is, on a single server and on a Cluster.

use std::path::Path;
use std::time::Duration;

use rstest::rstest;
use shared::domain::{Outcome, Refusal, SeatId};
use shared::queue::budget::Spent;
use shared::queue::claim::Claim;
use shared::queue::control::{Controls, Pause};
use shared::queue::feed::SeatsChanged;
use shared::queue::inspect::Finished;
use shared::queue::jobs::{JobAdded, JobToAdd, lane, partition};
use shared::queue::lease::GiveBack;
use shared::queue::lock::Locked;
use shared::queue::settle::{Decided, Ending};
use shared::queue::stream::{Appended, Facts};
use shared::queue::take_out::Ended;
use shared::queue::{Partition, Queue};
use uuid::Uuid;

use super::scripts::{claim, refuse_all};
use super::{LANE, QueueLab, Site, job};
use crate::lab::{TestResult, connect_redis, eventually};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/src/queue/lua");

/// A lane from its first job to its end.
async fn work_off_a_lane(lab: &QueueLab) -> TestResult {
    let queue = &lab.queue;
    let epoch = queue.partition_state(Partition::of(LANE)).await?.epoch;
    assert_eq!(queue.current_epoch(Partition::of(LANE)).await?, epoch);
    let mut numbers = Vec::new();
    for owner in 1..=4 {
        numbers.push(lab.add(owner, 1).await?);
    }
    let given_back = claim(queue, "w", 1).await?;
    assert_eq!(queue.give_back(&given_back.lease, &GiveBack::default()).await?, Ok(0));
    let first = claim(queue, "w", 1).await?;
    let [seat, foreign] = [SeatId(1), SeatId(2)].map(|seat| vec![queue.keys().seat_lock(LANE, seat)]);
    let () = redis::cmd("SET").arg(&foreign[0]).arg("99:1").query_async(&mut queue.connection()).await?;
    assert_eq!(queue.lock(&first.lease, &[seat, foreign]).await?, Locked::Except(vec![1]));
    assert_eq!(queue.renew(&first.lease).await?, Ok(()));
    let second = queue.extend(&first.lease, numbers[0], 1).await?.ok_or("a second job")?;
    assert_eq!(queue.settle(&first, &refuse_all(&first), false).await?, Ok(3));
    let endings = [(numbers[1], Ending::StandsBy)].into();
    assert_eq!(queue.settle(&second, &Decided { endings, ..Decided::default() }, true).await?, Ok(2));
    let freed = SeatsChanged { seats: vec![SeatId(1)], ..SeatsChanged::default() };
    assert_eq!(queue.announce_seats(LANE, &freed).await?, 1);
    let left = [(numbers[2], job(3, 1)?.envelope, Outcome::Failed(Refusal::Left))];
    assert_eq!(queue.leave(LANE, &left).await?, 1);
    assert_eq!(queue.reenter(LANE, &[(numbers[2], job(3, 1)?.envelope)]).await?, 1);
    let rest = claim(queue, "w", 10).await?;
    assert_eq!(rest.jobs.iter().map(|job| job.number).collect::<Vec<_>>(), numbers[1..]);
    assert_eq!(queue.settle(&rest, &refuse_all(&rest), true).await?, Ok(0));
    assert_eq!(queue.clean(LANE, Finished::Failed, Duration::ZERO, 1).await?, 1);
    assert!(queue.obliterate(LANE).await?);
    Ok(())
}

/// What lies outside of lanes: a job for later, facts, and a budget.
async fn call_the_others(queue: &Queue) -> TestResult {
    let mail = queue.named("mail");
    mail.copy_controls(partition(), &Controls::default()).await?;
    let later =
        [JobToAdd { id: Uuid::now_v7(), payload: b"later".to_vec(), run_at_ms: Some(i64::MAX / 4_096) }];
    assert_eq!(mail.add_jobs(lane(0), &later).await?, Some(vec![JobAdded::Queued(None)]));
    assert!(mail.promote(lane(0), &later[0], None).await?);
    let removed = |(id, member)| Ended { member, id, status: "removed".to_owned() };
    let jobs: Vec<Ended> = mail.jobs_in(lane(0), 10).await?.into_iter().map(removed).collect();
    assert_eq!(mail.take_out(lane(0), &jobs).await?, 1);
    let append =
        async |seen: &str| queue.append_facts("topic", seen, (10, &["group"]), &["{}".to_owned()]).await;
    let Appended::Anew(run_id) = append("").await? else { return Err("nobody has begun the stream".into()) };
    let run = format!("{run_id}.1");
    queue.begin_stream("topic", &run).await?;
    assert_eq!(append(&run).await?, Appended::Done);
    let facts = queue.read_facts("topic", ("group", "reader"), 10, Duration::from_mins(1)).await?;
    assert!(matches!(&facts, Facts::Some(facts) if facts.len() == 1), "{facts:?}");
    assert_eq!(queue.spend("guesses", 1, Duration::from_mins(1)).await?, Spent::Yes);
    Ok(())
}

/// The scripts whose files lie in this folder that none of the servers was ever asked for: each is told a script with
/// its first call.
async fn never_called(lab: &QueueLab, folder: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut missing = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let script = redis::Script::new(&std::fs::read_to_string(&path)?);
        let mut is_known = false;
        for node in &lab.nodes {
            let mut node = connect_redis(node).await?;
            let known: Vec<bool> =
                redis::cmd("SCRIPT").arg("EXISTS").arg(script.get_hash()).query_async(&mut node).await?;
            is_known |= known == [true];
        }
        if !is_known {
            missing.push(path.display().to_string());
        }
    }
    Ok(missing)
}

#[rstest]
#[tokio::test]
async fn each_script_of_the_folder_runs(#[values(Site::Single, Site::Cluster)] site: Site) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let folder = Path::new(SCRIPTS);
    assert!(never_called(&lab, folder).await?.len() > 10, "those that were not called yet are found");
    work_off_a_lane(&lab).await?;
    call_the_others(&lab.queue).await?;
    assert_eq!(never_called(&lab, folder).await?, Vec::<String>::new());
    Ok(())
}

#[test]
fn the_document_names_each_script() -> TestResult {
    let document = include_str!("../../../../docs/QUEUE.md");
    for file in std::fs::read_dir(SCRIPTS)? {
        let path = file?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a name")?;
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_lane_is_forgotten_when_nobody_is_in_it_and_its_pause_stays(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let (queue, at) = (&lab.queue, Partition::of(LANE));
    let first = lab.add(1, 1).await?;
    assert!(!queue.obliterate(LANE).await?, "somebody waits");
    let batch = claim(queue, "w", 1).await?;
    let left = [(first, job(1, 1)?.envelope, Outcome::Failed(Refusal::Left))];
    assert_eq!(queue.leave(LANE, &left).await?, 1);
    assert!(!queue.obliterate(LANE).await?, "somebody has it, though nobody waits");
    let endings = [(first, Ending::StandsBy)].into();
    assert_eq!(queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await?, Ok(0));
    let second = lab.add(2, 1).await?;
    let batch = claim(queue, "w", 1).await?;
    let endings = [(second, Ending::StandsBy)].into();
    assert_eq!(queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await?, Ok(0));
    assert!(!queue.obliterate(LANE).await?, "somebody stands by");
    assert_eq!(queue.recall_standby(LANE, &mut None, 1).await?, 1);
    let batch = claim(queue, "w", 1).await?;
    assert_eq!(queue.settle(&batch, &refuse_all(&batch), true).await?, Ok(0));
    let pause = Pause { paused: true, message: "tea".to_owned() };
    let controls = Controls { lanes: [(LANE, pause.clone())].into(), ..Controls::default() };
    queue.copy_controls(at, &controls).await?;
    for _ in 0..2 {
        assert!(queue.obliterate(LANE).await?, "told twice, there is nothing left to forget");
        assert_eq!(queue.lanes(at).await?, []);
        let mut kept = Vec::new();
        for key in queue.keys().whole_lane(LANE) {
            let is_there: bool = redis::cmd("EXISTS").arg(&key).query_async(&mut queue.connection()).await?;
            if is_there {
                kept.push(key);
            }
        }
        assert_eq!(kept, [queue.keys().meta(LANE)]);
        let state = queue.lane_state(LANE).await?;
        assert_eq!((state.own_pause, state.failed), (pause.clone(), 0));
    }
    assert!(lab.add(3, 1).await? > second, "numbers go on above the old ones");
    assert!(matches!(queue.claim(LANE, "w", 1).await?, Claim::Paused));
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_budget_is_spent_one_by_one_and_refills_evenly(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = QueueLab::start(site, &[]).await?;
    let spend = async |name: &str| lab.queue.spend(name, 2, Duration::from_secs(4)).await;
    // Each of three servers has one of them at least.
    let names = ["a", "b", "c", "d"];
    for name in names {
        assert_eq!((spend(name).await?, spend(name).await?), (Spent::Yes, Spent::Yes), "{name}");
        let Spent::No(rest) = spend(name).await? else { return Err("there was a third one".into()) };
        assert!(rest > Duration::ZERO && rest <= Duration::from_secs(2), "{name}: {rest:?}");
    }
    for name in names {
        eventually("there is one again", async || spend(name).await.is_ok_and(|spent| spent == Spent::Yes))
            .await;
        let key = lab.queue.keys().budget(name);
        let ttl_ms: i64 = redis::cmd("PTTL").arg(key).query_async(&mut lab.queue.connection()).await?;
        assert!((1..=4_000).contains(&ttl_ms), "it is forgotten when it is full again: {ttl_ms}");
    }
    Ok(())
}
