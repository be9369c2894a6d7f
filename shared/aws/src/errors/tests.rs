use super::*;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::ErrorMetadata;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::SdkBody;

const PUT: Call = Call::new("s3", "PutObject");

fn answer(status: u16, code: Option<&str>) -> SdkError<PutObjectError> {
    let mut meta = ErrorMetadata::builder().message("words of the service");
    if let Some(code) = code {
        meta = meta.code(code);
    }
    let mut response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from("canary-in-the-body"));
    response.headers_mut().insert("x-amz-request-id", "4442587FB7D0A2F9");
    SdkError::service_error(PutObjectError::generic(meta.build()), response)
}

#[test]
fn a_code_says_what_the_caller_does_next() {
    let cases = [
        (503, "SlowDown", ErrorKind::Unavailable),
        (400, "ThrottlingException", ErrorKind::Unavailable),
        (400, "ProvisionedThroughputExceededException", ErrorKind::Unavailable),
        (409, "ConditionalRequestConflict", ErrorKind::Unavailable),
        (403, "AccessDenied", ErrorKind::Denied),
        (400, "AccessDeniedException", ErrorKind::Denied),
        (400, "DisabledException", ErrorKind::Denied),
        (400, "KMSInvalidStateException", ErrorKind::Denied),
        (400, "ExpiredTokenException", ErrorKind::Denied),
        (404, "NoSuchBucket", ErrorKind::NotFound),
        (400, "NotFoundException", ErrorKind::NotFound),
        (400, "ResourceNotFoundException", ErrorKind::NotFound),
        (412, "PreconditionFailed", ErrorKind::Conflict),
        (400, "ConditionalCheckFailedException", ErrorKind::Conflict),
        (400, "InvalidCiphertextException", ErrorKind::Corrupt),
        (400, "IncorrectKeyException", ErrorKind::Corrupt),
        (400, "BadDigest", ErrorKind::Corrupt),
        (301, "PermanentRedirect", ErrorKind::Invalid),
        (400, "ValidationException", ErrorKind::Invalid),
        (500, "SomethingNew", ErrorKind::Unavailable),
        (403, "SomethingNew", ErrorKind::Denied),
    ];
    for (status, code, kind) in cases {
        assert_eq!(PUT.failed(&answer(status, Some(code))).kind(), kind, "{code}");
    }
}

#[test]
fn without_a_code_the_status_decides() {
    let cases = [
        (301, ErrorKind::Invalid),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (412, ErrorKind::Conflict),
        (429, ErrorKind::Unavailable),
        (502, ErrorKind::Unavailable),
    ];
    for (status, kind) in cases {
        assert_eq!(PUT.failed(&answer(status, None)).kind(), kind, "{status}");
    }
}

#[test]
fn a_message_names_service_operation_code_and_request_and_no_payload() {
    let error = PUT.failed(&answer(403, Some("AccessDenied")));
    let text = error.to_string();
    assert!(text.starts_with("s3 PutObject: AccessDenied (request 4442587FB7D0A2F9); allow s3:PutObject"), "{text}");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("words of the service"));
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[test]
fn a_timeout_and_an_answer_that_cannot_be_read_may_be_tried_again() {
    let timeout: SdkError<PutObjectError> = SdkError::timeout_error("slow");
    assert_eq!(PUT.failed(&timeout).kind(), ErrorKind::Unavailable);
    let response = HttpResponse::new(200.try_into().expect("a status"), SdkBody::from("canary"));
    let garbled: SdkError<PutObjectError> = SdkError::response_error("cut off", response);
    let error = PUT.failed(&garbled);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[test]
fn what_could_not_be_sent_says_why_to_the_innermost_cause() {
    let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
    let connector = aws_sdk_s3::error::ConnectorError::io(io.into());
    let failure: SdkError<PutObjectError> = SdkError::dispatch_failure(connector);
    let error = PUT.failed(&failure);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().ends_with("connection refused"), "{error}");
}

#[test]
fn advice_belongs_to_the_service_that_was_asked() {
    let advice = |service, code| Call::new(service, "X").answered(Some(code), Some(400), None).to_string();
    assert!(advice("kms", "NotFoundException").contains("BACKUP_ENCRYPTION_KEY_ID"));
    assert!(advice("dynamodb", "ResourceNotFoundException").contains("BACKUP_TABLE"));
    assert!(advice("secretsmanager", "ResourceNotFoundException").contains("SECRET_ARN"));
    assert!(advice("kms", "DisabledException").contains("enable-key"));
    assert!(advice("kms", "KMSInvalidStateException").contains("cancel-key-deletion"));
}
