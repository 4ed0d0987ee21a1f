//! Messages that are too large, or none.

use taskpass_api::v1;
use taskpass_client::Refused;
use taskpass_testkit::{Broker, refused, within};
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use crate::*;

#[tokio::test]
async fn oversized_and_malformed_messages() {
    let broker = Broker::start(BIN);
    let before = state(&broker);
    let channel = broker.channel("invoice-bot").await;
    let request = v1::StartRequest {
        purpose: "x".repeat(600 * 1024),
        scopes: vec![READ.into()],
        ..v1::StartRequest::default()
    };
    let mut tasks = broker.services("invoice-bot").await.tasks();
    let answer = refused(within(tasks.start(request)).await);
    assert_eq!(answer.reason, "MESSAGE_TOO_LARGE", "{answer}");
    assert_eq!(answer.code, tonic::Code::InvalidArgument);

    // Field 1 is text, and these bytes are none.
    let path = http::uri::PathAndQuery::from_static("/taskpass.v1.TaskService/Get");
    let mut client = Grpc::new(channel);
    within(client.ready()).await.unwrap();
    let codec = ProstCodec::<Vec<u8>, ()>::default();
    let request = tonic::Request::new(vec![0xff, 0xfe]);
    let status = within(client.unary(request, path, codec))
        .await
        .unwrap_err();
    let answer = Refused::from(status);
    assert_eq!(answer.reason, "MALFORMED_MESSAGE", "{answer}");

    let item = v1::IssueTokenRequest::default();
    for count in [0, 257] {
        let request = v1::IssueTokensRequest {
            items: vec![item.clone(); count],
        };
        let mut credentials = broker.services("invoice-bot").await.credentials();
        let answer = refused(within(credentials.issue_tokens(request)).await);
        assert_eq!(answer.reason, "TOO_MANY_ITEMS", "{answer}");
        assert!(answer.message.contains("256"), "{answer}");
    }
    // The connection and the broker go on.
    assert_eq!(state(&broker), before);
}
