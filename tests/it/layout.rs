//! One word for one thing: a function's name is its folder, its operation, its sample event, its role and its tests.

use crate::postgres::checkout;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(checkout(folder)).expect("a folder");
    entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_function_has_its_operation_event_role_and_tests() {
    let template = std::fs::read_to_string(checkout("infra/backup.yaml")).expect("reads");
    let (events, operations, tests) = (names("events"), names("shared/engine/src/ops"), names("tests/it"));
    let mut functions = names("functions");
    functions.sort();
    assert_eq!(
        functions,
        ["api", "backup", "drill", "notify", "prune", "replicate", "restore", "rotate", "verify", "watch"]
    );
    for function in functions {
        let title = format!("{}{}", function[..1].to_uppercase(), &function[1..]);
        assert!(
            template.contains(&format!("\n  {title}:\n    Type: AWS::Serverless::Function")),
            "{function} in the template"
        );
        assert!(template.contains(&format!("\n  {title}Role:\n")), "the role of {function}");
        assert!(events.iter().any(|e| e.starts_with(&format!("{function}."))), "an event of {function}");
        // The API only reads what the others do.
        if function != "api" {
            assert!(operations.contains(&format!("{function}.rs")), "the operation {function}");
            assert!(tests.contains(&format!("{function}.rs")), "the tests of {function}");
        }
    }
}

#[test]
fn the_engine_knows_no_sdk_no_database_client_and_no_environment() {
    let manifest = std::fs::read_to_string(checkout("shared/engine/Cargo.toml")).expect("reads");
    for crate_name in ["aws-sdk", "aws-config", "postgres", "lambda", "tokio-rustls", "rustls"] {
        assert!(!manifest.contains(crate_name), "{crate_name}");
    }
    for crate_name in ["shared/pg", "shared/engine"] {
        let manifest = std::fs::read_to_string(checkout(crate_name).join("Cargo.toml")).expect("reads");
        assert!(!manifest.contains("aws-sdk"), "{crate_name}");
    }
}

#[test]
fn every_alarm_has_its_section_in_the_runbook_and_no_section_is_of_an_alarm_that_is_not() {
    let template = std::fs::read_to_string(checkout("infra/backup.yaml")).expect("reads");
    let runbook = std::fs::read_to_string(checkout("docs/runbook.md")).expect("reads");
    let lines: Vec<&str> = template.lines().collect();
    let alarms: Vec<&str> = lines
        .windows(2)
        .filter(|pair| pair[1].trim() == "Type: AWS::CloudWatch::Alarm")
        .map(|pair| pair[0].trim().trim_end_matches(':'))
        .collect();
    assert!(!alarms.is_empty());
    // A heading of one word is an alarm's; the others are sentences.
    let headings = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    let sections: Vec<&str> = headings.filter(|heading| !heading.contains(' ')).collect();
    assert_eq!(sections, alarms);
}

/// The words that follow any of these beginnings, up to the next quotation mark, in a text.
fn quoted_after<'a>(text: &'a str, beginnings: &[&str]) -> Vec<&'a str> {
    let found = beginnings.iter().flat_map(|beginning| text.split(beginning).skip(1));
    found.filter_map(|rest| rest.split('"').next()).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("tests" | "tests.rs") => {}
            _ if path.is_dir() => sources(&path, found),
            Some(name) if name.ends_with(".rs") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn every_warning_is_explained_and_no_other() {
    let mut files = Vec::new();
    for crate_name in ["shared/engine/src", "shared/pg/src"] {
        sources(&checkout(crate_name), &mut files);
    }
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).expect("reads")).collect();
    let given: BTreeSet<&str> = texts
        .iter()
        .filter(|text| text.contains("Warning {"))
        .flat_map(|text| quoted_after(text, &["code: \"", "warning(\"", "told(\"", "tell(\""]))
        .collect();
    assert!(given.len() > 20, "{given:?}");
    let guide = std::fs::read_to_string(checkout("docs/warnings.md")).expect("reads");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let explained: BTreeSet<&str> = rows.filter(|code| *code != "code").collect();
    assert_eq!(explained, given);
}
