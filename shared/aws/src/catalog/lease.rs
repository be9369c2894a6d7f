//! Leases: a right that only one holds at a time, for a while.
//!
//! Two conditional updates, each atomic: one for the holder itself, one for everybody else. Both may be sent twice by the
//! SDK: an update by the holder changes nothing the second time, and one that took the lease finds itself the holder.

use super::DynamoCatalog;
use super::item::{Item, number, text, to_lease};
use crate::errors::Call;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use engine::catalog::Lease;
use engine::clock::Timestamp;
use engine::error::{Error, Result};

const UPDATE: Call = Call::new("dynamodb", "UpdateItem");
const LEASES: &str = "leases";

/// What became of an update.
enum Outcome {
    /// It was made; this is the lease now.
    Done(Lease),
    /// The condition failed; this is the lease that made it fail, if there is one.
    Refused(Option<Lease>),
}

/// Takes a lease that is its holder's already, free or expired.
pub(super) async fn acquire(
    catalog: &DynamoCatalog,
    name: &str,
    holder: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Lease> {
    if let Outcome::Done(lease) =
        send(extend(catalog, name, holder, expires_at).condition_expression("#holder = :holder")).await?
    {
        return Ok(lease);
    }
    let take = update(catalog, name)
        .update_expression(
            "set #holder = :holder, #expires_at = :expires_at, #epoch = if_not_exists(#epoch, :none) + :one",
        )
        .condition_expression("attribute_not_exists(#pk) or #expires_at < :now")
        .expression_attribute_names("#pk", "pk")
        .expression_attribute_names("#holder", "holder")
        .expression_attribute_names("#expires_at", "expires_at")
        .expression_attribute_names("#epoch", "epoch")
        .expression_attribute_values(":holder", text(holder))
        .expression_attribute_values(":expires_at", number(expires_at.as_millis()))
        .expression_attribute_values(":now", number(now.as_millis()))
        .expression_attribute_values(":none", number(0))
        .expression_attribute_values(":one", number(1));
    match send(take).await? {
        Outcome::Done(lease) => Ok(lease),
        Outcome::Refused(Some(lease)) if lease.holder == holder => Ok(lease),
        Outcome::Refused(Some(lease)) => {
            Err(Error::conflict(format!("{} holds `{name}` until {}", lease.holder, lease.expires_at)))
        }
        Outcome::Refused(None) => Err(Error::conflict(format!("another holds `{name}`"))),
    }
}

/// Extends, or gives up, a lease that is still held at its epoch.
pub(super) async fn renew(catalog: &DynamoCatalog, lease: &Lease, expires_at: Timestamp) -> Result<Lease> {
    let request = extend(catalog, &lease.name, &lease.holder, expires_at)
        .condition_expression("#holder = :holder and #epoch = :epoch")
        .expression_attribute_names("#epoch", "epoch")
        .expression_attribute_values(":epoch", number(lease.epoch));
    match send(request).await? {
        Outcome::Done(lease) => Ok(lease),
        Outcome::Refused(_) => Err(Error::conflict(format!(
            "the lease on `{}` at epoch {} has passed on to another",
            lease.name, lease.epoch
        ))),
    }
}

fn update(catalog: &DynamoCatalog, name: &str) -> UpdateItemFluentBuilder {
    catalog
        .client
        .update_item()
        .table_name(&catalog.table)
        .key("pk", text(LEASES))
        .key("sk", text(name))
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}

fn extend(catalog: &DynamoCatalog, name: &str, holder: &str, expires_at: Timestamp) -> UpdateItemFluentBuilder {
    update(catalog, name)
        .update_expression("set #expires_at = :expires_at")
        .expression_attribute_names("#holder", "holder")
        .expression_attribute_names("#expires_at", "expires_at")
        .expression_attribute_values(":holder", text(holder))
        .expression_attribute_values(":expires_at", number(expires_at.as_millis()))
}

async fn send(request: UpdateItemFluentBuilder) -> Result<Outcome> {
    match request.send().await {
        Ok(output) => to_lease(&output.attributes.unwrap_or_default()).map(Outcome::Done),
        Err(e) => match e.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let there: Option<&Item> = failed.item.as_ref().filter(|item| !item.is_empty());
                there.map(to_lease).transpose().map(Outcome::Refused)
            }
            _ => Err(UPDATE.failed(&e)),
        },
    }
}
