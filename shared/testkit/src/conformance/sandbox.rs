//! What every sandbox must do.

use super::fails;
use engine::error::ErrorKind;
use engine::sandbox::Sandbox;

/// Starts servers, one after the other, and ends them.
///
/// # Panics
/// At the first thing that is not as the port's documentation says.
pub async fn sandbox(sandbox: &dyn Sandbox) {
    assert!(!sandbox.kind().is_empty() && sandbox.room_bytes() > 0);
    for round in 0..2 {
        let server = sandbox.start().await.unwrap_or_else(|e| panic!("start {round}: {e}"));
        let answer = server.ask("select 1", 10).await.unwrap_or_else(|e| panic!("ask {round}: {e}"));
        assert_eq!(answer, [[Some("1".to_owned())]]);
        fails(server.ask("select nonsense", 10).await, ErrorKind::Invalid, "a query that is none");
        // After a refusal it goes on.
        server.ask("select 1", 10).await.unwrap_or_else(|e| panic!("ask {round} again: {e}"));
        assert!(server.constraints().await.unwrap_or_else(|e| panic!("look {round}: {e}")).not_validated.is_empty());
        server.end().await.unwrap_or_else(|e| panic!("end {round}: {e}"));
    }
}
