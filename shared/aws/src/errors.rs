//! One mapping from what the SDK says to what the caller does next.
//!
//! The message holds service, operation, code, request id and advice. What the service says in its own words is kept as the
//! cause, for the log. The SDK's error itself is not kept: its debug text holds the whole response.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use engine::error::{Error, ErrorKind};
use std::fmt::Write;

/// The service of a call, and the name that its operation has in AWS's documents and policies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Such as `s3`, as in a policy's `s3:PutObject`.
    pub(crate) service: &'static str,
    /// Such as `PutObject`.
    pub(crate) operation: &'static str,
}

impl Call {
    pub(crate) const fn new(service: &'static str, operation: &'static str) -> Self {
        Self { service, operation }
    }

    /// The engine's error for a call that failed.
    pub(crate) fn failed<E>(self, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Self { service, operation } = self;
        let status = error.raw_response().map(|r| r.status().as_u16());
        match error {
            SdkError::ConstructionFailure(_) => {
                Error::internal(format!("{service} {operation}: the request could not be built"))
                    .with_source(chain(error))
            }
            SdkError::TimeoutError(_) => Error::unavailable(format!("{service} {operation}: no answer in time")),
            SdkError::DispatchFailure(failure) => {
                let kind = if failure.is_user() { ErrorKind::Internal } else { ErrorKind::Unavailable };
                Error::new(kind, format!("{service} {operation}: the request could not be sent: {}", chain(error)))
            }
            SdkError::ServiceError(context) => {
                let meta = context.err().meta();
                let mut failure = self.answered(meta.code(), status, error.request_id());
                if let Some(words) = meta.message() {
                    failure = failure.with_source(words.to_owned());
                }
                failure
            }
            _ => {
                let kind = status.filter(|s| *s >= 300).map_or(ErrorKind::Unavailable, |s| classify(None, Some(s)));
                Error::new(kind, format!("{service} {operation}: the answer could not be understood"))
                    .with_source(chain(error))
            }
        }
    }

    /// The engine's error for an answer of the service.
    fn answered(self, code: Option<&str>, status: Option<u16>, request: Option<&str>) -> Error {
        let mut message = format!("{} {}: ", self.service, self.operation);
        match (code, status) {
            (Some(code), _) => message.push_str(&shown(code)),
            (None, Some(status)) => write!(message, "HTTP status {status}").unwrap_or_default(),
            (None, None) => message.push_str("failed"),
        }
        if let Some(request) = request {
            write!(message, " (request {})", shown(request)).unwrap_or_default();
        }
        let kind = classify(code, status);
        if let Some(advice) = self.advice(code, kind) {
            write!(message, "; {advice}").unwrap_or_default();
        }
        Error::new(kind, message)
    }

    /// What a person does about it.
    fn advice(self, code: Option<&str>, kind: ErrorKind) -> Option<String> {
        let Self { service, operation } = self;
        let text = match (code.unwrap_or_default(), kind) {
            ("DisabledException", _) => "the key is disabled in this region; enable it again with `aws kms enable-key`".to_owned(),
            ("KMSInvalidStateException", _) => {
                "the key cannot be used in its state, such as pending deletion; cancel that with `aws kms cancel-key-deletion`, then \
                 `aws kms enable-key`"
                    .to_owned()
            }
            ("NoSuchBucket", _) => "the bucket does not exist; create it, or correct the BACKUP_BUCKET_… setting".to_owned(),
            ("ResourceNotFoundException", _) if service == "dynamodb" => {
                "the table does not exist in this region; create it, or correct BACKUP_TABLE".to_owned()
            }
            ("ResourceNotFoundException", _) if service == "secretsmanager" => {
                "the secret does not exist; create it, or correct the …_SECRET_ARN setting".to_owned()
            }
            ("NotFoundException", _) if service == "kms" => {
                "the key does not exist in this region; replicate the multi-region key to it, or correct BACKUP_ENCRYPTION_KEY_ID".to_owned()
            }
            ("ExpiredToken" | "ExpiredTokenException", _) => "the credentials have expired; sign in again".to_owned(),
            (_, ErrorKind::Denied) => {
                format!("allow {service}:{operation} to this function's role, and look for a deny in the policy of the bucket or key")
            }
            (_, ErrorKind::Invalid) if service == "s3" && is_elsewhere(code) => {
                "the bucket lies in another region; correct the BACKUP_REGION_… setting".to_owned()
            }
            _ => return None,
        };
        Some(text)
    }
}

/// Whether a code says that a bucket lies in another region.
fn is_elsewhere(code: Option<&str>) -> bool {
    matches!(
        code,
        None | Some(
            "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
        )
    )
}

/// What the caller does next, from the code of an answer, or from its HTTP status where the code says nothing to us.
fn classify(code: Option<&str>, status: Option<u16>) -> ErrorKind {
    match code.unwrap_or_default() {
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "TransactionConflictException"
        | "TransactionInProgressException"
        | "ReplicatedWriteConflictException" => ErrorKind::Unavailable,
        "RequestTimeout"
        | "RequestTimeoutException"
        | "RequestTimeTooSkewed"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServiceError"
        | "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "ConditionalRequestConflict"
        | "OperationAborted" => ErrorKind::Unavailable,
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "OptInRequired"
        | "NotSignedUp"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidToken"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException"
        | "InvalidGrantTokenException"
        | "DisabledException"
        | "KMSInvalidStateException" => ErrorKind::Denied,
        "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchVersion"
        | "NotFound"
        | "NotFoundException"
        | "ResourceNotFoundException" => ErrorKind::NotFound,
        "PreconditionFailed" | "ConditionalCheckFailedException" => ErrorKind::Conflict,
        "BadDigest"
        | "XAmzContentSHA256Mismatch"
        | "InvalidRange"
        | "InvalidCiphertextException"
        | "IncorrectKeyException" => ErrorKind::Corrupt,
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => ErrorKind::Invalid,
        _ => by_status(status),
    }
}

fn by_status(status: Option<u16>) -> ErrorKind {
    match status {
        Some(401 | 403) => ErrorKind::Denied,
        Some(404) => ErrorKind::NotFound,
        Some(409 | 412) => ErrorKind::Conflict,
        Some(408 | 429 | 500..=599) | None => ErrorKind::Unavailable,
        Some(416) => ErrorKind::Corrupt,
        Some(_) => ErrorKind::Invalid,
    }
}

/// The HTTP status of a failed call, if there was an answer.
pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|r| r.status().as_u16())
}

/// What an error and its causes say, outermost first; each thing once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

/// At most 80 characters of a text from outside, without control characters.
fn shown(text: &str) -> String {
    text.chars().take(80).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests;
