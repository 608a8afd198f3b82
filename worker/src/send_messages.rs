//! The job that sends a message: mail, SMS, push.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use shared::messages::config::MessagesConfig;
use shared::messages::{Outgoing, SendError, Sender, Sent};
use shared::queue::jobs::Job;
use shared::telemetry::chain;

use crate::progress::Progress;
use crate::run_jobs::{Backoff, Handler, JobError, Policy};

/// Lanes at once; codes, which somebody is waiting for, have one of their own.
const LANES: usize = 4;
/// Messages of a lane at once.
const AT_ONCE: usize = 8;
/// No rest between attempts is longer.
const LONGEST_REST: Duration = Duration::from_mins(10);
/// A message may be for every admin, each with a time-out of its own.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Sends messages.
pub struct SendMessages {
    sender: Sender,
}

impl SendMessages {
    /// Sends by this.
    pub fn new(sender: Sender) -> Self {
        Self { sender }
    }
}

/// How messages are tried.
pub fn policy(config: &MessagesConfig) -> Policy {
    Policy {
        lanes: LANES,
        at_once: AT_ONCE,
        attempts: config.messages_max_attempts,
        backoff: Backoff::Exponential {
            first: Duration::from_millis(config.messages_backoff_ms),
            longest: LONGEST_REST,
        },
        timeout: TIMEOUT,
    }
}

impl Handler for SendMessages {
    fn run<'a>(&'a self, job: &'a Job, _: &'a Progress) -> BoxFuture<'a, Result<(), JobError>> {
        async move {
            let no_message = || JobError::Fatal("its payload is no message".to_owned());
            let outgoing = Outgoing::from_payload(&job.payload).ok_or_else(no_message)?;
            let kind = outgoing.message.kind();
            match self.sender.send(job.id, &outgoing).await {
                Ok(Sent::Told(times)) => {
                    tracing::info!(job.id = %job.id, kind, times, "message {kind} was sent");
                    Ok(())
                }
                Ok(Sent::Nobody) => {
                    tracing::info!(job.id = %job.id, kind, "message {kind} has nobody to be told, or is not true any more");
                    Ok(())
                }
                Err(SendError::Retry(error)) => Err(JobError::Retry(error)),
                Err(SendError::Fatal(error)) => Err(JobError::Fatal(error)),
                Err(SendError::Store(error)) => Err(JobError::Retry(chain(&error))),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Words {
        #[command(flatten)]
        messages: MessagesConfig,
    }

    #[test]
    fn a_message_is_tried_for_a_day() {
        let words = Words::try_parse_from(["test"]).expect("the settings as they are");
        let policy = policy(&words.messages);
        let rests: Duration = (1..policy.attempts).map(|failures| policy.backoff.rest(failures)).sum();
        let day = Duration::from_hours(24);
        assert!((day..day.mul_f64(1.3)).contains(&rests), "{rests:?}");
    }
}
