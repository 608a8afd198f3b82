//! What tests share: a whole system on servers of its own, events and people made to measure, and the
//! invariants that hold at the end of everything.

mod account;
pub(crate) mod bank;
mod cluster;
mod event;
mod fast_redis;
mod invariants;
mod mail_server;
mod order;
mod passage;
mod payer;
mod process;
mod provider_book;
mod shopper;
mod socket;
mod till;

pub(crate) use account::{PASSWORD, digits_of, wrong};
pub(crate) use bank::{Ask, Bank, Fault};
pub(crate) use cluster::{PrivateCluster, connect_redis};
pub(crate) use event::{EventPlan, make_event};
pub(crate) use fast_redis::start_fast_redis;
pub(crate) use invariants::{assert_invariants, broken_invariants};
pub(crate) use mail_server::{MailServer, python};
pub(crate) use order::make_order;
pub(crate) use passage::{End, Passage};
pub(crate) use process::{UsherProcess, free_port};
pub(crate) use provider_book::{Booked, ProviderBook};
pub(crate) use shopper::Shopper;
pub(crate) use socket::Socket;
pub(crate) use till::{Purchase, Till, UNSWEPT};

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use shared::auth::{AccessTokens, Role};
use shared::domain::{EventId, UserId};
use shared::pay::Provider;
use shared::shop::checkout::config::GivenProviders;
use shared::store::{Store, StoreError};
use standalone::sandbox::PrivateSandbox;
use standalone::servers::{PostgresOptions, PrivatePostgres, ScratchServers, scratch, scratch_with};
use standalone::settings::{Part, Settings};
use standalone::system::System;

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// Signs tokens in every test.
pub(crate) const SECRET: &str = "a secret that is only good for tests";

/// Stands in the database's URL of a whole process, whose server asks for none.
pub(crate) const DATABASE_PASSWORD: &str = "tangerine-hurdygurdy-26";

/// Signs tickets in every test.
pub(crate) const TICKET_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIJTTFSmGu5AXP4xhAR753GXvj4bSxQkC2JX4eLExN4qI";

/// How long a test waits for what should be there soon.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What queues lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    Single,
    Cluster,
}

/// A system with its servers.
pub(crate) struct Lab {
    pub(crate) system: System,
    pub(crate) servers: ScratchServers,
    pub(crate) http: reqwest::Client,
    /// Instead of the single Redis, where a test asks for it.
    pub(crate) cluster: Option<PrivateCluster>,
    /// Where its payments go.
    pub(crate) sandbox: PrivateSandbox,
    words: Vec<String>,
    providers: GivenProviders,
    tokens: AccessTokens,
}

impl Lab {
    /// All parts, on empty servers.
    pub(crate) async fn start() -> Result<Self, Box<dyn std::error::Error>> {
        Self::start_with(&[], &[]).await
    }

    /// All parts, on a Redis Cluster.
    pub(crate) async fn start_on_cluster() -> Result<Self, Box<dyn std::error::Error>> {
        Self::start_on_cluster_with(&[]).await
    }

    /// The same with further settings.
    pub(crate) async fn start_on_cluster_with(words: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        Self::start_at(Site::Cluster, &[], words).await
    }

    /// These parts, with further settings, on either.
    pub(crate) async fn start_at(
        site: Site,
        parts: &[Part],
        words: &[&str],
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let (servers, mut cluster) = (scratch().await?, None);
        if site == Site::Cluster {
            cluster = Some(PrivateCluster::start(&servers.dir().join("cluster")).await?);
        }
        Self::start_on(servers, cluster, GivenProviders::default(), (parts, words)).await
    }

    /// All parts, with reads that may lag at a streaming replica, which is returned too.
    pub(crate) async fn start_with_replica() -> Result<(Self, PrivatePostgres), Box<dyn std::error::Error>> {
        let options = PostgresOptions { replicated: true, ..PostgresOptions::throwaway() };
        let servers = scratch_with(options).await?;
        let replica = servers.postgres.start_replica(&servers.dir().join("replica")).await?;
        let word = format!("--database-read-url={}", replica.url());
        Ok((Self::start_on(servers, None, GivenProviders::default(), (&[], &[&word])).await?, replica))
    }

