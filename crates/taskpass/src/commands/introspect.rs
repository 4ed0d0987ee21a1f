//! `taskpass introspect`: asks the broker about a credential, at this instant.

use taskpass_api::v1::{self, introspect_request::Credential};

use crate::cli::verify::IntrospectArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::view::verification::Introspection;

/// Introspects.
pub(crate) async fn run(context: &Context, args: IntrospectArgs) -> Result<(), CliError> {
    let credential = match (args.token_file, args.cert_file) {
        (Some(path), None) => Credential::Token(files::read_secret(&path)?.expose().to_owned()),
        (None, Some(path)) => Credential::Certificate(files::read_certificate(&path)?.into()),
        _ => {
            return Err(CliError::new(
                "INVALID_FIELD",
                "name one token or one certificate",
            ));
        }
    };
    let request = v1::IntrospectRequest {
        credential: Some(credential),
    };
    let mut verification = context.session().await?.verification();
    let reply = verification.introspect(request).await?.into_inner();
    context.output.show(&Introspection::from(reply))
}
