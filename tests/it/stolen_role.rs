//! What somebody can do who has stolen the role of a function: the real templates, deployed by the real script to a local AWS that
//! enforces policies, and a user with exactly the role's policy.
//!
//! That AWS does not fill in `s3:if-none-match`, nor do its clients speak TLS to it. So it is shown first that the vault's policy refuses a
//! put without that condition; then the statements that it cannot decide are taken out, and what is left is the role itself.

use crate::local_aws::LocalAws;
use crate::postgres::checkout;
use serde_json::Value;

const BUCKET: &str = "gasrapido-vault-000000000000-eu-west-1";
const REGION: &str = "eu-west-1";
const PACK: &str = "v1/packs/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071/000000";
/// Statements that the local AWS can decide.
const DECIDED: [&str; 2] = ["NoCustomerKeys", "ThisAccountOnly"];

struct Thief<'a> {
    aws: &'a LocalAws,
    key: (String, String),
}

impl<'a> Thief<'a> {
    fn of(aws: &'a LocalAws, function: &str) -> Self {
        let title = format!("{}{}Role", function[..1].to_uppercase(), &function[1..]);
        let stack =
            ["cloudformation", "describe-stack-resource", "--stack-name", "gasrapido-backup", "--logical-resource-id"];
        let role = aws.aws(REGION, "StackResourceDetail.PhysicalResourceId", stack.into_iter().chain([title.as_str()]));
        let policy =
            ["iam", "get-role-policy", "--role-name", &role, "--policy-name", function, "--query", "PolicyDocument"];
        let policy = aws.run_well("aws", policy);
        let user = format!("thief-of-{function}");
        aws.run_well("aws", ["iam", "create-user", "--user-name", &user]);
        let put =
            ["iam", "put-user-policy", "--user-name", &user, "--policy-name", function, "--policy-document", &policy];
        aws.run_well("aws", put);
        Self { aws, key: new_key_of(aws, &user) }
    }

    /// What came of a call: nothing, or the code of its error.
    fn tries(&self, args: &[&str]) -> Result<String, String> {
        let output = self.aws.run_as((&self.key.0, &self.key.1), "aws", args);
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    #[track_caller]
    fn is_denied(&self, what: &str, args: &[&str]) {
        match self.tries(args) {
            Ok(said) => panic!("{what} must be denied, and was done: {said}"),
            Err(said) => assert!(said.contains("AccessDenied"), "{what} is refused for another reason: {said}"),
        }
    }
}

fn deploy(aws: &LocalAws) {
    let script = checkout("infra/deploy").canonicalize().expect("the script");
    let url = "DatabaseUrl=postgresql://somebody:secret@127.0.0.1:1/somewhere";
    let endpoint = aws.endpoint();
    let args = ["--endpoint-url", &endpoint, "--parameter", url, "--parameter", "ScheduleState=DISABLED"];
    aws.run_well("python", std::iter::once(script.to_str().expect("UTF-8")).chain(args));
}

fn version(aws: &LocalAws) -> String {
    let args = ["s3api", "list-object-versions", "--bucket", BUCKET, "--prefix", PACK];
    aws.aws(REGION, "Versions[-1].VersionId", args)
}

#[test]
fn no_stolen_role_can_delete_overwrite_or_shorten() {
    let aws = LocalAws::start_strict("stolen-role");
    deploy(&aws);
    std::fs::write(aws.folder().join("good"), "what was backed up").expect("writes");
    std::fs::write(aws.folder().join("bad"), "something else").expect("writes");
    let put = |body: &'static str| ["s3api", "put-object", "--bucket", BUCKET, "--key", PACK, "--body", body];
    let once = |body: &'static str| put(body).into_iter().chain(["--if-none-match", "*"]).collect::<Vec<_>>();
    let backup = Thief::of(&aws, "backup");
    backup.is_denied("a put that would overwrite", &put("bad"));

    let policy = aws.aws(REGION, "Policy", ["s3api", "get-bucket-policy", "--bucket", BUCKET]);
    let mut policy: Value = serde_json::from_str(&policy).expect("JSON");
    let statements = policy["Statement"].as_array_mut().expect("statements");
    statements.retain(|s| DECIDED.iter().any(|decided| s["Sid"] == *decided));
    assert_eq!(statements.len(), DECIDED.len());
    aws.run_well("aws", ["s3api", "put-bucket-policy", "--bucket", BUCKET, "--policy", &policy.to_string()]);

    backup.tries(&once("good")).expect("what it is for");
    let again = backup.tries(&once("bad")).expect_err("it is there already");
    assert!(again.contains("PreconditionFailed"), "{again}");

    let version = version(&aws);
    let of_version = ["--bucket", BUCKET, "--key", PACK, "--version-id", &version];
    let sooner = r#"{"Mode":"GOVERNANCE","RetainUntilDate":"2030-01-01T00:00:00Z"}"#;
    let key = aws.aws(REGION, "Keys[0].KeyId", ["kms", "list-keys"]);
    for function in ["backup", "replicate", "restore", "prune", "rotate", "verify", "drill", "watch", "notify", "api"] {
        let thief =
            if function == "backup" { Thief { aws: &aws, key: backup.key.clone() } } else { Thief::of(&aws, function) };
        let with = |verb: &'static str, more: &[&'static str]| {
            ["s3api", verb].into_iter().chain(of_version).chain(more.iter().copied()).collect::<Vec<_>>()
        };
        let bypass = with("delete-object", &["--bypass-governance-retention"]);
        let delete = with("delete-object", &[]);
        thief.is_denied(&format!("{function}: a deletion in spite of the lock"), &bypass);
        if function == "prune" {
            // It deletes what is past its lock, and nothing else.
            thief.tries(&delete).expect_err("it is locked");
        } else {
            thief.is_denied(&format!("{function}: a deletion"), &delete);
        }
        let hide = ["s3api", "delete-object", "--bucket", BUCKET, "--key", PACK];
        thief.is_denied(&format!("{function}: a delete marker"), &hide);
        let mut shorten = with("put-object-retention", &["--bypass-governance-retention"]);
        shorten.extend(["--retention", sooner]);
        thief.is_denied(&format!("{function}: another lock"), &shorten);
        for (what, args) in [
            (
                "versioning",
                vec![
                    "s3api",
                    "put-bucket-versioning",
                    "--bucket",
                    BUCKET,
                    "--versioning-configuration",
                    "Status=Suspended",
                ],
            ),
            ("the vault's policy", vec!["s3api", "delete-bucket-policy", "--bucket", BUCKET]),
            ("the key", vec!["kms", "schedule-key-deletion", "--key-id", &key, "--region", REGION]),
            ("its own rights", vec!["iam", "list-roles"]),
        ] {
            thief.is_denied(&format!("{function}: {what}"), &args);
        }
        if !matches!(function, "backup" | "replicate" | "rotate") {
            thief.is_denied(&format!("{function}: a put"), &once("bad"));
        }
    }
    the_api_orders_and_notes_and_nothing_else(&aws, &key);
    let there = aws.run_well("aws", ["s3api", "get-object", "--bucket", BUCKET, "--key", PACK, "found"]);
    assert!(there.contains(&version), "{there}");
    assert_eq!(std::fs::read_to_string(aws.folder().join("found")).expect("reads"), "what was backed up");
}