    /// All parts, with PostgreSQL behind a passage, which is returned too.
    pub(crate) async fn start_behind_passage() -> Result<(Self, Passage), Box<dyn std::error::Error>> {
        let servers = scratch().await?;
        let passage = Passage::to(End::Socket(servers.postgres.socket())).await?;
        let word = format!("--database-url=postgres://usher@127.0.0.1:{}/usher", passage.port());
        Ok((Self::start_on(servers, None, GivenProviders::default(), (&[], &[&word])).await?, passage))
    }

    /// The settings of this lab with further ones, for a system of a test's own.
    pub(crate) fn settings(&self, more: &[&str]) -> Result<Settings, Box<dyn std::error::Error>> {
        let words: Vec<String> =
            self.words.iter().cloned().chain(more.iter().map(ToString::to_string)).collect();
        settings_of(&words, &self.providers)
    }

    /// The whole system as a process of its own, which writes its logs, all there are, into a file. It has a password for
    /// the database.
    pub(crate) fn spawn_whole(
        &self,
        port: u16,
        log: &std::path::Path,
    ) -> Result<UsherProcess, Box<dyn std::error::Error>> {
        let mut words = self.words.clone();
        words.retain(|word| !word.starts_with("--listen"));
        words.push(format!("--listen=127.0.0.1:{port}"));
        words.push(format!("--public-url=http://127.0.0.1:{port}"));
        let database = words.iter_mut().find(|word| word.starts_with("--database-url=postgres://usher@"));
        let database = database.ok_or("a database without a password")?;
        *database = database.replacen("usher@", &format!("usher:{DATABASE_PASSWORD}@"), 1);
        UsherProcess::spawn_whole(&words, log)
    }

    /// These parts, with further settings.
    pub(crate) async fn start_with(
        parts: &[Part],
        words: &[&str],
    ) -> Result<Self, Box<dyn std::error::Error>> {
        Self::start_at(Site::Single, parts, words).await
    }

    /// The same with payment providers of the test's own; the first one takes new payments.
    pub(crate) async fn start_paying(
        providers: Vec<Arc<dyn Provider>>,
        parts: &[Part],
        words: &[&str],
    ) -> Result<Self, Box<dyn std::error::Error>> {
        Self::start_on(scratch().await?, None, GivenProviders(providers), (parts, words)).await
    }

    async fn start_on(
        servers: ScratchServers,
        cluster: Option<PrivateCluster>,
        providers: GivenProviders,
        (parts, words): (&[Part], &[&str]),
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let redis = cluster.as_ref().map_or_else(|| servers.redis.url(), PrivateCluster::url);
        let sandbox = PrivateSandbox::start_throwaway().await?;
        let words = words_of(&servers, &redis, &sandbox, words);
        let settings = settings_of(&words, &providers)?;
        Store::connect(&settings.store).await?.migrate().await?;
        let system = System::start(&settings, parts).await?;
        let secrets = settings.services.auth.secrets()?;
        let lab = Self {
            http: reqwest::Client::new(),
            cluster,
            sandbox,
            tokens: AccessTokens::new(&secrets, 3_600),
            system,
            servers,
            words,
            providers,
        };
        if !lab.system.url.is_empty() {
            lab.until_ready(&lab.system.url).await;
        }
        Ok(lab)
    }

    /// These parts on the same servers, in this process, with other payment providers: the first one takes new payments.
    pub(crate) async fn add_paying(
        &self,
        providers: Vec<Arc<dyn Provider>>,
        parts: &[Part],
    ) -> Result<System, Box<dyn std::error::Error>> {
        let system = System::start(&settings_of(&self.words, &GivenProviders(providers))?, parts).await?;
        if !system.url.is_empty() {
            self.until_ready(&system.url).await;
        }
        Ok(system)
    }

