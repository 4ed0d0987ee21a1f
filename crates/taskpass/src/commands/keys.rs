//! `taskpass keys …`.

mod rewrap;

use taskpass_api::v1;

use crate::cli::keys::{
    ExportCsrArgs, ForgetRootArgs, ImportArgs, KeysCommand, RootOf, RotateArgs, TaintArgs,
};
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::view::key::{Forgotten, Imported, Key, Keys, Request, Rotated, Tainted};
use crate::view::wire;

/// Runs one of them.
pub(crate) async fn run(context: &Context, command: KeysCommand) -> Result<(), CliError> {
    match command {
        KeysCommand::List => list(context).await,
        KeysCommand::Rotate(args) => rotate(context, args).await,
        KeysCommand::Taint(args) => taint(context, args).await,
        KeysCommand::ExportCsr(args) => export_csr(context, &args).await,
        KeysCommand::Import(args) => import(context, &args).await,
        KeysCommand::ForgetRoot(args) => forget_root(context, args).await,
        KeysCommand::Rewrap(args) => rewrap::run(context, &args).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let keys = read(context).await?.into_iter().map(Key::from).collect();
    context.output.show(&Keys { keys })
}

async fn read(context: &Context) -> Result<Vec<v1::Key>, CliError> {
    let mut keys = context.session().await?.keys();
    let reply = keys.list(v1::ListKeysRequest {}).await?;
    Ok(reply.into_inner().keys)
}

async fn rotate(context: &Context, args: RotateArgs) -> Result<(), CliError> {
    let mut keys = context.session().await?.keys();
    let request = v1::RotateKeyRequest {
        key: args.key,
        now: args.now,
    };
    let reply = keys.rotate(request).await?.into_inner();
    context.output.show(&Rotated {
        next: reply.next.map(Key::from),
        takes_over_at: wire::instant(reply.takes_over_at),
    })
}

async fn taint(context: &Context, args: TaintArgs) -> Result<(), CliError> {
    if !args.ends_identities {
        let all = read(context).await?;
        let control = |key: &&v1::Key| key.key_id == args.key && key.purpose == "control-issuing";
        let signed = |key: &v1::Key| key.activated_at.is_some();
        if all.iter().find(control).is_some_and(signed) {
            let message = "whoever it certified must enrol anew, you as well";
            return Err(CliError::new("ENDS_IDENTITIES", message).hint(
                "make an enrolment token for yourself first (`taskpass operator enrol-token NAME`), \
                 then repeat with --ends-identities",
            ));
        }
    }
    let mut keys = context.session().await?.keys();
    let request = v1::TaintKeyRequest {
        key_id: args.key,
        reason: args.reason,
    };
    let reply = keys.taint(request).await?.into_inner();
    context.output.show(&Tainted {
        seq: reply.seq,
        credentials: reply.credentials,
        next: reply.next.map(Key::from),
    })
}

async fn export_csr(context: &Context, args: &ExportCsrArgs) -> Result<(), CliError> {
    let mut keys = context.session().await?.keys();
    let request = v1::ExportCsrRequest {
        purpose: args.authority.purpose().to_owned(),
    };
    let reply = keys.export_csr(request).await?.into_inner();
    context.output.show(&Request {
        key_id: reply.key_id,
        csr_pem: reply.csr_pem,
    })
}

async fn import(context: &Context, args: &ImportArgs) -> Result<(), CliError> {
    let bytes = files::read(&args.certificate)?;
    let text = std::str::from_utf8(&bytes).ok();
    // Before it is sent anywhere: a private key in it would be out of its place.
    let chain_pem = text.filter(|text| taskpass_issuer::import::is_public(text));
    let Some(chain_pem) = chain_pem else {
        let message = format!(
            "{} does not hold certificates in PEM, and nothing secret beside them",
            args.certificate.display()
        );
        return Err(CliError::new("INVALID_CERTIFICATE", message));
    };
    let mut keys = context.session().await?.keys();
    let request = v1::ImportCertificateRequest {
        chain_pem: chain_pem.to_owned(),
        standby: args.standby,
    };
    let reply = keys.import_certificate(request).await?.into_inner();
    context.output.show(&Imported {
        authority: reply.authority.map(Key::from),
        root: reply.root.map(Key::from),
        takes_over_at: wire::instant(reply.takes_over_at),
    })
}

async fn forget_root(context: &Context, args: ForgetRootArgs) -> Result<(), CliError> {
    let purpose = match args.hierarchy {
        RootOf::Control => "control-root",
        RootOf::Task => "task-root",
    };
    let mut keys = context.session().await?.keys();
    let request = v1::ForgetRootRequest {
        purpose: purpose.to_owned(),
        reason: args.reason,
    };
    let reply = keys.forget_root(request).await?.into_inner();
    context.output.show(&Forgotten {
        root: reply.root.map(Key::from),
    })
}