/// What takes requests from the outside may note them and put them into the queues; it reaches no data, and forgets nothing.
fn the_api_orders_and_notes_and_nothing_else(aws: &LocalAws, key: &str) {
    let stack = |name: &str| {
        let of =
            ["cloudformation", "describe-stack-resource", "--stack-name", "gasrapido-backup", "--logical-resource-id"];
        aws.aws(REGION, "StackResourceDetail.PhysicalResourceId", of.into_iter().chain([name]))
    };
    let api = Thief { aws, key: new_key_of(aws, "thief-of-api") };
    let (table, orders, failed) = (stack("Catalog"), stack("RestoreOrders"), stack("FailedInvocations"));
    let item = r#"{"pk":{"S":"audits"},"sk":{"S":"x"}}"#;
    let in_region =
        |args: &[&str]| args.iter().chain(&["--region", REGION]).map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let may = |args: &[&str]| api.tries(&in_region(args).iter().map(String::as_str).collect::<Vec<_>>());
    let endpoint = aws.endpoint();
    let send = |queue: &str| {
        may(&["sqs", "send-message", "--endpoint-url", &endpoint, "--queue-url", queue, "--message-body", "{}"])
    };
    may(&["dynamodb", "put-item", "--table-name", &table, "--item", item]).expect("it notes");
    may(&["dynamodb", "get-item", "--table-name", &table, "--key", item]).expect("it reads");
    send(&orders).expect("it orders");
    assert!(send(&failed).expect_err("that queue is not its").contains("AccessDenied"));
    for (what, args) in [
        ("forgetting", vec!["dynamodb", "delete-item", "--table-name", &table, "--key", item]),
        ("another way to forget", vec!["dynamodb", "update-item", "--table-name", &table, "--key", item]),
        ("reading a vault", vec!["s3api", "get-object", "--bucket", BUCKET, "--key", PACK, "stolen"]),
        ("using the key", vec!["kms", "generate-data-key", "--key-id", key, "--key-spec", "AES_256"]),
        ("calling a function", vec!["lambda", "invoke", "--function-name", "gasrapido-restore", "stolen"]),
        ("reading secrets", vec!["secretsmanager", "list-secrets"]),
    ] {
        let args = in_region(&args);
        api.is_denied(what, &args.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Another key of a user that is there already.
fn new_key_of(aws: &LocalAws, user: &str) -> (String, String) {
    let key =
        aws.aws(REGION, "AccessKey.[AccessKeyId,SecretAccessKey]", ["iam", "create-access-key", "--user-name", user]);
    let (id, secret) = key.split_once('\t').expect("an id and a secret");
    (id.to_owned(), secret.to_owned())
}
