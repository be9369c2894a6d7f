//! Whether backups may be kept in a bucket. Reads its settings, and changes nothing.

use crate::errors::{Call, status};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::BucketVersioningStatus;
use engine::error::{Error, ErrorKind, Result};
use engine::vault::VaultPlace;

const HEAD_BUCKET: Call = Call::new("s3", "HeadBucket");
const GET_VERSIONING: Call = Call::new("s3", "GetBucketVersioning");
/// The header in which S3 says where a bucket is, also when it refuses.
const REGION_HEADER: &str = "x-amz-bucket-region";

/// The bucket is there, in its region, in the owner's account where one is given, and versioned.
pub(super) async fn check(client: &Client, place: &VaultPlace, owner: Option<&str>) -> Result<()> {
    let answer =
        client.head_bucket().bucket(&place.bucket).set_expected_bucket_owner(owner.map(str::to_owned)).send().await;
    match answer {
        Ok(output) => require_region(place, output.bucket_region())?,
        Err(e) => {
            let region = e.raw_response().and_then(|r| r.headers().get(REGION_HEADER));
            return Err(refused(place, owner, status(&e), region).unwrap_or_else(|| HEAD_BUCKET.failed(&e)));
        }
    }
    let request =
        client.get_bucket_versioning().bucket(&place.bucket).set_expected_bucket_owner(owner.map(str::to_owned));
    let output = request.send().await.map_err(|e| GET_VERSIONING.failed(&e))?;
    require_versioning(place, output.status())
}

fn require_region(place: &VaultPlace, found: Option<&str>) -> Result<()> {
    match found {
        Some(found) if found != place.region => Err(elsewhere(place, found)),
        _ => Ok(()),
    }
}

fn elsewhere(place: &VaultPlace, found: &str) -> Error {
    let setting = format!("BACKUP_REGION_{}", place.role.to_string().to_uppercase());
    let found: String = found.chars().take(32).filter(|c| !c.is_control()).collect();
    Error::invalid(format!("bucket {} lies in {found}, not in {}; correct {setting}", place.bucket, place.region))
}

/// What a refusal without a body means; `None` when the status says nothing particular.
fn refused(place: &VaultPlace, owner: Option<&str>, status: Option<u16>, region: Option<&str>) -> Option<Error> {
    if let Some(found) = region.filter(|r| *r != place.region) {
        return Some(elsewhere(place, found));
    }
    let setting = format!("BACKUP_BUCKET_{}", place.role.to_string().to_uppercase());
    let bucket = &place.bucket;
    let error = match (status?, owner) {
        (404, _) => Error::not_found(format!(
            "bucket {bucket} does not exist; create it in {} with versioning on, or correct {setting}",
            place.region
        )),
        (403, Some(owner)) => Error::denied(format!(
            "bucket {bucket} is not open to this function: it belongs to another account than {owner} (correct {setting} or \
             BACKUP_ACCOUNT_ID), or the function's role lacks s3:ListBucket on it"
        )),
        (403, None) => Error::denied(format!(
            "bucket {bucket} is not open to this function: it belongs to another account (correct {setting}), or the function's role \
             lacks s3:ListBucket on it"
        )),
        (301, _) => Error::new(
            ErrorKind::Invalid,
            format!(
                "bucket {bucket} lies in another region than {}; correct {}",
                place.region,
                setting.replace("BUCKET", "REGION")
            ),
        ),
        _ => return None,
    };
    Some(error)
}

fn require_versioning(place: &VaultPlace, status: Option<&BucketVersioningStatus>) -> Result<()> {
    if status == Some(&BucketVersioningStatus::Enabled) {
        return Ok(());
    }
    let bucket = &place.bucket;
    Err(Error::invalid(format!(
        "bucket {bucket} is not versioned, so a backup in it could be destroyed by one call; turn it on with `aws s3api \
         put-bucket-versioning --bucket {bucket} --region {} --versioning-configuration Status=Enabled`",
        place.region
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::vault::VaultRole;

    fn place() -> VaultPlace {
        VaultPlace { role: VaultRole::Secondary, region: "us-east-1".into(), bucket: "acme-backup".into() }
    }

    #[test]
    fn every_refusal_says_what_to_correct() {
        let said =
            |owner, status, region| refused(&place(), owner, Some(status), region).map(|e| (e.kind(), e.to_string()));
        let (kind, text) = said(None, 404, None).expect("an error");
        assert_eq!(kind, ErrorKind::NotFound);
        assert!(text.contains("acme-backup") && text.contains("BACKUP_BUCKET_SECONDARY"), "{text}");
        let (kind, text) = said(Some("123456789012"), 403, None).expect("an error");
        assert_eq!(kind, ErrorKind::Denied);
        assert!(text.contains("123456789012") && text.contains("BACKUP_ACCOUNT_ID"), "{text}");
        let (kind, text) = said(None, 400, Some("eu-west-3")).expect("an error");
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(text.contains("eu-west-3") && text.contains("BACKUP_REGION_SECONDARY"), "{text}");
        assert!(said(None, 503, None).is_none());
    }

    #[test]
    fn a_bucket_is_versioned_only_if_it_says_so() {
        assert!(require_versioning(&place(), Some(&BucketVersioningStatus::Enabled)).is_ok());
        for status in [None, Some(&BucketVersioningStatus::Suspended)] {
            let e = require_versioning(&place(), status).expect_err("refused");
            assert!(e.to_string().contains("put-bucket-versioning"), "{e}");
        }
    }
}
