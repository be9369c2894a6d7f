//! Events that are a request, or orders as messages of a queue.

use aws_lambda_events::event::sqs::SqsMessage;
use engine::error::{Error, Result};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What a function that takes orders is called with.
#[derive(Debug)]
pub enum Event<R> {
    /// A request of its own.
    Request(R),
    /// Orders.
    Orders(Orders),
}

/// A batch of messages.
#[derive(Debug, Deserialize)]
pub struct Orders {
    #[serde(rename = "Records")]
    records: Vec<SqsMessage>,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer<A> {
    /// To a request.
    Request(A),
    /// To orders: the messages that must come again.
    Orders {
        /// Those, as the event source has it.
        #[serde(rename = "batchItemFailures")]
        failures: Vec<Failure>,
    },
}

/// A message of a queue, or a place in a stream, that must come again.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    #[serde(rename = "itemIdentifier")]
    item: String,
}

impl Failure {
    /// By the id of the message, or the number of the place.
    pub fn of(item: String) -> Self {
        Self { item }
    }
}

impl<'de, R: DeserializeOwned> Deserialize<'de> for Event<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let event = Value::deserialize(deserializer)?;
        // One at a time, so that what is wrong is told by its name.
        match event.get("Records") {
            Some(_) => serde_json::from_value(event).map(Self::Orders),
            None => serde_json::from_value(event).map(Self::Request),
        }
        .map_err(|e| D::Error::custom(format_args!("the event is not a request of this function: {e}")))
    }
}

impl Orders {
    /// Takes each order up. Gives the messages that must come again; one that fails each time, or is no order, ends in the queue of
    /// what failed.
    ///
    /// # Errors
    /// That of the order, if there was only one: it comes again just the same, and the platform counts the invocation as failed, on
    /// which there is an alarm.
    pub async fn each<O, A>(self, take_up: impl AsyncFn(O) -> Result<()>) -> Result<Answer<A>>
    where
        O: DeserializeOwned,
    {
        let mut failures = Vec::new();
        let alone = self.records.len() == 1;
        for message in self.records {
            let order = serde_json::from_str(message.body.as_deref().unwrap_or_default());
            let order = order.map_err(|e| Error::invalid(format!("the message is not an order: {e}")));
            let taken = match order {
                Ok(order) => take_up(order).await,
                Err(e) => Err(e),
            };
            if let Err(e) = taken {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::error!(kind = %e.kind(), error = %e, cause, "an order failed; it comes again");
                if alone {
                    return Err(e);
                }
                failures.push(Failure::of(message.message_id.unwrap_or_default()));
            }
        }
        Ok(Answer::Orders { failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        n: u32,
    }

    #[tokio::test]
    async fn what_fails_comes_again_and_nothing_else() {
        let bodies = [r#"{\"n\":1}"#, r#"{\"n\":2}"#, r#"{\"m\":3}"#, "nonsense", r#"{\"n\":5}"#];
        let records: Vec<String> =
            (0..).zip(bodies).map(|(n, body)| format!(r#"{{"messageId":"{n}","body":"{body}"}}"#)).collect();
        let event = format!(r#"{{"Records":[{}]}}"#, records.join(","));
        let Event::Orders(orders) = serde_json::from_str::<Event<Request>>(&event).expect("parses") else {
            panic!("orders")
        };
        let taken = std::sync::Mutex::new(Vec::new());
        let answer = orders.each::<_, ()>(async |order: Request| {
            taken.lock().expect("alone").push(order.n);
            if order.n == 2 { Err(Error::unavailable("busy")) } else { Ok(()) }
        });
        let answer = answer.await.expect("some did not fail");
        assert_eq!(*taken.lock().expect("alone"), [1, 2, 5]);
        let said = serde_json::to_string(&answer).expect("JSON");
        let failed = ["1", "2", "3"].map(|id| format!(r#"{{"itemIdentifier":"{id}"}}"#)).join(",");
        assert_eq!(said, format!(r#"{{"batchItemFailures":[{failed}]}}"#));
    }

    #[tokio::test]
    async fn one_that_fails_alone_fails_the_invocation() {
        let event = r#"{"Records":[{"messageId":"1","body":"{\"n\":1}"}]}"#;
        let Event::Orders(orders) = serde_json::from_str::<Event<Request>>(event).expect("parses") else {
            panic!("orders")
        };
        let failed = orders.each::<_, ()>(async |_: Request| Err(Error::unavailable("busy"))).await;
        assert_eq!(failed.expect_err("it failed").to_string(), "busy");
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told_by_its_name() {
        let wrong = serde_json::from_str::<Event<Request>>(r#"{"n":1,"tables":[]}"#).expect_err("refused").to_string();
        assert!(wrong.contains("tables"), "{wrong}");
        assert!(matches!(serde_json::from_str::<Event<Request>>(r#"{"n":7}"#), Ok(Event::Request(Request { n: 7 }))));
    }
}
