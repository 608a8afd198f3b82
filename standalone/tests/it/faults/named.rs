//! Workers of named queues that are killed: tickets are issued and messages are sent all the same. And those whose lane is
//! emptied under their hands.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use shared::queue::QueueError;
use shared::queue::jobs::partition;
use shared::store::{NewNamedJob, insert_job};
use shared::{messages, tickets};
use standalone::settings::Part;
use tokio_util::sync::CancellationToken;

use super::Moments;
use super::jobs::{Office, QUEUE, job, policy, start_by, until_finished};
use crate::lab::{
    EventPlan, Lab, PATIENCE, Shopper, TestResult, end_as_removed, eventually, make_event, make_order,
};

/// Lanes that the tickets are written to.
const LANES: u16 = 4;
/// What one worker may have at hand: four lanes of tickets and four of messages, eight jobs of each.
const AT_HAND: i64 = 2 * 4 * 8;

/// Notes each attempt with the statement that began it, each end, and each delivery to a person.
const WITNESSES: &str = "
    create table begun (
        seq bigint generated always as identity, job uuid, attempt integer, batch xid8 default pg_current_xact_id());
    create table ended (job uuid, status text);
    create index on ended (job);
    create table delivered (job uuid, channel text);
    create index on delivered (job);
    create function note_job() returns trigger language plpgsql as $$ begin
        if new.attempts > old.attempts then insert into begun (job, attempt) values (new.id, new.attempts); end if;
        if new.finished_at is distinct from old.finished_at then insert into ended values (new.id, new.status); end if;
        return new;
    end $$;
    create trigger note_job after update on jobs for each row execute function note_job();
    create function note_delivery() returns trigger language plpgsql as $$ begin
        insert into delivered values (new.job_id, new.channel);
        return new;
    end $$;
    create trigger note_delivery before insert on mailbox for each row execute function note_delivery();";

/// How many jobs are finished.
async fn finished(lab: &Lab) -> Result<i64, sqlx::Error> {
    lab.count("select count(*) from jobs where finished_at is not null").await
}

/// So many paid orders of one place, each with the job that issues its ticket; a message follows from each.
async fn write_orders(lab: &Lab, orders: usize) -> TestResult {
    let rows = i32::try_from(orders.div_ceil(20))?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(rows, 20)).await?;
    let shoppers = lab.shoppers(20).await?;
    for (nth, seat) in seats.iter().take(orders).enumerate() {
        let owner = shoppers[nth % shoppers.len()].id;
        let (order, _) = make_order(lab.store(), owner, (event, &[*seat]), "paid").await?;
        let payload = tickets::IssueTickets { order };
        let lane = u16::try_from(nth)? % LANES;
        lab.store().add_job(&NewNamedJob { queue: tickets::QUEUE, lane, payload, run_at: None }).await?;
    }
    Ok(())
}

/// Kills workers, so many of which run at a time, until so many were killed or all jobs are finished; how many were.
async fn kill_workers(
    lab: &Lab,
    (all, wanted_kills): (i64, u32),
    at_a_time: usize,
) -> Result<u32, Box<dyn std::error::Error>> {
    // About as long as a round of theirs takes: they are killed at any point of it.
    const ROUND: Duration = Duration::from_millis(40);
    let mut moments = Moments::new();
    let step = all / i64::from(wanted_kills) / 2;
    let mut workers = VecDeque::new();
    for _ in 0..at_a_time {
        workers.push_back(lab.spawn("worker")?);
    }
    let (mut kills, mut before) = (0, 0);
    while before < all && kills < wanted_kills {
        eventually("the workers get on", async || {
            finished(lab).await.is_ok_and(|now| now > before + step || now >= all)
        })
        .await;
        tokio::time::sleep(moments.next(ROUND)).await;
        if let Some(mut oldest) = workers.pop_front() {
            oldest.kill();
        }
        kills += 1;
        before = finished(lab).await?;
        workers.push_back(lab.spawn("worker")?);
    }
    let mut done = finished(lab).await?;
    while done < all {
        eventually("the last workers get on", async || finished(lab).await.is_ok_and(|now| now > done)).await;
        done = finished(lab).await?;
    }
    // The settlement that a killed worker owed is made up for as well.
    for name in [tickets::QUEUE, messages::QUEUE] {
        let queue = lab.system.queue.named(name);
        for lane in queue.lanes(partition()).await? {
            eventually("nobody waits", async || {
                queue.lane_state(lane).await.is_ok_and(|lane| lane.waiting + lane.active == 0)
            })
            .await;
        }
    }
    Ok(kills)
}

