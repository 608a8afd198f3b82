//! One open socket: who it is, what it follows, and what it is told when.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, close_code};
use shared::domain::{EventId, JobRef, UserId};
use shared::queue::board::JobState;
use shared::shop::accounts::Actor;
use shared::shop::{HALFWAY, LiveSeats, Status, WaitRange, wait_text};
use tokio::sync::mpsc;

use super::hub::{Listening, Note};
use super::message::{Message, Request};
use crate::app::App;
use crate::per_address::Held;
use crate::problem::Problem;

/// Jobs that one socket may follow.
const MAX_JOBS: usize = 16;
/// Events that one socket may watch.
const MAX_EVENTS: usize = 4;
/// Messages that a browser may send a second, pings and pongs among them: enough to ask for everything anew after a
/// reconnect.
const MAX_MESSAGES: u32 = 32;
/// How often the stores are asked for a job that the feed does not tell of.
const ASK: Duration = Duration::from_secs(5);
/// How long the last words, and the browser's answer to them, may take: less than an ending gateway waits for its sockets.
const GOODBYE: Duration = Duration::from_secs(2);

/// A job that a socket follows.
struct Following {
    reference: String,
    job: JobRef,
    told: Standing,
    /// What the last look saw of one who was told to stand by, if it was something else.
    doubt: Option<Discriminant<JobState>>,
    look_at: Instant,
}

impl Following {
    /// Whether it stood by when it was told last, and this look is the first to see it wait or be decided: it may stand by
    /// again at the next one, as whoever stands by is tried again and again, mostly in vain.
    fn is_in_doubt(&mut self, state: &JobState) -> bool {
        let is_away = matches!(self.told, Standing::Aside(_))
            && matches!(state, JobState::Waiting { .. } | JobState::Processing);
        let seen = is_away.then(|| discriminant(state));
        std::mem::replace(&mut self.doubt, seen) != seen && is_away
    }
}

/// What was told last of a job that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It waits; where is not known yet.
    Somewhere,
    /// At which place, in how long a line.
    InLine(u64, u64),
    /// It stands by, at which place.
    Aside(u64),
    /// It is being decided.
    Processing,
}

impl Standing {
    /// `None` for a job that has ended.
    fn of(status: &Status) -> Option<Self> {
        match status {
            Status::Queued { place: Some(place), standby: true, .. } => Some(Self::Aside(*place)),
            Status::Queued { place: Some(place), waiting, .. } => Some(Self::InLine(*place, *waiting)),
            Status::Queued { place: None, .. } => Some(Self::Somewhere),
            Status::Processing { .. } => Some(Self::Processing),
            Status::Completed { .. } | Status::Failed { .. } => None,
        }
    }

    fn place(self) -> u64 {
        match self {
            Self::InLine(place, _) | Self::Aside(place) => place,
            Self::Somewhere | Self::Processing => 0,
        }
    }
}

struct Socket {
    app: App,
    stream: WebSocket,
    listening: Listening,
    ip: IpAddr,
    viewer: Option<UserId>,
    /// How the viewer was identified.
    actor: Option<Actor>,
    jobs: HashMap<(EventId, u64), Following>,
    events: Vec<EventId>,
    window: (Instant, u32),
    /// How often the browser is asked whether it is there,
    ping: Duration,
    /// and after how much silence it is taken to be gone.
    silence: Duration,
    /// How long one message may take to be taken in.
    patience: Duration,
}

/// Why a socket ends.
enum End {
    /// The browser left, or takes in nothing.
    Gone,
    /// Nothing is heard of it; it may be there all the same.
    Silent,
    /// This gateway ends; there are others.
    Stopping,
    /// It did not read fast enough, and is told to begin anew.
    TooSlow,
    /// It asked for what it may not.
    Refused(String),
}

/// Serves a socket until it ends.
pub(super) async fn run(app: App, stream: WebSocket, viewer: Option<Actor>, held: Held) {
    let (listening, notes) = app.hub.listen();
    let [ping, silence, patience] =
        [app.config.socket_ping_ms, app.config.socket_silence_ms, app.config.socket_send_ms]
            .map(Duration::from_millis);
    let mut socket = Socket {
        app,
        stream,
        listening,
        ip: held.ip(),
        viewer: None,
        actor: None,
        jobs: HashMap::new(),
        events: Vec::new(),
        window: (Instant::now(), 0),
        ping,
        silence,
        patience,
    };
    if let Some(actor) = viewer {
        socket.identify(actor);
    }
    let end = socket.serve(notes).await;
    socket.forget();
    socket.close(end).await;
    drop(held);
}

