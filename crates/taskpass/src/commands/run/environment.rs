//! The command's environment: ours without whatever leads to the identity, and where its
//! credentials are. Pure.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::folder::Files;
use super::user::User;

/// Everything of ours.
const PREFIX: &[u8] = b"TASKPASS_";
/// What somebody could prove itself with, as we do: tokens and sockets of the platform.
const LEADING: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "CREDENTIALS_DIRECTORY",
    "SPIFFE_ENDPOINT_SOCKET",
];
/// What belongs to the user that we run as.
const OF_USER: &[&str] = &["HOME", "USER", "LOGNAME", "MAIL", "XDG_RUNTIME_DIR"];

/// What the command gets of `ours`; `secret` are the paths that must not be named to it.
pub(super) fn for_command(
    ours: impl IntoIterator<Item = (OsString, OsString)>,
    secret: &[PathBuf],
    user: Option<&User>,
    files: &Files,
) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<_, _> = ours
        .into_iter()
        .filter(|(name, value)| !leads(name, value, secret))
        .filter(|(name, _)| user.is_none() || !is_one_of(OF_USER, name))
        .collect();
    let mut set = |name: &str, value: &OsStr| environment.insert(name.into(), value.into());
    if let Some(user) = user {
        let home = user.home.as_deref().unwrap_or(Path::new("/"));
        set("HOME", home.as_os_str());
        if let Some(name) = &user.name {
            set("USER", name.as_ref());
            set("LOGNAME", name.as_ref());
        }
    }
    for (name, path) in files.variables() {
        set(name, path.as_os_str());
    }
    environment
}

fn is_one_of(names: &[&str], name: &OsStr) -> bool {
    names.iter().any(|other| name == OsStr::new(other))
}

fn leads(name: &OsStr, value: &OsStr, secret: &[PathBuf]) -> bool {
    let names = |path: &PathBuf| contains(value.as_bytes(), path.as_os_str().as_bytes());
    name.as_bytes().starts_with(PREFIX) || is_one_of(LEADING, name) || secret.iter().any(names)
}

/// Whether `text` names `part`; what is too short to be a path of somebody's own is not looked for.
fn contains(text: &[u8], part: &[u8]) -> bool {
    part.len() >= 4 && text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files::at(Path::new("/run/x/current"), 2, true)
    }

    fn made(ours: &[(&str, &str)], user: Option<&User>) -> Vec<(String, String)> {
        let ours = ours.iter().map(|(name, value)| (name.into(), value.into()));
        let secret = [PathBuf::from("/home/a/id"), PathBuf::from(".")];
        let text = |text: OsString| text.into_string().unwrap();
        for_command(ours, &secret, user, &files())
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn whatever_leads_to_the_identity_is_left_out() {
        let all = made(
            &[
                ("TASKPASS_IDENTITY", "/home/a/id"),
                ("TASKPASS_ADDR", "https://b:1"),
                ("TASKPASS_ANYTHING_NEW", "x"),
                ("TASKPASS_TOKEN_FILE", "/elsewhere"),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x"),
                ("SPIFFE_ENDPOINT_SOCKET", "unix:/x"),
                ("MY_ID", "--identity=/home/a/id/"),
                ("PATH", "/bin:/usr/bin"),
                ("HOME", "/home/a"),
                ("DOTTED", "a.b"),
                ("XDG_RUNTIME_DIR", "/run/user/1"),
            ],
            None,
        );
        let expected = [
            ("DOTTED", "a.b"),
            ("HOME", "/home/a"),
            ("PATH", "/bin:/usr/bin"),
            ("TASKPASS_CA", "/run/x/current/ca.pem"),
            ("TASKPASS_CERT", "/run/x/current/cert.pem"),
            ("TASKPASS_CREDENTIALS", "/run/x/current"),
            ("TASKPASS_KEY", "/run/x/current/key.pem"),
            ("TASKPASS_TOKENS", "/run/x/current/tokens.json"),
            ("TASKPASS_TOKEN_FILE", "/run/x/current/token"),
            ("TASKPASS_TOKEN_FILE_2", "/run/x/current/token-2"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
        ];
        let all: Vec<_> = all.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn another_user_has_a_home_of_its_own() {
        let user = User {
            uid: 5,
            gid: 6,
            name: Some("agent".into()),
            home: None,
        };
        let ours = [
            ("HOME", "/root"),
            ("USER", "root"),
            ("XDG_RUNTIME_DIR", "/run/user/0"),
        ];
        let all = made(&ours, Some(&user));
        let get = |name: &str| all.iter().find(|(other, _)| other == name);
        assert_eq!(get("HOME").unwrap().1, "/");
        assert_eq!(get("USER").unwrap().1, "agent");
        assert_eq!(get("XDG_RUNTIME_DIR"), None);
    }
}