/// Jobs of a lane are begun in the order in which they were written: what a batch begins for the first time comes after
/// all that earlier ones began.
async fn assert_begun_in_order(lab: &Lab) -> TestResult {
    let begun: Vec<(i16, i64, i64)> = sqlx::query_as(
        "select j.lane, b.batch::text::bigint,
             row_number() over (partition by j.lane order by j.created_at, j.id)
         from begun b join jobs j on j.id = b.job
         where j.queue = 'tickets' and b.attempt = 1 order by b.seq",
    )
    .fetch_all(lab.store().pool())
    .await?;
    // Of each lane: the batch of the moment, the last place of all before it, and the last of it.
    let mut lanes: HashMap<i16, (i64, i64, i64)> = HashMap::new();
    for (lane, batch, place) in begun {
        let (of, before, last) = lanes.entry(lane).or_insert((batch, 0, 0));
        if *of != batch {
            (*of, *before) = (batch, *last);
        }
        assert!(place > *before, "lane {lane}: the job at {place} was begun after the one at {before}");
        *last = place.max(*last);
    }
    assert_eq!(lanes.len(), usize::from(LANES));
    Ok(())
}

async fn assert_none_lost_none_doubled(lab: &Lab, orders: i64) -> TestResult {
    let bad = async |what: &str, sql: &'static str| -> TestResult {
        assert_eq!(lab.count(sql).await?, 0, "{what}");
        Ok(())
    };
    assert_eq!(lab.count("select count(*) from jobs where queue = 'tickets'").await?, orders);
    assert_eq!(lab.count("select count(*) from jobs where queue = 'messages'").await?, orders);
    bad("jobs that are not completed", "select count(*) from jobs where status <> 'completed'").await?;
    bad(
        "jobs that did not end once",
        "select count(*) from jobs j where (select count(*) from ended e where e.job = j.id) <> 1",
    )
    .await?;
    bad(
        "jobs whose attempts are not those that were begun",
        "select count(*) from (
             select 1 from jobs j left join begun b on b.job = j.id group by j.id
             having count(b.job) <> j.attempts or count(distinct b.attempt) <> j.attempts
                 or min(b.attempt) <> 1 or max(b.attempt) <> j.attempts) as wrong",
    )
    .await?;
    bad("orders that are not fulfilled", "select count(*) from orders where status <> 'fulfilled'").await?;
    assert_eq!(lab.count("select count(*) from tickets").await?, orders);
    bad(
        "messages that were told never, or oftener than they were tried",
        "select count(*) from jobs j where j.queue = 'messages'
             and (select count(*) from delivered d where d.job = j.id and d.channel = 'mail')
                 not between 1 and j.attempts",
    )
    .await?;
    assert_eq!(lab.count("select count(*) from mailbox where channel = 'mail'").await?, orders);
    Ok(())
}

/// Returns how many attempts ended with their worker.
async fn named_queues_under_fire(
    orders: usize,
    wanted_kills: u32,
    at_a_time: usize,
) -> Result<(u32, i64), Box<dyn std::error::Error>> {
    // Leases are short, as each death is followed by the wait for the end of one.
    let words = [
        "--queue-lease-ms=1500",
        "--database-statement-timeout-ms=1200",
        "--database-lock-timeout-ms=1200",
        "--messages-max-attempts=50",
    ];
    let lab = Lab::start_with(&[Part::Sweeper], &words).await?;
    sqlx::raw_sql(WITNESSES).execute(lab.store().pool()).await?;
    let all = i64::try_from(orders)? * 2;
    let writing = write_orders(&lab, orders);
    let killing = kill_workers(&lab, (all, wanted_kills), at_a_time);
    let ((), kills) = tokio::try_join!(writing, killing)?;
    assert_none_lost_none_doubled(&lab, all / 2).await?;
    assert_begun_in_order(&lab).await?;
    let more = lab.count("select sum(attempts - 1) from jobs").await?;
    assert!(more <= i64::from(kills) * AT_HAND, "{more} attempts were lost to {kills} kills");
    eprintln!("{all} jobs, {kills} kills, {more} attempts that ended with their worker");
    Ok((kills, more))
}

#[tokio::test]
async fn killed_workers_lose_no_job_of_a_named_queue_and_end_none_twice() -> TestResult {
    let (kills, _) = named_queues_under_fire(80, 6, 1).await?;
    assert!(kills >= 3, "{kills} workers were killed");
    Ok(())
}

#[tokio::test]
async fn soak_fifty_killed_workers_lose_no_job_of_a_named_queue_and_end_none_twice() -> TestResult {
    let (kills, more) = named_queues_under_fire(5_000, 60, 2).await?;
    assert!(kills >= 50, "{kills} workers were killed");
    assert!(more > 0, "no worker had anything at hand when it was killed");
    Ok(())
}

