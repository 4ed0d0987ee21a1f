//! `taskpass enrol`: trades an enrolment for an identity, and keeps the identity in a folder.

use std::path::Path;

use crate::cli::verify::EnrolArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::files::{self, folder};
use crate::session::Address;
use crate::view::enrolment::{EnrolmentFile, IdentityWritten};

/// Enrols.
pub(crate) async fn run(context: &Context, args: EnrolArgs) -> Result<(), CliError> {
    // The token works once: whatever can fail on this side comes before it is sent.
    let file = read(&args.token_file)?;
    let address = match context.address()? {
        Some(address) => address,
        None => written(file.addr.as_deref())?,
    };
    prepare(&args.out, args.replace)?;
    let enrolled = taskpass_client::enrol(address.authority(), &file.ca_pem, &file.token)
        .await
        .map_err(|error| context.with_readiness(error.into()))?;
    enrolled.identity.save(&args.out)?;
    context
        .output
        .show(&IdentityWritten::new(&enrolled, &args.out))
}

/// Renews the identity that was named, in its folder.
pub(crate) async fn renew(context: &Context) -> Result<(), CliError> {
    let folder = context.identity_folder()?;
    let address = context.required_address()?;
    let enrolled = taskpass_client::renew_in(folder, address.authority())
        .await
        .map_err(|error| context.with_readiness(error.into()))?;
    context
        .output
        .show(&IdentityWritten::new(&enrolled, folder))
}

fn read(path: &Path) -> Result<EnrolmentFile, CliError> {
    let bytes = files::read(path)?;
    EnrolmentFile::from_bytes(&bytes).ok_or_else(|| {
        let message = format!("{} is no enrolment file", path.display());
        CliError::new("INVALID_TOKEN_FILE", message)
            .hint("it is what `taskpass agent enrol-token NAME --out FILE` writes")
    })
}

fn written(addr: Option<&str>) -> Result<Address, CliError> {
    addr.ok_or_else(|| CliError::new("NO_ADDRESS", "the file does not say where the broker is"))?
        .parse()
}

/// Makes the folder; refuses one that holds an identity, unless that is to be replaced.
pub(crate) fn prepare(out: &Path, replace: bool) -> Result<(), CliError> {
    folder::make(out)?;
    let holds = |name: &str| out.join(name).symlink_metadata().is_ok();
    if !replace
        && [folder::CERT, folder::KEY, folder::CA]
            .into_iter()
            .any(holds)
    {
        let message = format!("{} holds an identity or certificate already", out.display());
        return Err(
            CliError::new("FILE_EXISTS", message).hint("name another folder, or say --replace")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enrolment_files_are_read() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("enrol");
        std::fs::write(
            &path,
            r#"{"token":"tpe_x","addr":"https://b:1","ca_pem":"P"}"#,
        )
        .unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.token.expose(), "tpe_x");
        assert_eq!(written(file.addr.as_deref()).unwrap().authority(), "b:1");
        assert!(!format!("{file:?}").contains("tpe_x"));
        for bad in ["", "tpe_x", "{}", r#"{"token":"tpe_secret","ca_pem":7}"#] {
            std::fs::write(&path, bad).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error.reason(), "INVALID_TOKEN_FILE");
            assert!(!format!("{error:?}").contains("tpe_"), "{error:?}");
        }
        assert_eq!(written(None).unwrap_err().reason(), "NO_ADDRESS");
    }

    #[test]
    fn an_identity_is_not_replaced_by_accident() {
        let dir = tempfile::TempDir::new().unwrap();
        let out = dir.path().join("identity");
        prepare(&out, false).unwrap();
        std::fs::write(out.join("key.pem"), "k").unwrap();
        assert_eq!(prepare(&out, false).unwrap_err().reason(), "FILE_EXISTS");
        prepare(&out, true).unwrap();
    }
}