impl Socket {
    async fn serve(&mut self, mut notes: mpsc::Receiver<Note>) -> End {
        let mut last_heard = Instant::now();
        let mut next_ping = Instant::now() + self.ping;
        let (too_slow, shutdown) = (self.listening.too_slow.clone(), self.app.shutdown.clone());
        loop {
            let look = self.jobs.values().map(|job| job.look_at).min().unwrap_or(next_ping).min(next_ping);
            let end = tokio::select! {
                biased;
                () = shutdown.cancelled() => Err(End::Stopping),
                () = too_slow.cancelled() => Err(End::TooSlow),
                frame = self.stream.recv() => {
                    last_heard = Instant::now();
                    self.heard(frame).await
                }
                Some(note) = notes.recv() => self.told(note).await,
                () = tokio::time::sleep_until(look.into()) => self.tell_places().await,
            };
            if let Err(end) = end {
                return end;
            }
            if Instant::now() >= next_ping {
                if last_heard.elapsed() > self.silence {
                    return End::Silent;
                }
                next_ping = Instant::now() + self.ping;
                if self.send(Frame::Ping(bytes::Bytes::new())).await.is_err() {
                    return End::Gone;
                }
            }
        }
    }

    async fn heard(&mut self, frame: Option<Result<Frame, axum::Error>>) -> Result<(), End> {
        self.check_session()?;
        if self.window.0.elapsed() > Duration::from_secs(1) {
            self.window = (Instant::now(), 0);
        }
        self.window.1 += 1;
        if self.window.1 > MAX_MESSAGES {
            return Err(End::Refused("too many messages".to_owned()));
        }
        let text = match frame {
            Some(Ok(Frame::Text(text))) => text,
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => return Ok(()),
            Some(Ok(Frame::Binary(_))) => return Err(End::Refused("send text".to_owned())),
            Some(Ok(Frame::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        let Ok(request) = serde_json::from_str::<Request>(&text) else {
            return self.refuse("bad_json", "this is not a message that is expected here").await;
        };
        match request {
            Request::Auth { token } => self.authenticate(&token).await,
            Request::Subscribe { job_id } => self.subscribe(job_id).await,
            Request::Unsubscribe { job_id } => {
                if let Ok(job) = self.app.desk.read(&job_id) {
                    self.unfollow(job.event, job.number);
                }
                Ok(())
            }
            Request::Watch { event_id } => self.watch(event_id).await,
            Request::Unwatch { event_id } => {
                self.events.retain(|event| *event != event_id);
                self.app.hub.unwatch(&self.listening, event_id);
                Ok(())
            }
            Request::Ping => self.say(&Message::Pong).await,
        }
    }

    async fn authenticate(&mut self, token: &str) -> Result<(), End> {
        match self.app.accounts.token_actor(token) {
            Ok(actor) => {
                self.identify(actor);
                self.say(&Message::Authenticated).await
            }
            Err(error) => {
                let problem = Problem::from(error);
                self.refuse(problem.code.word(), &problem.detail).await
            }
        }
    }

    fn identify(&mut self, actor: Actor) {
        self.actor = Some(actor);
        if let Some(before) = self.viewer.replace(actor.user) {
            self.app.hub.forget_user(&self.listening, before);
        }
        self.app.hub.identify(&self.listening, actor.user);
    }

    /// Whoever was logged out is told nothing more; the page comes back with a new token.
    fn check_session(&self) -> Result<(), End> {
        let has_ended = self.actor.is_some_and(|actor| self.app.accounts.has_ended(&actor));
        if has_ended { Err(End::Refused("this session has ended".to_owned())) } else { Ok(()) }
    }

    async fn subscribe(&mut self, reference: String) -> Result<(), End> {
        let job = match self.app.desk.read(&reference) {
            Ok(job) => job,
            Err(error) => {
                let problem = Problem::from(error);
                return self.refuse(problem.code.word(), &problem.detail).await;
            }
        };
        let key = (job.event, job.number);
        let is_new = !self.jobs.contains_key(&key);
        if is_new && self.jobs.len() >= MAX_JOBS {
            return self.refuse("too_many_requests", "one socket follows at most 16 jobs").await;
        }
        // Subscribed before the state is read, so that no end is missed in between.
        if is_new {
            let lane = self.app.desk.lanes().lane(job.event);
            self.app.hub.subscribe(&self.listening, &lane.board, job.number);
        }
        let status = match self.app.desk.status_of(&job, self.viewer).await {
            Ok(status) => status,
            Err(error) => {
                // One that was followed before is followed on: its end comes all the same.
                if is_new {
                    self.app.hub.unsubscribe(&self.listening, job.event, job.number);
                }
                let problem = Problem::from(error);
                return self.refuse(problem.code.word(), &problem.detail).await;
            }
        };
        if let Some(told) = Standing::of(&status) {
            let look_at = Instant::now() + pause_after(told.place());
            let following = Following { reference: reference.clone(), job, told, doubt: None, look_at };
            self.jobs.insert(key, following);
        } else {
            self.unfollow(job.event, job.number);
        }
        self.say(&Message::Status { job_id: reference, status }).await
    }

    fn unfollow(&mut self, event: EventId, number: u64) {
        self.jobs.remove(&(event, number));
        self.app.hub.unsubscribe(&self.listening, event, number);
    }

    async fn watch(&mut self, id: EventId) -> Result<(), End> {
        let is_new = !self.events.contains(&id);
        if is_new && self.events.len() >= MAX_EVENTS {
            return self.refuse("too_many_requests", "one socket watches at most 4 events").await;
        }
        if let Err(problem) = self.app.limits.check_read(self.ip) {
            return self.refuse(problem.code.word(), &problem.detail).await;
        }
        let lane = match crate::events::load(&self.app, id).await {
            Ok((_, lane)) => lane,
            Err(problem) => return self.refuse(problem.code.word(), &problem.detail).await,
        };
        if is_new {
            self.events.push(id);
            self.app.hub.watch(&self.listening, &lane.board);
        }
        let message = {
            let version = lane.seats.read().as_ref().map_or(0, LiveSeats::version);
            let board = lane.board.read();
            let pause = board.pause().clone();
            Message::Event {
                event_id: id,
                paused: pause.paused,
                message: pause.message,
                waiting: board.waiting(),
                version,
            }
        };
        self.say(&message).await
    }

    async fn told(&mut self, note: Note) -> Result<(), End> {
        self.check_session()?;
        match note {
            Note::Text(text) => self.send_text(text).await,
            Note::Processing(event, number) => {
                let Some(following) = self.jobs.get_mut(&(event, number)) else { return Ok(()) };
                following.look_at = following.look_at.min(Instant::now() + pause_after(0));
                let lane = self.app.desk.lanes().lane(event);
                let state = lane.board.read().state(number);
                let is_back = matches!(state, JobState::Waiting { .. } | JobState::StandsBy { .. });
                // Whoever stands by is tried again and again, mostly in vain: the next looks tell of it if it lasts.
                if is_back || matches!(following.told, Standing::Aside(_) | Standing::Processing) {
                    return Ok(());
                }
                following.told = Standing::Processing;
                let job_id = following.reference.clone();
                self.say(&Message::Processing { job_id, progress: HALFWAY }).await
            }
            Note::Ended(event, number, owner, outcome) => {
                let Some(following) = self.jobs.remove(&(event, number)) else { return Ok(()) };
                let is_owner = self.viewer == Some(owner);
                let job_id = following.reference;
                let message = match self.app.desk.ended(event, &outcome, is_owner).await {
                    Status::Completed { result, .. } => Message::Reserved { job_id, result },
                    Status::Failed { error, code, .. } => Message::Failed { job_id, error, code },
                    Status::Queued { .. } | Status::Processing { .. } => return Ok(()),
                };
                self.say(&message).await
            }
        }
    }

    /// Tells the places that have changed; those far away are looked at seldom. The state is told in full when it is
    /// another one: a job that was being decided waits or stands by again, or its place aside has changed.
    async fn tell_places(&mut self) -> Result<(), End> {
        self.check_session()?;
        let now = Instant::now();
        let (mut messages, mut anew, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for following in self.jobs.values_mut().filter(|following| following.look_at <= now) {
            let lane = self.app.desk.lanes().lane(following.job.event);
            let state = lane.board.read().state(following.job.number);
            if following.is_in_doubt(&state) {
                following.look_at = now + pause_after(0);
                continue;
            }
            let job_id = following.reference.clone();
            match state {
                JobState::Waiting { place, waiting, wait } => {
                    following.look_at = now + pause_after(place);
                    let told = std::mem::replace(&mut following.told, Standing::InLine(place, waiting));
                    match told {
                        Standing::InLine(was, of) if (was, of) == (place, waiting) => {}
                        Standing::Somewhere | Standing::InLine(..) => messages.push(Message::Place {
                            job_id,
                            place,
                            waiting,
                            estimated_wait_time: wait_text(wait),
                            wait_range: WaitRange::from(wait),
                        }),
                        Standing::Aside(_) | Standing::Processing => {
                            anew.push((job_id, following.job.clone()));
                        }
                    }
                }
                JobState::StandsBy { place } => {
                    following.look_at = now + pause_after(place);
                    if following.told != Standing::Aside(place) {
                        anew.push((job_id, following.job.clone()));
                    }
                }
                JobState::Processing => {
                    following.look_at = now + pause_after(0);
                    if following.told != Standing::Processing {
                        following.told = Standing::Processing;
                        messages.push(Message::Processing { job_id, progress: HALFWAY });
                    }
                }
                // Its end is under way.
                JobState::Ended(..) => following.look_at = now + pause_after(0),
                // The feed has missed it: then the stores are asked, seldom.
                JobState::Unknown => {
                    following.look_at = now + ASK;
                    unknown.push((job_id, following.job.clone()));
                }
            }
        }
        for message in &messages {
            self.say(message).await?;
        }
        for (job_id, job) in anew {
            let Ok(status) = self.app.desk.status_of(&job, self.viewer).await else { continue };
            // Its end is told as such.
            let Some(told) = Standing::of(&status) else { continue };
            if let Some(following) = self.jobs.get_mut(&(job.event, job.number)) {
                following.told = told;
            }
            self.say(&Message::Status { job_id, status }).await?;
        }
        for (job_id, job) in unknown {
            let Ok(status) = self.app.desk.status_of(&job, self.viewer).await else { continue };
            if matches!(status, Status::Completed { .. } | Status::Failed { .. }) {
                self.unfollow(job.event, job.number);
                self.say(&Message::Status { job_id, status }).await?;
            }
        }
        Ok(())
    }

    async fn refuse(&mut self, code: &'static str, detail: &str) -> Result<(), End> {
        self.say(&Message::Error { code, detail: detail.to_owned() }).await
    }

    async fn say(&mut self, message: &Message) -> Result<(), End> {
        self.send_text(message.text()).await
    }

    async fn send_text(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.send(Frame::Text(text)).await
    }

    async fn send(&mut self, frame: Frame) -> Result<(), End> {
        match tokio::time::timeout(self.patience, self.stream.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// The hub forgets this socket.
    fn forget(&mut self) {
        let jobs: Vec<_> = self.jobs.keys().copied().collect();
        for (event, number) in jobs {
            self.unfollow(event, number);
        }
        for event in std::mem::take(&mut self.events) {
            self.app.hub.unwatch(&self.listening, event);
        }
        if let Some(user) = self.viewer.take() {
            self.app.hub.forget_user(&self.listening, user);
        }
    }

    async fn close(mut self, end: End) {
        let (code, reason) = match end {
            End::Gone => return,
            End::Stopping => (close_code::AWAY, "this server is restarting".to_owned()),
            End::Silent => (close_code::AGAIN, "nothing was heard of you; subscribe again".to_owned()),
            End::TooSlow => (close_code::AGAIN, "too slow; subscribe again".to_owned()),
            End::Refused(reason) => (close_code::POLICY, reason),
        };
        let goodbye = async {
            let frame = Frame::Close(Some(CloseFrame { code, reason: reason.into() }));
            if self.send(frame).await.is_ok() {
                // Until it is answered: a connection that ends with something unread may take the last words with it.
                while let Some(Ok(_)) = self.stream.recv().await {}
            }
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// How long after a look the next one comes: near the head four times a second.
fn pause_after(place: u64) -> Duration {
    match place {
        0..=100 => Duration::from_millis(250),
        101..=1_000 => Duration::from_secs(1),
        1_001..=10_000 => Duration::from_secs(3),
        _ => Duration::from_secs(5),
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::{BookingRequest, Envelope, Wanted};
    use shared::queue::board::Wait;

    use super::*;

    #[test]
    fn whoever_stands_by_is_away_after_two_looks_that_agree() -> Result<(), Box<dyn std::error::Error>> {
        let wanted = Wanted::Best { quantity: 1, tier: None, section: None, adjacent: false, or_any: false };
        let envelope = Envelope {
            owner: UserId(1),
            nonce: 1,
            is_keyed: false,
            ip: None,
            request: BookingRequest::chosen(wanted)?,
        };
        let job = JobRef { event: EventId(1), number: 7, expires_s: 0, envelope };
        let (reference, told, look_at) = (String::new(), Standing::Aside(1), Instant::now());
        let mut following = Following { reference, job, told, doubt: None, look_at };
        let waits = JobState::Waiting { place: 1, waiting: 1, wait: Wait { min_s: 1, usual_s: 1, max_s: 1 } };
        let (decided, aside) = (JobState::Processing, JobState::StandsBy { place: 1 });
        for (state, is_in_doubt) in [
            (&waits, true),
            (&aside, false),
            (&waits, true),
            (&decided, true),
            (&decided, false),
            (&aside, false),
            (&decided, true),
        ] {
            assert_eq!(following.is_in_doubt(state), is_in_doubt, "{state:?}");
        }
        following.told = Standing::InLine(1, 1);
        assert!(!following.is_in_doubt(&decided), "of those who wait it is told at once");
        Ok(())
    }
}
