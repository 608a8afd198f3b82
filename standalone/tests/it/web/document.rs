//! The probes, the OpenAPI document and the pages that go with it.

use std::collections::BTreeSet;
use std::path::Path;

use gateway::problem::Code;
use serde_json::{Value, json};
use standalone::settings::Part;

use crate::lab::{Lab, TestResult, eventually, free_port};

/// Whatever a document's parts refer to.
fn referred_to(part: &Value) -> BTreeSet<&str> {
    match part {
        Value::Object(fields) => {
            let here = fields.get("$ref").and_then(Value::as_str);
            here.into_iter().chain(fields.values().flat_map(referred_to)).collect()
        }
        Value::Array(parts) => parts.iter().flat_map(referred_to).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

#[tokio::test]
async fn probes_document_and_pages_are_served() -> TestResult {
    let lab = Lab::start().await?;
    let text =
        async |path: &str| lab.http.get(format!("{}{path}", lab.system.url)).send().await?.text().await;
    assert_eq!(text("/health").await?, r#"{"status":"ok"}"#);
    let stores = r#""postgres":true,"redis":true,"feeds":true}"#;
    assert_eq!(text("/health/stores").await?, format!("{{{stores}"));
    let ready = format!(r#"{{"loaded":true,"sessions":true,"stopping":false,{stores}"#);
    assert_eq!(text("/ready").await?, ready);
    assert!(text("/docs/errors").await?.contains("<dt id=\"seat_taken\">"));
    let document: Value = serde_json::from_str(&text("/api/openapi.json").await?)?;
    assert_eq!(document["openapi"], "3.1.0");
    let seed_paths = [
        "/tickets/{id}/queue",
        "/tickets/queue/{id}",
        "/api/bookings/{id}/book",
        "/api/bookings/status/{id}",
        "/api/admin/queue/stats",
        "/api/admin/queue/details",
        "/api/admin/queue/pause",
        "/api/admin/queue/resume",
        "/api/admin/queue/clean",
        "/api/events",
        "/api/events/{id}",
        "/api/bookings",
        "/api/bookings/cancel",
        "/api/bookings/initiatePayment",
        "/api/bookings/{id}/payment-status",
        "/api/cart/checkout",
        "/api/webhook/payment",
        "/api/seats",
        "/api/seats/select",
        "/api/seats/release",
        "/health",
    ];
    for path in seed_paths {
        assert!(document["paths"][path].is_object(), "{path} is described");
    }
    for name in referred_to(&document) {
        assert!(document.pointer(name.trim_start_matches('#')).is_some(), "{name} is described");
    }
    assert_documented_offline(&lab).await
}

/// The page of the document, and whatever it loads, comes from here; browsers are told to load nothing else.
async fn assert_documented_offline(lab: &Lab) -> TestResult {
    let page = reqwest::Url::parse(&format!("{}/docs/", lab.system.url))?;
    let answer = lab.http.get(page.clone()).send().await?;
    let policy = answer.headers()["content-security-policy"].to_str()?.to_owned();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("://"), "{policy}");
    let html = answer.text().await?;
    let named = |attribute: &str| -> Vec<String> {
        let parts = html.split(attribute).skip(1);
        parts.filter_map(|part| part.split_once('"')).map(|(name, _)| name.to_owned()).collect()
    };
    let (scripts, others) = (named(r#" src=""#), named(r#" href=""#));
    assert!(scripts.len() >= 3 && others.iter().any(|name| name.contains(".css")), "{html}");
    let mut start = String::new();
    for name in scripts.iter().chain(&others) {
        let url = page.join(name)?;
        assert_eq!(url.origin(), page.origin(), "{name} comes from here");
        let answer = lab.http.get(url).send().await?;
        assert_eq!(answer.status(), reqwest::StatusCode::OK, "{name}");
        if name.ends_with("swagger-initializer.js") {
            start = answer.text().await?;
        }
    }
    assert!(
        start.contains("/api/openapi.json") && !start.contains("://"),
        "it asks for our document: {start}"
    );
    Ok(())
}

#[tokio::test]
async fn figures_are_exported_for_prometheus() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = crate::lab::make_event(lab.store(), &crate::lab::EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    shopper.outcome(&shopper.book(event, serde_json::json!({"quantity": 1})).await?).await?;
    let figures = lab.http.get(format!("{}/metrics", lab.system.url)).send().await?.text().await?;
    for name in
        ["usher_jobs_total", "usher_batch_jobs", "usher_enqueue_batch_jobs", "usher_lane_waiting_jobs"]
    {
        assert!(figures.contains(name), "{name} is missing in {figures}");
    }
    let empty = format!("usher_lane_waiting_jobs{{event=\"{event}\"}}");
    assert!(!figures.contains(&empty), "nobody waits there any more: {figures}");
    Ok(())
}

#[tokio::test]
async fn a_worker_and_a_sweeper_tell_figures_of_their_own_where_they_are_told_to() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, _, _) = crate::lab::make_event(lab.store(), &crate::lab::EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    for (part, figure) in [("worker", "usher_jobs_total"), ("sweeper", "usher_expired_places_total")] {
        let port = free_port()?;
        let listen = format!("--metrics-listen=127.0.0.1:{port}");
        let log = lab.servers.dir().join(format!("{part}.log"));
        let mut process = lab.spawn_logging_with(part, &log, &[listen.as_str(), "--log-format=json"])?;
        let text = async |path: &str| {
            let answer = lab.http.get(format!("http://127.0.0.1:{port}{path}")).send().await?;
            answer.error_for_status()?.text().await
        };
        eventually("it says that it lives", async || text("/health").await.is_ok()).await;
        if part == "sweeper" {
            sqlx::query("update bookings set expires_at = now() - interval '1 second' where event_id = $1")
                .bind(event.0)
                .execute(lab.store().pool())
                .await?;
            sqlx::query(
                "update seat_claims set expires_at = now() - interval '1 second' where event_id = $1",
            )
            .bind(event.0)
            .execute(lab.store().pool())
            .await?;
        } else {
            shopper.outcome(&shopper.book(event, serde_json::json!({"quantity": 1})).await?).await?;
        }
        eventually("its figures are told", async || {
            text("/metrics").await.is_ok_and(|figures| figures.contains(figure))
        })
        .await;
        let message = format!("figures are told at 127.0.0.1:{port}");
        eventually("so it is logged", async || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains(&message))
        })
        .await;
        process.kill();
        assert_logged_as_json(&log, &message)?;
    }
    Ok(())
}

/// Every line of a log is one JSON object, and this message of ours is one of them.
fn assert_logged_as_json(log: &Path, message: &str) -> TestResult {
    let text = std::fs::read_to_string(log)?;
    let mut told = None;
    // The process was killed, perhaps in the midst of its last line.
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let event: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        assert!(event["level"].is_string() && event["target"].is_string(), "{line}");
        let time = event["timestamp"].as_str().unwrap_or_default();
        // It traces a field of the same name, which stands after ours.
        let is_of_cron = event["level"] == "TRACE" && event["target"] == "apalis_cron::backend";
        let is_time = is_of_cron || chrono::DateTime::parse_from_rfc3339(time).is_ok();
        assert!(is_time, "{line}");
        if event["message"] == message {
            told = Some(event);
        }
    }
    let told = told.ok_or_else(|| format!("not logged: {message}"))?;
    assert_eq!((&told["level"], &told["target"]), (&json!("INFO"), &json!("shared::telemetry")));
    assert!(told["address"].is_string(), "fields stand beside the message: {told}");
    Ok(())
}

#[test]
fn every_code_stands_in_the_document_and_no_other() {
    let document = include_str!("../../../../docs/API.md");
    let (_, table) = document.split_once("## Errors").expect("the section on errors");
    let (table, _) = table.split_once("## Also").expect("the section after it");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let told: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(told, known);
}

/// The words in code quotes of a section of `docs/STATES.md`.
fn words_of(section: &str) -> BTreeSet<&'static str> {
    let document = include_str!("../../../../docs/STATES.md");
    let (_, rest) = document.split_once(&format!("## {section}\n")).expect("the section");
    let text = rest.split_once("\n## ").map_or(rest, |(text, _)| text);
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn refusals_stand_in_the_document_of_states() {
    let words = words_of("Job");
    let states = ["queued", "processing", "completed", "failed"];
    let refusals = shared::domain::Refusal::ALL.iter().map(|refusal| refusal.code());
    assert_eq!(words, states.into_iter().chain(refusals).collect());
}

#[tokio::test]
async fn the_schema_knows_the_states_of_the_document_and_no_others() -> TestResult {
    let lab = Lab::start_with(&[standalone::settings::Part::Sweeper], &[]).await?;
    for (section, constraint, more) in [
        ("Booking", "bookings_status_known", &[][..]),
        // What is not claimed is available, and `in_queue` is laid over that; neither is stored.
        ("Seat", "seat_claims_status_known", &["available", "in_queue"][..]),
        // A ticket expires by the clock.
        ("Ticket", "tickets_status_known", &["expired"][..]),
        ("Order", "orders_status_known", &[][..]),
        ("Order item", "order_items_status_known", &[][..]),
        ("Payment", "payments_status_known", &[][..]),
        ("Refund", "refunds_status_known", &[][..]),
    ] {
        let definition: String =
            sqlx::query_scalar("select pg_get_constraintdef(oid) from pg_constraint where conname = $1")
                .bind(constraint)
                .fetch_one(lab.store().pool())
                .await?;
        let stored = definition.split('\'').skip(1).step_by(2).chain(more.iter().copied());
        assert_eq!(words_of(section), stored.collect(), "{section}");
    }
    Ok(())
}

/// The variables that `.env.example` names.
pub(super) fn settings_of_the_example() -> BTreeSet<String> {
    let example = include_str!("../../../../.env.example");
    let lines = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let names = lines.map(|(name, _)| name).filter(|name| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
    });
    names.map(str::to_owned).collect()
}

