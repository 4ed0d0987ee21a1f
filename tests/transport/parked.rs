//! Requests whose message does not come: they hold no room and keep no authority.

use std::time::Duration;

use taskpass_api::v1;
use taskpass_testkit::{Broker, within};

use crate::raw::{Streams, h2, head, message};
use crate::{BIN, READ, well_behaved, well_behaved_soon};

async fn status(response: h2::client::ResponseFuture) -> String {
    let response = within(response).await.expect("an answer");
    let field = response.headers().get("grpc-status");
    field
        .and_then(|text| text.to_str().ok())
        .unwrap_or("0")
        .to_owned()
}

/// Opens a request and keeps its message back.
async fn park(
    broker: &Broker,
    streams: &mut Streams,
    method: &str,
) -> Option<(
    h2::client::ResponseFuture,
    h2::SendStream<crate::raw::Bytes>,
)> {
    let mut ready = within(streams.clone().ready()).await.ok()?;
    ready.send_request(head(broker, method), false).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_the_authority_of_the_moment_in_which_it_is_whole() {
    let broker = Broker::start(BIN);
    well_behaved(&broker).await;
    let (mut streams, _guard) = h2(&broker, "invoice-bot", 65_535).await;
    let start = v1::StartRequest {
        purpose: "later".to_owned(),
        scopes: vec![READ.to_owned()],
        ..v1::StartRequest::default()
    };
    let start = prost::Message::encode_to_vec(&start);
    let method = "taskpass.v1.TaskService/Start";
    let (response, mut body) = park(&broker, &mut streams, method).await.expect("a stream");
    broker
        .cli(
            "",
            &["revoke", "--agent", "invoice-bot", "--reason", "drill"],
        )
        .ok();
    broker
        .cli("", &["agent", "resume", "invoice-bot", "--reason", "over"])
        .ok();
    body.send_data(message(&start), true).expect("the message");
    // The agent is active again, but the identity that opened the request is not accepted any more.
    assert_eq!(status(response).await, "16");
}

/// Who may not call it is told so, and not asked for the message first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_looked_at_is_not_waited_for() {
    let broker = Broker::start(BIN);
    let (mut streams, _guard) = h2(&broker, "", 65_535).await;
    let method = "taskpass.v1.TaskService/Start";
    let (response, _body) = park(&broker, &mut streams, method).await.expect("a stream");
    assert_eq!(status(response).await, "16");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_never_come_hold_nobody_up() {
    let broker = Broker::start(BIN);
    let mut parked = Vec::new();
    let mut guards = Vec::new();
    // Strangers have eight streams on each of their connections.
    let strangers = std::iter::repeat_n(("", 8), 60);
    for (who, count) in strangers.chain([("invoice-bot", 200); 2]) {
        let (mut streams, guard) = h2(&broker, who, 65_535).await;
        for _ in 0..count {
            let method = "taskpass.v1.EnrolmentService/Enrol";
            parked.extend(park(&broker, &mut streams, method).await);
        }
        guards.push((streams, guard));
    }
    assert!(parked.len() > 800, "only {} are parked", parked.len());
    well_behaved_soon(&broker, Duration::from_secs(3)).await;
    // Each is answered, although its message never came.
    let (response, _body) = parked.swap_remove(0);
    assert_eq!(status(response).await, "3");
}
