//! A Redis Cluster, and a slot that moves from one node to another while its lane is being worked off.

use shared::queue::Partition;

use super::{decided, queue_up};
use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, make_event};

#[tokio::test]
async fn lanes_of_a_cluster_keep_their_order_while_their_slot_moves() -> TestResult {
    let lab = Lab::start_on_cluster().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(30, 20)).await?;
    let shoppers = lab.shoppers(600).await?;
    let cluster = lab.cluster.as_ref().ok_or("a cluster")?;
    let key = lab.system.queue.keys().partition(Partition::of(event));
    let moving = async {
        for wanted in [50, 200, 350] {
            eventually("some are decided", async || decided(&lab, event).await.is_ok_and(|now| now > wanted))
                .await;
            cluster.move_slot_of(&key).await?;
        }
        Ok(())
    };
    let (jobs, ()) = tokio::try_join!(queue_up(&shoppers, event), moving)?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert_eq!(decided(&lab, event).await?, 600);
    assert_invariants(lab.store(), event).await
}
