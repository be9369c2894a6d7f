use super::*;
use engine::error::ErrorKind;
use std::collections::HashMap;

const ALL: [Need; 6] = [Need::Vaults, Need::Key, Need::Catalog, Need::Source, Need::Target, Need::Policy];
const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:backup-staging-AbCdEf";

fn right() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("BACKUP_PROVIDER", "aws"),
        ("AWS_REGION", "eu-west-1"),
        ("BACKUP_ENCRYPTION_KEY_ID", crate::key_arn::EXAMPLE),
        ("BACKUP_BUCKET_PRIMARY", "acme-backup-1"),
        ("BACKUP_BUCKET_SECONDARY", "acme-backup-2"),
        ("BACKUP_BUCKET_TERTIARY", "acme-backup-3"),
        ("BACKUP_SCHEDULE", "rate(15 minutes)"),
        ("BACKUP_RETENTION_DAYS", "35"),
        ("BACKUP_TABLE", "acme-backup"),
        ("BACKUP_DATABASE_URL", "postgresql://backup:canary@db.example.org:5432/postgres"),
        ("BACKUP_TARGET_STAGING_SECRET_ARN", SECRET_ARN),
    ])
}

fn parse(variables: &HashMap<&str, &str>, needs: &[Need]) -> Result<Settings> {
    Settings::parse(&|name| variables.get(name).map(|v| (*v).to_owned()), needs)
}

fn problems(variables: &HashMap<&str, &str>, needs: &[Need]) -> String {
    let e = parse(variables, needs).expect_err("refused");
    assert_eq!(e.kind(), ErrorKind::Invalid);
    e.to_string()
}

fn problems_with(name: &'static str, value: &'static str) -> String {
    let mut variables = right();
    variables.insert(name, value);
    problems(&variables, &ALL)
}

#[test]
fn right_settings_are_read_and_the_rest_has_defaults() {
    let s = parse(&right(), &ALL).expect("parses");
    assert_eq!(s.region, "eu-west-1");
    assert_eq!(s.source, "database");
    assert_eq!((s.sessions, s.compression_level, s.segment_blocks), (2, 1, limits::SEGMENT_BLOCKS));
    assert_eq!((s.schedule.map(|s| s.to_string()).as_deref(), s.retention_days), (Some("rate(15 minutes)"), Some(35)));
    assert_eq!((s.incremental, s.full_every_days, s.queue.as_deref()), (true, 30, None));
    assert_eq!(s.pg_bin, PathBuf::from("/opt/bin"));
    assert_eq!((s.endpoint, s.account, s.tls_roots), (None, None, None));
    let places: Vec<String> =
        parse(&right(), &ALL).expect("parses").vaults().expect("vaults").iter().map(ToString::to_string).collect();
    let expected = [
        "primary vault acme-backup-1 (eu-west-1)",
        "secondary vault acme-backup-2 (us-east-1)",
        "tertiary vault acme-backup-3 (ap-southeast-1)",
    ];
    assert_eq!(places, expected);
}

#[test]
fn all_that_is_missing_is_reported_at_once_with_examples() {
    let text = problems(&HashMap::new(), &ALL);
    assert!(text.starts_with("11 settings are wrong: "), "{text}");
    for name in [
        "BACKUP_PROVIDER is missing (example: aws)",
        "AWS_REGION is missing (example: eu-west-1)",
        "BACKUP_SCHEDULE is missing (example: cron(0 3 * * ? *))",
        "BACKUP_RETENTION_DAYS is missing (example: 35)",
        "BACKUP_BUCKET_PRIMARY is missing (example: acme-backup-eu-west-1)",
        "BACKUP_BUCKET_SECONDARY is missing (example: acme-backup-us-east-1)",
        "BACKUP_BUCKET_TERTIARY is missing (example: acme-backup-ap-southeast-1)",
        "BACKUP_ENCRYPTION_KEY_ID is missing (example: arn:aws:kms:",
        "BACKUP_TABLE is missing (example: acme-backup)",
        "BACKUP_DATABASE_SECRET_ARN or BACKUP_DATABASE_URL is missing",
        "BACKUP_TARGET_{DEVELOPMENT,STAGING,PRODUCTION}_SECRET_ARN or …_URL: at least one is missing",
    ] {
        assert!(text.contains(name), "{name} in {text}");
    }
}