#[test]
fn the_example_of_settings_names_every_variable_and_no_other() {
    use clap::CommandFactory as _;
    let commands = [standalone::settings::Settings::command(), sandbox::SandboxConfig::command()];
    let arguments = commands.iter().flat_map(clap::Command::get_arguments);
    let known: BTreeSet<String> =
        arguments.filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned)).collect();
    let mut named = settings_of_the_example();
    assert!(named.remove("POSTGRES_PASSWORD"), "compose.yaml needs it");
    assert_eq!(named, known);
}

/// Where the tests of a module may stand: in those of the whole system, or in the crate that is named before it.
fn files_of(module: &str) -> Vec<String> {
    let (roots, module) = match module.split_once(' ') {
        Some((of, module)) => (vec![format!("{of}/src"), format!("{of}/tests/it")], module),
        None => (vec!["standalone/tests/it".to_owned()], module),
    };
    let module = module.replace("::", "/");
    let all = roots
        .iter()
        .flat_map(|root| [".rs", "/mod.rs", "/tests.rs"].map(|ending| format!("{root}/{module}{ending}")));
    all.collect()
}

#[test]
fn the_five_documents_name_files_and_tests_that_are_there() {
    let document = include_str!("../../../../docs/SEEDS.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [
        "gateway/",
        "worker/",
        "sweeper/",
        "shared/",
        "sandbox/",
        "standalone/",
        "bench/",
        "migrations/",
        "web/",
        "docker/",
        "scripts/",
    ];
    let (mut files, mut tests) = (0, 0);
    for row in document.lines().filter(|line| line.starts_with('|')) {
        let said = row.to_lowercase();
        assert!(!said.contains("not shown") && !said.contains("missing"), "a row is open: {row}");
        for name in row.split('`').skip(1).step_by(2) {
            if folders.iter().any(|folder| name.starts_with(folder)) {
                assert!(root.join(name).exists(), "{name}");
                files += 1;
            } else if let Some((module, test)) = name.rsplit_once("::") {
                let (places, head) = (files_of(module), format!("fn {test}("));
                let mut texts =
                    places.iter().filter_map(|file| std::fs::read_to_string(root.join(file)).ok());
                assert!(texts.any(|text| text.contains(&head)), "{name}");
                tests += 1;
            }
        }
    }
    assert!(files > 100 && tests > 100, "{files} files, {tests} tests");
}