/// Writes so many jobs of a lane at once, and waits until Redis has them.
async fn write_letters(lab: &Lab, nth: u16, (jobs, about): (usize, &str)) -> TestResult {
    let mut letters = lab.store().pool().begin().await?;
    for letter in 0..jobs {
        let job = NewNamedJob { lane: nth, ..job(&format!("brief {about} {letter}")) };
        insert_job(&mut letters, &job).await?;
    }
    letters.commit().await?;
    eventually("they are queued", async || {
        let not_queued = "select count(*) from jobs where queued_in is null and finished_at is null";
        lab.count(not_queued).await.is_ok_and(|left| left == 0)
    })
    .await;
    Ok(())
}

/// Ends the first four as operators and workers do, but for what they tell Redis: three are removed, and one has failed.
async fn end_by_hand(lab: &Lab) -> TestResult {
    assert_eq!(end_as_removed(lab.store(), QUEUE, 3).await?, 3);
    let next = lab.store().jobs_to_drain(QUEUE, (None, None), &[], 1).await?;
    let [(failed, _)] = next.as_slice() else { return Err("the next one".into()) };
    lab.store().note_attempt(*failed, Some("failed"), Some("no such address")).await?;
    Ok(())
}

/// What Redis counts in each lane: completed and failed.
async fn counts(lab: &Lab) -> Result<Vec<(u16, u64, u64)>, QueueError> {
    let lanes = lab.system.queue.named(QUEUE).lane_counts().await?;
    Ok(lanes.into_iter().map(|counts| (counts.lane, counts.completed, counts.failed)).collect())
}

/// Empties the first lane, a few jobs a call, so that workers take others in between; how many were told to be removed.
async fn empty_lane(operator: &Shopper, verb: &str) -> Result<i64, Box<dyn std::error::Error>> {
    let (deadline, mut removed) = (Instant::now() + PATIENCE, 0);
    let few = json!({"queue": QUEUE, "lane": 0, "limit": 5});
    loop {
        let (status, told) = operator.post(&format!("/api/admin/queue/{verb}"), few.clone()).await?;
        assert_eq!(status, StatusCode::OK, "{told}");
        removed += told["removed"].as_i64().ok_or("how many")?;
        if told["left"] == 0 && told["obliterated"] != json!(false) {
            return Ok(removed);
        }
        assert!(Instant::now() < deadline, "{verb} is not over: {told}");
    }
}

#[tokio::test]
async fn a_lane_emptied_under_its_workers_ends_each_job_once_and_runs_none_that_was_removed() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &["--rate-limit-max=5000"]).await?;
    sqlx::raw_sql(WITNESSES).execute(lab.store().pool()).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    write_letters(&lab, 1, (40, "beside")).await?;
    end_by_hand(&lab).await?;
    let workers = [start_by(&lab, &office, policy(), &stop)?, start_by(&lab, &office, policy(), &stop)?];
    let mut removed = 3;
    for verb in ["drain", "obliterate"] {
        write_letters(&lab, 0, (300, verb)).await?;
        eventually("some are run", async || office.runs().iter().any(|word| word.contains(verb))).await;
        let of_this = empty_lane(&operator, verb).await?;
        assert!(of_this > 0, "{verb} came too late for all of them");
        removed += of_this;
        let runs = office.runs().iter().filter(|word| word.contains(verb)).count();
        let kept = counts(&lab).await?.into_iter().find(|(nth, ..)| *nth == 0);
        let told = (verb == "drain").then_some((0, u64::try_from(runs)?, 0));
        assert_eq!(kept, told, "what was passed over is not counted, and what is obliterated is forgotten");
    }
    write_letters(&lab, 0, (8, "afterwards")).await?;
    until_finished(&lab).await;
    stop.cancel();
    for worker in workers {
        worker.await?;
    }

    assert_eq!(counts(&lab).await?, [(0, 8, 0), (1, 36, 1)]);
    assert_eq!(lab.count("select count(*) from jobs").await?, 648);
    assert_eq!(lab.count("select count(*) from jobs where status = 'removed'").await?, removed);
    let not_once = "select count(*) from jobs j where (select count(*) from ended e where e.job = j.id) <> 1";
    assert_eq!(lab.count(not_once).await?, 0, "each has ended once");
    let spared = "select count(*) from jobs where status = 'completed'
         and (lane = 1 or payload #>> '{}' like 'brief afterwards %')";
    assert_eq!(lab.count(spared).await?, 44, "the lane beside it, and what came afterwards");
    let mut done: Vec<String> =
        sqlx::query_scalar("select payload #>> '{}' from jobs where status = 'completed'")
            .fetch_all(lab.store().pool())
            .await?;
    let mut runs = office.runs();
    done.sort_unstable();
    runs.sort_unstable();
    assert_eq!(runs, done, "what was run, and once, is what stands as done");
    Ok(())
}
