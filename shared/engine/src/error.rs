//! One error for the whole product.
//!
//! A kind says what the caller does next; the message says what was wrong, where, and what to do. Errors are returned,
//! wrapped in context (`verb object`), and logged once, at the edge. A message never holds a row, a key, a password or
//! a connection string.

use std::fmt;

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The outside world did not answer, or was busy: try the same call again.
    Unavailable,
    /// Somebody else was first, or the state moved on: stop; the winner's work stands.
    Conflict,
    /// What was asked for is not there.
    NotFound,
    /// An input or a setting is wrong: a person corrects it, then tries again.
    Invalid,
    /// A right is missing, or a key is disabled: a person grants it, then tries again.
    Denied,
    /// The other side is older or newer than what this version can work with.
    Unsupported,
    /// Stored bytes are not what was stored: never retried, never skipped.
    Corrupt,
    /// The time or the memory that was granted ran out.
    Exhausted,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    /// The kind's name, as it stands in logs and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::Exhausted => "exhausted",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error: its kind, its message (outermost context first), and what caused it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in this workspace.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),+ $(,)?) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })+
    };
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    constructors! {
        /// [`ErrorKind::Unavailable`].
        unavailable => Unavailable,
        /// [`ErrorKind::Conflict`].
        conflict => Conflict,
        /// [`ErrorKind::NotFound`].
        not_found => NotFound,
        /// [`ErrorKind::Invalid`].
        invalid => Invalid,
        /// [`ErrorKind::Denied`].
        denied => Denied,
        /// [`ErrorKind::Unsupported`].
        unsupported => Unsupported,
        /// [`ErrorKind::Corrupt`].
        corrupt => Corrupt,
        /// [`ErrorKind::Exhausted`].
        exhausted => Exhausted,
        /// [`ErrorKind::Internal`].
        internal => Internal,
    }

    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Keeps the cause for the log. Its text is not shown to users.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `verb object` before the message, so that a chain reads as one line.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}

/// `.context("read manifest")` on results.
pub trait ResultExt<T> {
    /// Puts `verb object` before the error's message.
    ///
    /// # Errors
    /// The same error, with its context.
    fn context(self, context: impl fmt::Display) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn context(self, context: impl fmt::Display) -> Result<T> {
        self.map_err(|e| e.context(context))
    }
}
