//! Files for those who run Usher: the manifest for Kubernetes, and the targets of make.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::CommandFactory as _;
use serde_json::{Value, json};
use standalone::settings::Settings;

use super::document::settings_of_the_example;
use crate::lab::{TestResult, python};

type AnyError = Box<dyn std::error::Error>;

const MANIFEST: &str = include_str!("../../../../docker/kubernetes.yaml");
const COMPOSE: &str = include_str!("../../../../compose.yaml");
const MAKEFILE: &str = include_str!("../../../../Makefile");

/// Tells every document of a YAML file as JSON.
const READ: &str = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
/// Seconds in which a gateway that ends finishes the requests at hand.
const FAREWELL_S: u64 = 5;

/// A file of this repository.
fn file(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// What the manifest holds.
async fn manifest() -> Result<Vec<Value>, AnyError> {
    let read = python().await?.args(["-c", READ]).arg(file("docker/kubernetes.yaml")).output().await?;
    if !read.status.success() {
        return Err(String::from_utf8_lossy(&read.stderr).into());
    }
    Ok(serde_json::from_slice(&read.stdout)?)
}

fn of_kind<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|one| one["kind"] == kind).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn names(objects: &[&Value]) -> Vec<String> {
    objects.iter().map(|one| one["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn container(workload: &Value) -> &Value {
    &pod(workload)["containers"][0]
}

/// The settings that are no secrets.
fn settings(all: &[Value]) -> &Value {
    all.iter().find(|one| one["kind"] == "ConfigMap").map_or(&Value::Null, |map| &map["data"])
}

#[tokio::test]
async fn the_manifest_names_only_settings_that_exist_and_secrets_by_reference() -> TestResult {
    let all = manifest().await?;
    let (example, command) = (settings_of_the_example(), Settings::command());
    let hidden = command.get_arguments().filter(|arg| arg.is_hide_env_values_set());
    let secrets: BTreeSet<&str> = hidden.filter_map(|arg| arg.get_env()?.to_str()).collect();
    assert!(secrets.contains("JWT_SECRET") && secrets.contains("DATABASE_URL"), "{secrets:?}");

    let mut referred = BTreeSet::new();
    for workload in all.iter().filter(|one| pod(one).is_object()) {
        for variable in list(&container(workload)["env"]) {
            let name = variable["name"].as_str().ok_or("a name")?;
            assert!(example.contains(name), "{name} is no setting");
            let from = &variable["valueFrom"]["secretKeyRef"];
            assert_eq!((&from["name"], &from["key"]), (&json!("usher-secrets"), &json!(name)));
            referred.insert(name);
        }
    }
    let needed = BTreeSet::from(["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "TICKET_KEY"]);
    assert!(needed.is_subset(&referred), "{referred:?}");

    let mut words = Vec::new();
    for (name, value) in settings(&all).as_object().ok_or("the settings")? {
        assert!(example.contains(name) && !secrets.contains(name.as_str()), "{name}");
        let value = value.as_str().ok_or_else(|| format!("{name} is no text"))?;
        let mut arguments = command.get_arguments();
        let argument = arguments.find(|arg| arg.get_env().is_some_and(|env| env == name.as_str()));
        let argument = argument.ok_or_else(|| format!("{name} is read by nobody"))?;
        if argument.get_action().takes_values() {
            words.push(format!("--{}={value}", argument.get_long().ok_or("its word")?));
        } else {
            assert!(["true", "false"].contains(&value), "{name}: {value}");
        }
    }
    Settings::from_words(words.iter().map(String::as_str))?;
    Ok(())
}

#[tokio::test]
async fn what_the_manifest_runs_is_there_is_measured_and_ends_in_order() -> TestResult {
    let all = manifest().await?;
    let deployments = of_kind(&all, "Deployment");
    assert_eq!(names(&deployments), ["usher-gateway", "usher-worker", "usher-sweeper"]);
    for workload in deployments.iter().copied().chain(of_kind(&all, "Job")) {
        let one = container(workload);
        let image = one["image"].as_str().ok_or("an image")?;
        assert!(COMPOSE.contains(&format!("image: {image}\n")), "{image} is built by nobody");
        let resources = &one["resources"];
        assert!(resources["requests"]["cpu"].is_string(), "{image}: what is used is a share of this");
        assert!(resources["limits"]["memory"].is_string(), "{image}");
        assert_eq!(one["securityContext"]["readOnlyRootFilesystem"], true, "{image}");
    }
    let (gateway, worker) = (deployments[0], deployments[1]);
    let one = container(gateway);
    for (probe, path) in
        [("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")]
    {
        assert_eq!(one[probe]["httpGet"]["path"], path, "{probe}");
        assert_eq!(one[probe]["httpGet"]["port"], one["ports"][0]["name"], "{probe}");
    }
    let listen = settings(&all)["METRICS_LISTEN"].as_str().ok_or("an address")?;
    for quiet in &deployments[1..] {
        let one = container(quiet);
        assert!(listen.ends_with(&format!(":{}", one["ports"][0]["containerPort"])), "{listen}");
        assert_eq!(
            one["livenessProbe"]["httpGet"],
            json!({"path": "/health", "port": one["ports"][0]["name"]})
        );
    }
    let grace = |workload: &Value| pod(workload)["terminationGracePeriodSeconds"].as_u64().unwrap_or(0);
    let pause = &one["lifecycle"]["preStop"]["exec"]["command"];
    let pause: u64 = pause[1].as_str().ok_or("seconds")?.parse()?;
    assert!(grace(gateway) > pause + FAREWELL_S);
    let shutdown_ms: u64 = settings(&all)["WORKER_SHUTDOWN_MS"].as_str().ok_or("a time")?.parse()?;
    assert!(grace(worker) * 1_000 > shutdown_ms);
    Ok(())
}

#[tokio::test]
async fn what_scales_by_itself_finds_its_processes_and_the_connections_are_told() -> TestResult {
    let all = manifest().await?;
    let deployments = of_kind(&all, "Deployment");
    let named = |name: &Value| {
        deployments.iter().copied().find(|one| one["metadata"]["name"] == *name).ok_or("no such deployment")
    };
    let scalers = of_kind(&all, "HorizontalPodAutoscaler");
    assert_eq!(names(&scalers), ["usher-gateway", "usher-worker"]);
    let mut processes = 0;
    for scaler in &scalers {
        let spec = &scaler["spec"];
        let target = named(&spec["scaleTargetRef"]["name"])?;
        assert!(target["spec"]["replicas"].is_null(), "a number of its own would undo the autoscaler's");
        assert_eq!(spec["metrics"][0]["resource"]["name"], "cpu");
        assert_eq!(spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"], 0, "a burst does not wait");
        let (least, most) = (spec["minReplicas"].as_u64(), spec["maxReplicas"].as_u64().unwrap_or(0));
        assert!(least.is_some_and(|least| (2..most).contains(&least)), "{spec}");
        processes += most;
    }
    for deployment in &deployments {
        let spec = &deployment["spec"];
        processes += spec["replicas"].as_u64().unwrap_or(0);
        processes += spec["strategy"]["rollingUpdate"]["maxSurge"].as_u64().ok_or("a surge")?;
        let labels = &spec["selector"]["matchLabels"];
        assert_eq!(*labels, spec["template"]["metadata"]["labels"]);
        let budgets = of_kind(&all, "PodDisruptionBudget");
        let guards = budgets.iter().filter(|budget| budget["spec"]["selector"]["matchLabels"] == *labels);
        assert_eq!(guards.count(), 1, "{labels}");
    }
    let services = of_kind(&all, "Service");
    assert_eq!(services.len(), 1);
    let gateway = named(&json!("usher-gateway"))?;
    assert_eq!(services[0]["spec"]["selector"], gateway["spec"]["selector"]["matchLabels"]);
    assert_eq!(services[0]["spec"]["ports"][0]["targetPort"], container(gateway)["ports"][0]["name"]);
    let each: u64 = settings(&all)["DATABASE_MAX_CONNECTIONS"].as_str().ok_or("a number")?.parse()?;
    let told = format!("PostgreSQL must allow {} connections", processes * each);
    assert!(MANIFEST.contains(&told), "{told}");
    Ok(())
}

#[test]
fn what_the_images_are_made_of_is_there() -> TestResult {
    let toolchain = std::fs::read_to_string(file("Cargo.toml"))?;
    let rust = toolchain.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let rust = rust.ok_or("the Rust that it takes")?;
    let named = COMPOSE.split("dockerfile: ").skip(1).filter_map(|rest| rest.split_whitespace().next());
    let named: BTreeSet<&str> = named.collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for path in named {
        let text = std::fs::read_to_string(file(path))?;
        let built = text.lines().find_map(|line| line.strip_prefix("FROM rust:")?.split('-').next());
        assert_eq!(built, Some(rust), "{path}");
        let (mut copied, mut made) = (0, BTreeSet::new());
        for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")) {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            words.pop().ok_or("where to")?;
            match words.first().and_then(|word| word.strip_prefix("--from=")) {
                None => {
                    for source in words {
                        assert!(file(source).exists(), "{path}: there is no {source}");
                        copied += 1;
                    }
                }
                Some(stage) => {
                    assert!(text.contains(&format!(" AS {stage}\n")), "{path}: no stage {stage}");
                    made.extend(words.into_iter().skip(1).filter_map(|word| word.strip_prefix("/out/")));
                }
            }
        }
        assert!(copied > 0 && !made.is_empty(), "{path}");
        for program in made {
            assert!(text.contains(&format!("/release/{program} ")), "{path}: {program} is not built");
            let is_run = text.lines().any(|line| line.starts_with("ENTRYPOINT") && line.contains(program));
            assert!(is_run, "{path}: {program} is not run");
        }
    }
    Ok(())
}

#[test]
fn targets_of_make_call_what_is_there_and_documents_name_no_others() -> TestResult {
    let is_target = |line: &&str| line.starts_with(|first: char| first.is_ascii_lowercase());
    let heads = MAKEFILE.lines().filter(is_target).filter_map(|line| line.split_once(": ## "));
    let targets: BTreeSet<&str> = heads.map(|(name, _)| name).collect();
    let (_, rest) = MAKEFILE.split_once(".PHONY: ").ok_or("the targets")?;
    let told: BTreeSet<&str> = rest.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(targets, told, "each says what it does");
    let scripts = MAKEFILE.split_whitespace().filter(|word| word.starts_with("scripts/"));
    for script in scripts {
        let mode = std::fs::metadata(file(script))?.permissions().mode();
        assert!(mode & 0o111 != 0, "{script} can be run");
    }
    // SEEDS.md names those of other projects too.
    for document in
        ["README.md", "docs/ARCHITECTURE.md", "docs/OPERATIONS.md", "docs/QUEUE.md", "docs/STREAM.md"]
    {
        let text = std::fs::read_to_string(file(document))?;
        for named in text.split("`make ").skip(1) {
            let name = named.split(|sign: char| !sign.is_ascii_lowercase() && sign != '-').next();
            assert!(name.is_some_and(|name| targets.contains(name)), "{document}: make {named:.20}");
        }
    }
    Ok(())
}