#[test]
fn each_wrong_value_is_reported_by_name_and_never_quoted() {
    let wrong = [
        ("BACKUP_PROVIDER", "canary"),
        ("AWS_REGION", "canary"),
        ("AWS_ENDPOINT_URL", "canary"),
        ("BACKUP_ACCOUNT_ID", "canary"),
        ("BACKUP_SOURCE", "canary canary"),
        ("BACKUP_SCHEDULE", "canary"),
        ("BACKUP_RETENTION_DAYS", "canary"),
        ("BACKUP_SESSIONS", "canary"),
        ("BACKUP_COMPRESSION_LEVEL", "canary"),
        ("BACKUP_SEGMENT_BLOCKS", "canary"),
        ("BACKUP_PG_BIN", "canary"),
        ("BACKUP_TLS_ROOTS", "canary"),
        ("BACKUP_BUCKET_PRIMARY", "canary_"),
        ("BACKUP_BUCKET_SECONDARY", "canary_"),
        ("BACKUP_BUCKET_TERTIARY", "canary_"),
        ("BACKUP_REGION_PRIMARY", "canary"),
        ("BACKUP_REGION_SECONDARY", "canary"),
        ("BACKUP_REGION_TERTIARY", "canary"),
        ("BACKUP_ENCRYPTION_KEY_ID", "canary"),
        ("BACKUP_TABLE", "canary canary"),
        ("BACKUP_DATABASE_URL", "canary"),
        ("BACKUP_TARGET_DEVELOPMENT_URL", "canary"),
        ("BACKUP_TARGET_STAGING_SECRET_ARN", "canary"),
        ("BACKUP_TARGET_PRODUCTION_SECRET_ARN", "canary"),
    ];
    let text = problems(&HashMap::from(wrong), &ALL);
    assert!(text.starts_with("24 settings are wrong: "), "{text}");
    for (name, _) in wrong {
        assert!(text.contains(&format!("{name} must ")) || text.contains(&format!("{name} has ")), "{name} in {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn an_empty_variable_is_an_absent_one() {
    let mut variables = right();
    variables.extend([("BACKUP_SESSIONS", " "), ("AWS_ENDPOINT_URL", ""), ("BACKUP_DATABASE_SECRET_ARN", "\n")]);
    let s = parse(&variables, &ALL).expect("parses");
    assert_eq!((s.sessions, s.endpoint), (2, None));
    assert!(problems_with("BACKUP_TABLE", "").contains("BACKUP_TABLE is missing"));
}

#[test]
fn the_three_vaults_are_three_buckets_in_three_regions() {
    assert!(
        problems_with("BACKUP_BUCKET_TERTIARY", "acme-backup-1")
            .contains("BACKUP_BUCKET_TERTIARY must differ from BACKUP_BUCKET_PRIMARY")
    );
    assert!(
        problems_with("BACKUP_REGION_SECONDARY", "eu-west-1")
            .contains("BACKUP_REGION_SECONDARY must differ from BACKUP_REGION_PRIMARY")
    );
}

#[test]
fn numbers_keep_their_ranges() {
    for (name, value, range) in [
        ("BACKUP_RETENTION_DAYS", "0", "from 1 to 36500"),
        ("BACKUP_RETENTION_DAYS", "36501", "from 1 to 36500"),
        ("BACKUP_SESSIONS", "9", "from 1 to 8"),
        ("BACKUP_COMPRESSION_LEVEL", "20", "from 1 to 19"),
        ("BACKUP_SEGMENT_BLOCKS", "15", "from 16 to 131072"),
    ] {
        let text = problems_with(name, value);
        assert!(text.contains(name) && text.contains(range), "{text}");
    }
}

#[test]
fn a_database_has_one_address() {
    let text = problems_with("BACKUP_DATABASE_SECRET_ARN", SECRET_ARN);
    assert!(text.contains("BACKUP_DATABASE_URL and BACKUP_DATABASE_SECRET_ARN are both set"), "{text}");
    assert!(!text.contains("canary"), "{text}");
    let s = parse(&right(), &ALL).expect("parses");
    assert!(matches!(s.database().expect("an address"), DatabaseAddress::Url(_)));
    assert_eq!(s.target(Environment::Staging).expect("an address"), &DatabaseAddress::SecretArn(SECRET_ARN.to_owned()));
    let e = s.target(Environment::Production).expect_err("none");
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.to_string().contains("BACKUP_TARGET_PRODUCTION_SECRET_ARN"), "{e}");
}

#[test]
fn a_function_is_asked_only_for_what_it_needs() {
    let variables =
        HashMap::from([("BACKUP_PROVIDER", "aws"), ("AWS_REGION", "eu-west-1"), ("BACKUP_TABLE", "acme-backup")]);
    let s = parse(&variables, &[Need::Catalog]).expect("parses");
    assert_eq!(s.table().expect("a table"), "acme-backup");
    let kinds = [s.key().err(), s.vaults().err(), s.database().err()].map(|e| e.map(|e| e.kind()));
    assert_eq!(kinds, [Some(ErrorKind::Internal); 3]);
}

#[test]
fn settings_may_be_printed_without_showing_a_password() {
    let s = parse(&right(), &ALL).expect("parses");
    assert!(!format!("{s:?}").contains("canary"));
}

#[test]
fn an_environment_survives_its_name() {
    for environment in Environment::ALL {
        assert_eq!(environment.as_str().parse::<Environment>().expect("parses"), environment);
    }
    assert!("Production".parse::<Environment>().is_err());
}

#[test]
fn a_file_of_policies_is_read_with_the_settings() {
    let file = std::env::temp_dir().join(format!("policies-{}.json", std::process::id()));
    let name: &'static str = Box::leak(file.display().to_string().into_boxed_str());
    std::fs::write(&file, r#"{"classes": [{"name": "orders", "match": ["orders"]}]}"#).expect("writes");
    let problem = problems_with("BACKUP_POLICIES", name);
    assert!(
        problem.contains("BACKUP_POLICIES must name a file of policies") && problem.contains("public.orders"),
        "{problem}"
    );
    std::fs::write(&file, r#"{"classes": [{"name": "orders", "match": ["public.orders"]}]}"#).expect("writes");
    let mut variables = right();
    variables.insert("BACKUP_POLICIES", name);
    let policies = parse(&variables, &ALL).expect("parses").policies;
    assert!(policies.class("orders").is_ok() && policies.class("supabase-users").is_ok());
    std::fs::remove_file(&file).expect("removes");
    assert!(problems_with("BACKUP_POLICIES", name).contains("can be read"));
    assert!(problems_with("BACKUP_POLICIES", "policies.json").contains("absolute path"));
}

#[test]
fn the_storage_may_be_left_out_and_is_said_once() {
    assert!(parse(&right(), &ALL).expect("parses").storage().is_none());
    let mut variables = right();
    variables
        .insert("BACKUP_STORAGE_URL", "https://canary:canary@abcd.storage.supabase.co/storage/v1/s3?region=eu-west-1");
    variables.insert("BACKUP_TARGET_PRODUCTION_STORAGE_SECRET_ARN", SECRET_ARN);
    let settings = parse(&variables, &ALL).expect("parses");
    assert!(matches!(settings.storage(), Some(StorageSetting::Url(_))));
    assert!(matches!(settings.target_storage(Environment::Production), Some(StorageSetting::SecretArn(_))));
    assert!(settings.target_storage(Environment::Staging).is_none());
    assert!(!format!("{settings:?}").contains("canary"));
    variables.insert("BACKUP_STORAGE_SECRET_ARN", SECRET_ARN);
    assert!(problems(&variables, &ALL).contains("BACKUP_STORAGE_URL and BACKUP_STORAGE_SECRET_ARN are both set"));
    let problem = problems_with("BACKUP_STORAGE_URL", "https://canary@example.com/?region=x");
    assert!(problem.contains("secret key") && !problem.contains("canary"), "{problem}");
}