    /// One more part on the same servers, in this process.
    pub(crate) async fn add(&self, parts: &[Part]) -> Result<System, Box<dyn std::error::Error>> {
        self.add_with(parts, &[]).await
    }

    /// The same with further settings.
    pub(crate) async fn add_with(
        &self,
        parts: &[Part],
        more: &[&str],
    ) -> Result<System, Box<dyn std::error::Error>> {
        let system = System::start(&self.settings(more)?, parts).await?;
        if !system.url.is_empty() {
            self.until_ready(&system.url).await;
        }
        Ok(system)
    }

    /// One more part in this process, which may not become ready.
    pub(crate) async fn start_part(&self, part: Part) -> Result<System, Box<dyn std::error::Error>> {
        Ok(System::start(&self.settings(&[])?, &[part]).await?)
    }

    /// One more part as a process of its own, which can be killed.
    pub(crate) fn spawn(&self, part: &str) -> Result<UsherProcess, Box<dyn std::error::Error>> {
        self.spawn_with(part, &[])
    }

    /// The same with further settings.
    pub(crate) fn spawn_with(
        &self,
        part: &str,
        more: &[&str],
    ) -> Result<UsherProcess, Box<dyn std::error::Error>> {
        let words: Vec<String> =
            self.words.iter().cloned().chain(more.iter().map(ToString::to_string)).collect();
        UsherProcess::spawn(&words, part)
    }

    /// The same, with all it logs in a file.
    pub(crate) fn spawn_logging(
        &self,
        part: &str,
        file: &std::path::Path,
    ) -> Result<UsherProcess, Box<dyn std::error::Error>> {
        self.spawn_logging_with(part, file, &[])
    }

    /// The same with further settings.
    pub(crate) fn spawn_logging_with(
        &self,
        part: &str,
        file: &std::path::Path,
        more: &[&str],
    ) -> Result<UsherProcess, Box<dyn std::error::Error>> {
        let mut words = self.words.clone();
        words.push("--log-filter=trace".to_owned());
        words.extend(more.iter().map(ToString::to_string));
        UsherProcess::spawn_logging(&words, part, std::fs::File::create(file)?.into())
    }

    /// A gateway on this port as a process of its own.
    pub(crate) fn spawn_gateway(&self, port: u16) -> Result<UsherProcess, Box<dyn std::error::Error>> {
        UsherProcess::spawn(&self.words_listening(port), "gateway")
    }

    /// One of the programs `gateway`, `worker` and `sweeper`; a gateway listens on this port.
    pub(crate) fn spawn_program(
        &self,
        name: &str,
        port: u16,
    ) -> Result<UsherProcess, Box<dyn std::error::Error>> {
        UsherProcess::spawn_program(name, &self.words_listening(port))
    }

    fn words_listening(&self, port: u16) -> Vec<String> {
        let mut words = self.words.clone();
        words.retain(|word| !word.starts_with("--listen"));
        words.push(format!("--listen=127.0.0.1:{port}"));
        words
    }

    pub(crate) fn store(&self) -> &Store {
        &self.system.store
    }

    /// A number out of PostgreSQL.
    pub(crate) async fn count(&self, sql: &'static str) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(sql).fetch_one(self.store().pool()).await
    }

