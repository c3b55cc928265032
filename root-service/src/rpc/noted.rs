//! What is kept of an administrator's calls.

use licensor::{
    error::Result,
    event::{Event, EventKind},
};
use tonic::{Response, Status};

use super::AdminRpc;

impl AdminRpc {
    /// The outcome of an administrator's change. One that was made is in the log already; one that was refused gets there
    /// now.
    pub(super) async fn noted<T>(&self, call: &str, about: &str, by: &str, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            let event = call_event(EventKind::AdministrativeCallRefused, call, about, by)
                .argument("reason", error.reason.as_str());
            if let Err(error) = self.ledger().events().raise(event).await {
                tracing::error!(%error, call, by, "a refused call could not be kept");
            }
        }
        outcome
    }

    /// The outcome of a call that only reads, which is in the log before it is answered.
    pub(super) async fn read<T>(
        &self,
        call: &str,
        about: &str,
        by: &str,
        outcome: Result<T>,
    ) -> Result<Response<T>, Status> {
        let answer = self.noted(call, about, by, outcome).await?;
        self.keep_read(call, about, by).await;
        Ok(Response::new(answer))
    }

    /// Whoever looks for what is wrong with the disk is answered, though that cannot be kept.
    pub(super) async fn keep_read(&self, call: &str, about: &str, by: &str) {
        let event = call_event(EventKind::AdministrativeCallMade, call, about, by);
        if let Err(error) = self.ledger().events().raise(event).await {
            tracing::error!(%error, call, about, by, "a call that reads is answered, and could not be kept");
        }
    }
}

fn call_event(kind: EventKind, call: &str, about: &str, by: &str) -> Event {
    let about: String = about.chars().take(100).collect();
    Event::new(kind).by(by).argument("call", call).argument("about", about)
}
