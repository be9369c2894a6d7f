//! The catalog over one DynamoDB table, with the key `pk` (string) and `sk` (string).
//!
//! ```text
//! pk = backups   sk = <backup id>     record (the record's JSON), revision, write; status, source, started_at to filter by
//! pk = leases    sk = <source name>   holder, epoch, expires_at (milliseconds since 1970)
//! ```
//! A record is one JSON text: what is read is what was written, whatever DynamoDB does to numbers, and the same text can be
//! read in the console. Backup ids grow with time, so the order of `sk` is the order in which backups were asked for.
//!
//! Always holds: every write is conditional. The SDK sends a request again when an answer is lost; `write` is a random mark
//! of the call, by which it recognises that its own first request had succeeded, instead of reporting a conflict with itself.

mod item;
mod lease;

use crate::errors::Call;
use crate::machine::SystemEntropy;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use engine::catalog::{Catalog, Lease, RecordPage, SnapshotRecord, Versioned};
use engine::clock::{Entropy, Timestamp};
use engine::error::{Error, Result};
use engine::id::SnapshotId;
use engine::limits::PAGE_MAX;
use item::{Item, number, text};

const PUT: Call = Call::new("dynamodb", "PutItem");
const GET: Call = Call::new("dynamodb", "GetItem");
const QUERY: Call = Call::new("dynamodb", "Query");
const BACKUPS: &str = "backups";

/// The catalog over DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoCatalog {
    client: Client,
    table: String,
}

impl DynamoCatalog {
    /// Over a client of the table's region.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Writes a record at a revision under a condition; `conflict` says what it means that the condition failed.
    async fn write(
        &self,
        record: &SnapshotRecord,
        revision: u64,
        condition: impl FnOnce(PutItemFluentBuilder) -> PutItemFluentBuilder + Send,
        conflict: impl FnOnce() -> Error + Send,
    ) -> Result<()> {
        let mark = mark()?;
        let item = item::of_record(record, revision, &mark)?;
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let request = request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match condition(request).send().await {
            Ok(_) => Ok(()),
            Err(e) => match found(&e) {
                Some(there) if there.get("write") == Some(&text(&mark)) => Ok(()),
                Some(_) => Err(conflict()),
                None => Err(PUT.failed(&e)),
            },
        }
    }
}

#[async_trait::async_trait]
impl Catalog for DynamoCatalog {
    async fn insert(&self, record: &SnapshotRecord) -> Result<()> {
        let condition = |r: PutItemFluentBuilder| {
            r.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", "pk")
        };
        let conflict = || Error::conflict(format!("the catalog has a backup {} already", record.id));
        self.write(record, 1, condition, conflict).await
    }

    async fn replace(&self, record: &SnapshotRecord, revision: u64) -> Result<()> {
        let condition = |r: PutItemFluentBuilder| {
            r.condition_expression("#revision = :revision")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":revision", number(revision))
        };
        let conflict = || Error::conflict(format!("backup {} is no longer at revision {revision}", record.id));
        self.write(record, revision.saturating_add(1), condition, conflict).await
    }

    async fn get(&self, id: SnapshotId) -> Result<Option<Versioned<SnapshotRecord>>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key("pk", text(BACKUPS)).key("sk", text(id.to_string()));
        let output = request.send().await.map_err(|e| GET.failed(&e))?;
        output.item.as_ref().map(item::to_record).transpose()
    }

    async fn list(&self, before: Option<SnapshotId>, limit: usize) -> Result<RecordPage> {
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::invalid(format!("a page of backups has 1 to {PAGE_MAX}, not {limit}")));
        }
        // One more than asked for tells whether there is a next page.
        let mut items = self.newest(before, limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let records = items.iter().map(|i| item::to_record(i).map(|v| v.value)).collect::<Result<Vec<_>>>()?;
        let next = records.last().filter(|_| more).map(|r| r.id);
        Ok(RecordPage { records, next })
    }

    async fn acquire(&self, name: &str, holder: SnapshotId, now: Timestamp, expires_at: Timestamp) -> Result<Lease> {
        lease::acquire(self, name, holder, now, expires_at).await
    }

    async fn renew(&self, lease: &Lease, expires_at: Timestamp) -> Result<Lease> {
        lease::renew(self, lease, expires_at).await
    }
}

impl DynamoCatalog {
    /// The newest `wanted` items before an id. DynamoDB ends a page at 1 MB, so it may take several requests.
    async fn newest(&self, before: Option<SnapshotId>, wanted: usize) -> Result<Vec<Item>> {
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let mut request =
                self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
            request =
                request.limit(i32::try_from(wanted - items.len()).unwrap_or(i32::MAX)).set_exclusive_start_key(from);
            request = request.expression_attribute_names("#pk", "pk").expression_attribute_values(":pk", text(BACKUPS));
            request = match before {
                None => request.key_condition_expression("#pk = :pk"),
                Some(before) => request
                    .key_condition_expression("#pk = :pk and #sk < :before")
                    .expression_attribute_names("#sk", "sk")
                    .expression_attribute_values(":before", text(before.to_string())),
            };
            let output = request.send().await.map_err(|e| QUERY.failed(&e))?;
            items.extend(output.items.unwrap_or_default());
            from = output.last_evaluated_key.filter(|key| !key.is_empty());
            if items.len() >= wanted || from.is_none() {
                return Ok(items);
            }
        }
    }
}

/// The item that made the condition of a put fail.
fn found(error: &SdkError<PutItemError>) -> Option<Item> {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) => Some(failed.item.clone().unwrap_or_default()),
        _ => None,
    }
}

/// A random mark of one call.
fn mark() -> Result<String> {
    let mut random = [0u8; 12];
    SystemEntropy.fill(&mut random)?;
    Ok(random.iter().map(|b| format!("{b:02x}")).collect())
}
