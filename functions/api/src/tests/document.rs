//! The document of the API is the one that is committed, and says what the specification says.

use crate::openapi::document;
use serde_json::Value;
use std::path::Path;

fn committed() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

#[test]
fn the_committed_document_is_that_of_the_code() {
    let now = document().expect("a document");
    let kept = std::fs::read_to_string(committed()).expect("docs/openapi.json");
    assert_eq!(kept.trim_end(), now, "run `make openapi`, look at what changed, and commit it");
}

#[test]
fn every_answer_is_declared_and_every_problem_is_one() {
    let document: Value = serde_json::from_str(&document().expect("a document")).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let (mut operations, mut names) = (0, std::collections::BTreeSet::new());
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            operations += 1;
            let of = format!("{method} {path}");
            assert!(names.insert(operation["operationId"].as_str().expect("a name").to_owned()), "{of}");
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{of} says nothing");
            let responses = operation["responses"].as_object().expect("responses");
            for status in ["400", "401", "403", "429", "500", "503"] {
                assert!(responses.contains_key(status), "{of} does not declare {status}");
            }
            for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                assert!(response["content"]["application/problem+json"].is_object(), "{of} {status}");
            }
            if method == "post" {
                let parameters = operation["parameters"].as_array().expect("parameters");
                assert!(parameters.iter().any(|p| p["name"] == "Idempotency-Key"), "{of}");
            }
        }
    }
    assert_eq!((paths.len(), operations), (20, 22));
}

/// What the specification has is required, and what is ours is optional, in what is answered; what is asked for takes what it says.
#[test]
fn the_types_of_the_specification_have_its_fields_and_no_other_is_required() {
    let document: Value = serde_json::from_str(&document().expect("a document")).expect("JSON");
    for (name, required, optional) in [
        ("BackupStatus", &["id", "progress", "startedAt", "status"][..], &["completedAt", "error", "metadata"][..]),
        (
            "BackupMetadata",
            &["bucket", "checksum", "compression", "encrypted", "id", "path", "region", "size", "source", "timestamp"],
            &[],
        ),
        ("RestoreRequest", &["backupId", "targetEnvironment"], &["restorePoint"]),
        (
            "BackupConfig",
            &[
                "backupSchedule",
                "encryptionKeyId",
                "primaryBucket",
                "region",
                "retentionDays",
                "secondaryBucket",
                "tertiaryBucket",
            ],
            &[],
        ),
    ] {
        let schema = &document["components"]["schemas"][name];
        let mut found: Vec<&str> =
            schema["required"].as_array().expect("required").iter().filter_map(Value::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, required, "{name}");
        for field in required.iter().chain(optional) {
            assert!(schema["properties"][field].is_object(), "{name}.{field}");
        }
        for (field, property) in schema["properties"].as_object().expect("properties") {
            let nullable = property["type"].as_array().is_some_and(|types| types.contains(&"null".into()));
            assert!(!nullable && property.get("oneOf").is_none(), "{name}.{field} may be null");
        }
    }
}
