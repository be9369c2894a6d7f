//! One word for one thing: a function's name is its folder, its operation, its sample event, its role and its tests.

use crate::postgres::checkout;

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
