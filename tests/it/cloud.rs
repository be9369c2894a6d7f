//! The adapters over a local AWS: what they need is made there with the command line client.

use crate::local_aws::LocalAws;
use aws::clients::{Clients, Credentials, loader};
use aws::machine::SystemClock;
use aws::settings::{Need, Settings};
use engine::clock::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The regions of the vaults, primary first.
pub(crate) const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-1"];
const TABLE: &str = "backup";

/// A local AWS, and the settings that lead there.
pub(crate) struct Cloud {
    aws: LocalAws,
    variables: BTreeMap<String, String>,
    needs: Vec<Need>,
}

impl Cloud {
    /// An empty one, for a test.
    pub(crate) fn start(test: &str) -> Self {
        let aws = LocalAws::start(test);
        let endpoint = aws.endpoint();
        let variables = [("BACKUP_PROVIDER", "aws"), ("AWS_REGION", REGIONS[0]), ("AWS_ENDPOINT_URL", &endpoint)];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { aws, variables, needs: Vec::new() }
    }

    /// The local AWS itself.
    pub(crate) fn aws(&self) -> &LocalAws {
        &self.aws
    }

    /// Sets one more variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Makes the three buckets, versioned and with locks of a day.
    pub(crate) fn make_vaults(&mut self) {
        for (role, region) in ["primary", "secondary", "tertiary"].into_iter().zip(REGIONS) {
            let bucket = format!("backup-{role}");
            self.make_bucket(&bucket, region);
            let on = ["--bucket", &bucket, "--versioning-configuration", "Status=Enabled"];
            self.aws.aws(region, "@", ["s3api", "put-bucket-versioning"].into_iter().chain(on));
            let rule = r#"{"ObjectLockEnabled":"Enabled","Rule":{"DefaultRetention":{"Mode":"GOVERNANCE","Days":1}}}"#;
            let locked = ["--bucket", &bucket, "--object-lock-configuration", rule];
            self.aws.aws(region, "@", ["s3api", "put-object-lock-configuration"].into_iter().chain(locked));
            self.set(&format!("BACKUP_BUCKET_{}", role.to_uppercase()), &bucket);
        }
        self.needs.push(Need::Vaults);
    }

    /// Makes a bucket.
    pub(crate) fn make_bucket(&self, bucket: &str, region: &str) {
        let constraint = format!("LocationConstraint={region}");
        // Of all regions this one may not be named.
        let place: &[&str] = if region == "us-east-1" { &[] } else { &["--create-bucket-configuration", &constraint] };
        let args = ["s3api", "create-bucket", "--bucket", bucket];
        self.aws.aws(region, "Location", args.into_iter().chain(place.iter().copied()));
    }

    /// Ends the lock of one version, as only an administrator may, and as time does.
    pub(crate) fn end_lock(&self, region: &str, bucket: &str, key: &str, version: &str) {
        let soon = SystemClock.now().plus_s(1);
        let soon = format!(r#"{{"Mode":"GOVERNANCE","RetainUntilDate":"{soon}"}}"#);
        let of = ["--bucket", bucket, "--key", key, "--version-id", version, "--bypass-governance-retention"];
        let args = ["s3api", "put-object-retention"].into_iter().chain(of).chain(["--retention", &soon]);
        self.aws.aws(region, "@", args);
        std::thread::sleep(std::time::Duration::from_secs(2));
    }

    /// Makes a multi-region key in the first region, and replicas of it in the others. Gives its ARN.
    pub(crate) fn make_key(&mut self) -> String {
        let arn = self.aws.aws(REGIONS[0], "KeyMetadata.Arn", ["kms", "create-key", "--multi-region"]);
        for region in &REGIONS[1..] {
            let args = ["kms", "replicate-key", "--key-id", &arn, "--replica-region", region];
            self.aws.aws(REGIONS[0], "ReplicaKeyMetadata.Arn", args);
        }
        self.set("BACKUP_ENCRYPTION_KEY_ID", &arn);
        self.needs.push(Need::Key);
        arn
    }

    /// Makes the catalog's table.
    pub(crate) fn make_table(&mut self) {
        let keys = ["AttributeName=pk,KeyType=HASH", "AttributeName=sk,KeyType=RANGE"];
        let types = ["AttributeName=pk,AttributeType=S", "AttributeName=sk,AttributeType=S"];
        let args =
            ["dynamodb", "create-table", "--table-name", TABLE, "--billing-mode", "PAY_PER_REQUEST", "--key-schema"];
        let args = args.into_iter().chain(keys).chain(["--attribute-definitions"]).chain(types);
        self.aws.aws(REGIONS[0], "TableDescription.TableName", args);
        self.use_table(TABLE);
    }

    /// Names a table, whether or not it is there.
    pub(crate) fn use_table(&mut self, table: &str) {
        self.set("BACKUP_TABLE", table);
        self.needs.push(Need::Catalog);
    }

    /// Names the secret that holds the source's address, whether or not it is there.
    pub(crate) fn use_source(&mut self, arn: &str) {
        self.set("BACKUP_DATABASE_SECRET_ARN", arn);
        self.needs.push(Need::Source);
    }

    /// The settings that lead here.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        let settings = Settings::parse(&|name| self.variables.get(name).cloned(), &self.needs);
        Arc::new(settings.expect("right settings"))
    }

    /// The adapters.
    pub(crate) async fn clients(&self) -> Clients {
        let settings = self.settings();
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = loader(&settings).credentials_provider(credentials).load().await;
        Clients::new(config, settings)
    }
}
