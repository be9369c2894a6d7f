//! The integration tests: `it/` is one binary of modules.