    /// How many statements that look like this wait for a lock in PostgreSQL; of each it knows the first 1,024 bytes.
    pub(crate) async fn waiting_for_locks(&self, statement: &str) -> Result<i64, sqlx::Error> {
        let waiting = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like $1",
        );
        waiting.bind(statement).fetch_one(self.store().pool()).await
    }

    /// New people, with their tokens.
    pub(crate) async fn shoppers(&self, count: usize) -> Result<Vec<Shopper>, Box<dyn std::error::Error>> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "insert into users (email, first_name, last_name)
             select format('%s@usher.test', gen_random_uuid()), 'Test', 'Shopper' from generate_series(1, $1)
             returning id",
        )
        .bind(i32::try_from(count)?)
        .fetch_all(self.store().pool())
        .await?;
        ids.into_iter().map(|id| self.as_role(UserId(id), Role::Shopper)).collect()
    }

    pub(crate) async fn shopper(&self) -> Result<Shopper, Box<dyn std::error::Error>> {
        self.shoppers(1).await?.pop().ok_or_else(|| "no shopper".into())
    }

    /// Somebody new with this role.
    pub(crate) async fn with_role(&self, role: Role) -> Result<Shopper, Box<dyn std::error::Error>> {
        let shopper = self.shopper().await?;
        self.as_role(shopper.id, role)
    }

    fn as_role(&self, id: UserId, role: Role) -> Result<Shopper, Box<dyn std::error::Error>> {
        Ok(Shopper {
            id,
            token: self.tokens.sign(id, role)?,
            url: self.system.url.clone(),
            http: self.http.clone(),
        })
    }

    /// Every job of an event that is in the lane has an outcome.
    pub(crate) async fn until_decided(&self, event: EventId, jobs: usize) -> TestResult {
        let wanted = i64::try_from(jobs)?;
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            let decided: i64 = sqlx::query_scalar("select count(*) from job_outcomes where event_id = $1")
                .bind(event.0)
                .fetch_one(self.store().pool())
                .await?;
            if decided >= wanted {
                return Ok(());
            }
            assert!(Instant::now() < deadline, "{decided} of {wanted} jobs are decided");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn until_ready(&self, url: &str) {
        eventually("the gateway is ready and has its stores", async || {
            for path in ["/ready", "/health/stores"] {
                let answer = self.http.get(format!("{url}{path}")).send().await;
                if !answer.is_ok_and(|answer| answer.status().is_success()) {
                    return false;
                }
            }
            true
        })
        .await;
    }
}

fn settings_of(words: &[String], providers: &GivenProviders) -> Result<Settings, Box<dyn std::error::Error>> {
    let mut settings = Settings::from_words(words.iter().map(String::as_str))?;
    settings.services.checkout.providers = providers.clone();
    Ok(settings)
}

fn words_of(servers: &ScratchServers, redis: &str, sandbox: &PrivateSandbox, more: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = [
        "--listen=127.0.0.1:0",
        "--queue-recover-ms=300",
        "--queue-lease-ms=5500",
        "--rate-limit-max=1000000",
        "--rate-limit-ip-max=1000000",
        "--rate-limit-login-ip-max=1000000",
        "--rate-limit-refresh-ip-max=1000000",
        "--rate-limit-login-max=1000000",
        "--rate-limit-code-max=1000000",
        "--rate-limit-reads-per-second=1000000",
        "--max-sockets-per-ip=20000",
        "--max-connections-per-ip=20000",
        "--web-dir=../web/dist",
        "--notify-reserved=false",
        "--notify-expired=false",
    ]
    .map(str::to_owned)
    .to_vec();
    words.push(format!("--database-url={}", servers.postgres.url()));
    words.push(format!("--redis-url={redis}"));
    words.push(format!("--jwt-secret={SECRET}"));
    words.push(format!("--sandbox-url={}", sandbox.url));
    words.push(format!("--sandbox-key={}", sandbox.key.expose_secret()));
    words.push(format!("--sandbox-webhook-secret={}", sandbox.webhook_secret.expose_secret()));
    words.push(format!("--ticket-key={TICKET_KEY}"));
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

/// Waits for a condition, and fails when it does not come true.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, condition).await;
}

/// The same for what takes longer, or asks for more at each look: those are as much rarer.
pub(crate) async fn eventually_within(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(limit / 1_500).await;
    }
}

/// Ends the oldest jobs of a named queue as removed, and tells Redis nothing of it; how many.
pub(crate) async fn end_as_removed(store: &Store, queue: &str, at_most: i64) -> Result<usize, StoreError> {
    let open = store.jobs_to_drain(queue, (None, None), &[], at_most).await?;
    Ok(store.drain_jobs(&open).await?.len())
}
