//! Whom the command runs as: a name in `/etc/passwd`, or numbers.
//!
//! Only root may choose, and then the command has that user's id, one group, and no other: what this
//! process could do besides is not handed on.

use std::path::PathBuf;

use crate::errors::CliError;

const PASSWD: &str = "/etc/passwd";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: Option<String>,
    pub(super) home: Option<PathBuf>,
}

/// Finds the user that `text` names.
pub(super) fn find(text: &str) -> Result<User, CliError> {
    let passwd = std::fs::read_to_string(PASSWD).unwrap_or_default();
    let user = parse(text, &passwd).ok_or_else(|| {
        CliError::new(
            "INVALID_USER",
            format!("`{text}` is no user of this machine"),
        )
        .hint("name a user of /etc/passwd, or write UID:GID in numbers")
    })?;
    if !rustix::process::geteuid().is_root() {
        let message = "only root can run a command as another user";
        return Err(CliError::new("NOT_PERMITTED", message)
            .hint("run it as root, or without --user: docs/RUN.md says what that means"));
    }
    Ok(user)
}

/// `UID` alone is looked up for its group; one that is not there needs `UID:GID`.
fn parse(text: &str, passwd: &str) -> Option<User> {
    let known = |wanted: &dyn Fn(&str, u32) -> bool| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _) = (fields.next()?, fields.next()?);
            let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let home = fields.nth(1).filter(|home| home.starts_with('/'));
            wanted(name, uid).then(|| User {
                uid,
                gid,
                name: Some(name.to_owned()),
                home: home.map(PathBuf::from),
            })
        })
    };
    // −1 stands for "leave it as it is" in the system's calls.
    let number = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
    match text.split_once(':') {
        Some((uid, gid)) => {
            let (uid, gid) = (number(uid)?, number(gid)?);
            let known = known(&|_, other| other == uid);
            Some(User {
                uid,
                gid,
                name: known.as_ref().and_then(|user| user.name.clone()),
                home: known.and_then(|user| user.home),
            })
        }
        None => match number(text) {
            Some(uid) => known(&|_, other| other == uid),
            None => known(&|name, _| name == text && !text.is_empty()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "root:x:0:0:root:/root:/bin/bash\n\
        broken line\nhalf:x:5\n\
        agent:x:1001:2001::/home/agent:/bin/sh\nodd:x:7:8::relative:/bin/sh\n";

    #[test]
    fn names_and_numbers() {
        let user = |uid, gid, name: Option<&str>, home: Option<&str>| User {
            uid,
            gid,
            name: name.map(str::to_owned),
            home: home.map(PathBuf::from),
        };
        let agent = user(1001, 2001, Some("agent"), Some("/home/agent"));
        for (text, expected) in [
            ("agent", Some(agent.clone())),
            ("1001", Some(agent.clone())),
            ("1001:5", Some(User { gid: 5, ..agent })),
            ("4242:4343", Some(user(4242, 4343, None, None))),
            ("odd", Some(user(7, 8, Some("odd"), None))),
            ("4242", None),
            ("half", None),
            ("nobody-here", None),
            ("", None),
            ("agent:2001", None),
            ("-1", None),
            ("4294967295", None),
            ("4294967295:0", None),
            ("1:2:3", None),
        ] {
            assert_eq!(parse(text, FILE), expected, "{text:?}");
        }
    }
}
