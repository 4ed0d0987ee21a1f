use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/taskpass"))
}

const LEAST: &str = "data = \"/var/lib/taskpass\"\n[key_encryption_key]\nfile = \"kek\"\n";

/// A sample of the repository.
fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_samples_parse() {
    assert!(parse(&sample("taskpass.toml")).is_ok());
    assert!(parse(&sample("taskpass.full.toml")).is_ok());
}

#[test]
fn the_full_sample_shows_the_defaults() {
    let full = parse(&sample("taskpass.full.toml")).unwrap();
    let least = parse(LEAST).unwrap();
    assert_eq!(format!("{:?}", full.limits), format!("{:?}", least.limits));
    assert_eq!(
        format!("{:?}", full.transport),
        format!("{:?}", least.transport)
    );
    assert_eq!(
        (
            full.grpc,
            full.http,
            full.ops,
            full.reap_interval,
            full.archive_interval
        ),
        (
            least.grpc,
            least.http,
            least.ops,
            least.reap_interval,
            least.archive_interval
        )
    );
    assert_eq!(
        (full.oauth, full.oauth_url),
        (least.oauth, least.oauth_url),
        "there is none unless it is asked for"
    );
    assert_eq!(
        (full.keep_months, full.checkpoint_export),
        (least.keep_months, least.checkpoint_export)
    );
    assert_eq!(
        (
            full.cache_bytes,
            full.outbox_limit,
            full.log_filter,
            full.log_json
        ),
        (
            least.cache_bytes,
            least.outbox_limit,
            least.log_filter,
            least.log_json
        )
    );
}

#[test]
fn every_option_is_in_the_full_sample() {
    // Each key of the file's types, as they are spelt in the code.
    let source = [
        include_str!("file.rs"),
        include_str!("audit.rs"),
        include_str!("federation.rs"),
        include_str!("registry.rs"),
    ]
    .concat();
    let full = sample("taskpass.full.toml");
    let mut in_type = false;
    let keys = source
        .lines()
        .filter(|line| {
            in_type = (in_type || line.contains("struct ")) && *line != "}";
            in_type
        })
        .map(str::trim)
        .filter_map(|line| line.strip_suffix(','))
        .filter_map(|line| line.split_once(": Option<"))
        .map(|(key, _)| key.trim_start_matches("pub(super) "));
    for key in keys {
        assert!(
            full.contains(key),
            "config/taskpass.full.toml does not show `{key}`"
        );
    }
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = parse("data = \"d\"\n[key_encryption_key]\nfile = \"k\"").unwrap();
    assert_eq!(config.data, Path::new("/etc/taskpass/d"));
    assert_eq!(config.log_folder, Path::new("/etc/taskpass/d/audit"));
}

#[test]
fn what_is_wrong_is_named() {
    let with = |more: &str| parse(&format!("{LEAST}{more}")).map(drop).unwrap_err();
    for (more, expected) in [
        ("[issue]\ntoken_tll = \"5m\"", "token_tll"),
        ("[issue]\ntoken_ttl = \"2h\"", "issue.token_ttl"),
        ("[issue]\ntoken_ttl = \"0s\"", "issue.token_ttl"),
        ("[issue]\ntoken_ttl = \"5 parsecs\"", "5 parsecs"),
        ("[issue]\ntoken_ttl = 300", "token_ttl"),
        (
            "[limits.agent]\nlive_credentials = 10000001",
            "limits.agent.live_credentials",
        ),
        ("[limits.agent]\ndepth = 4", "limits.agent.depth"),
        ("[limits.owner]\nfan_out = -1", "fan_out"),
        ("[limits.target]\nlive_tasks = 1", "live_tasks"),
        (
            "[limits.uses]\nagent_items_per_minute = 1000001",
            "limits.uses.agent_items_per_minute",
        ),
        ("[limits.caller]\nstreams = 0", "limits.caller.streams"),
        (
            "[limits.all]\nrequests_per_second = 0",
            "limits.all.requests_per_second",
        ),
        (
            "[transport]\nconnections_per_address = 0",
            "transport.connections_per_address",
        ),
        ("[http]\nlisten = \"0.0.0.0:80\"", "behind_tls_proxy"),
        ("[http]\ncert = \"c.pem\"", "go together"),
        (
            "[http]\ncert = \"c\"\nkey = \"k\"\nbehind_tls_proxy = true",
            "not both",
        ),
        ("[grpc]\nnames = [\"a b\"]", "grpc.names"),
        ("[grpc]\nlisten = \"nowhere\"", "listen"),
        ("[oauth]\nlisten = \"0.0.0.0:1\"", "oauth.url"),
        ("[oauth]\nurl = \"https://b\"", "no `oauth.listen`"),
        (
            "[oauth]\nlisten = \"127.0.0.1:1\"\nurl = \"http://b\"",
            "oauth.url",
        ),
        (
            "[oauth]\nlisten = \"127.0.0.1:1\"\nurl = \"https://b/x\"",
            "oauth.url",
        ),
        (
            "[oauth]\nlisten = \"127.0.0.1:1\"\nurl = \"https://u@b\"",
            "oauth.url",
        ),
        ("[oauth]\nlisten = \"127.0.0.1:1\"\ncert = \"c\"", "cert"),
        ("[reaper]\ninterval = \"0s\"", "reaper.interval"),
        ("[registry]\npromotion = \"maybe\"", "registry.promotion"),
        (
            "[registry]\nsecond_operator = [\"read\"]",
            "registry.second_operator",
        ),
        ("[registry]\nsecond = []", "second"),
        ("[tasks]\nlost_after = \"4s\"", "tasks.lost_after"),
        ("[tasks]\nlost_after = \"301s\"", "tasks.lost_after"),
        ("[transport]\nstreams = 0", "transport.streams"),
        (
            "[transport]\nidle_timeout = \"900ms\"",
            "transport.idle_timeout",
        ),
        ("[audit]\noutbox_limit = 1", "audit.outbox_limit"),
        ("[audit]\ninterval = \"1001ms\"", "audit.interval"),
        ("[audit]\ninterval = \"1ms\"", "audit.interval"),
        ("[audit]\nkeep_months = 1", "audit.keep_months"),
        ("[audit]\nkeep_months = -1", "keep_months"),
        ("[audit.export]", "name a `file`"),
        ("[audit.export]\ncommand = []", "audit.export.command"),
        ("[audit.export]\ncommand = [\" \"]", "audit.export.command"),
        (
            "[audit.export]\ncommand = [\"a\", \"\\u0000\"]",
            "zero byte",
        ),
        ("[audit.export]\ncommand = \"a b\"", "command"),
        ("[audit.export]\nfile = \"..\"", "names no file"),
        (
            "[audit.export]\nfile = \"/var/lib/taskpass/audit/checkpoint\"",
            "not in the folder",
        ),
        (
            "[audit.export]\nfile = \"c\"\ninterval = \"999ms\"",
            "audit.export.interval",
        ),
        ("[audit.export]\nurl = \"x\"", "url"),
    ] {
        let message = with(more);
        assert!(message.contains(expected), "{more}: {message}");
    }
    let both = "data = \"d\"\n[key_encryption_key]\nfile = \"k\"\nenv = \"K\"";
    assert!(parse(both).unwrap_err().contains("exactly one"));
    assert!(
        parse("data = \"d\"")
            .unwrap_err()
            .contains("key_encryption_key")
    );
}

#[test]
fn checkpoints_go_where_it_says() {
    let config = parse(&format!(
        "{LEAST}[audit]\nkeep_months = 2\n[audit.export]\nfile = \"c\"\n\
         command = [\"sink\", \"-q\"]\ninterval = \"1s\""
    ))
    .unwrap();
    assert_eq!(config.keep_months, Some(2));
    let export = config.checkpoint_export;
    assert_eq!(export.file.as_deref(), Some(Path::new("/etc/taskpass/c")));
    assert_eq!(export.command.unwrap(), ["sink", "-q"]);
    assert_eq!(export.interval, Duration::from_secs(1));
}

const JWT: &str = "[[federation.jwt]]\nname = \"ci\"\nissuer = \"https://i\"\naudience = \"a\"\n\
                   algorithms = [\"RS256\"]\njwks_file = \"j\"\n";
const SPIFFE: &str =
    "[[federation.spiffe]]\ntrust_domain = \"prod.example\"\nbundle_file = \"b\"\n";

fn claims(text: &str) -> String {
    format!("[[federation.jwt.rule]]\nagent = \"bot\"\nclaims = {{ {text} }}\n")
}

fn spiffe_id(text: &str) -> String {
    format!("[[federation.spiffe.rule]]\nagent = \"bot\"\nspiffe_id = {text}\n")
}

#[test]
fn whom_the_broker_believes() {
    let kubernetes = claims(
        "sub = \"system:serviceaccount:prod:invoice\", \"/kubernetes.io/namespace\" = \"prod\"",
    );
    let id = spiffe_id("{ prefix = \"spiffe://prod.example/ns/a/\" }");
    let unix = "[unix]\nlisten = \"agent.sock\"\n[[unix.rule]]\nagent = \"bot\"\nuid = 7\n";
    let config = parse(&format!("{LEAST}{JWT}{kubernetes}{SPIFFE}{id}{unix}")).unwrap();
    assert_eq!(config.federation.jwt[0].trust.issuer(), "https://i");
    assert_eq!(
        config.federation.svid[0].bundle,
        Path::new("/etc/taskpass/b")
    );
    let socket = config.unix.unwrap();
    assert_eq!(socket.path, Path::new("/etc/taskpass/agent.sock"));
    assert_eq!(socket.mode, 0o660);
    let none = parse(LEAST).unwrap();
    assert!(none.unix.is_none() && none.federation.jwt.is_empty());
}

#[test]
fn whom_it_must_not_believe() {
    let with = |more: &str| parse(&format!("{LEAST}{more}")).map(drop).unwrap_err();
    let good = claims("repository_id = \"1\"");
    let jwt = |old: &str, new: &str| format!("{}{good}", JWT.replace(old, new));
    let unix = |more: &str| format!("[unix]\nlisten = \"s\"\n{more}");
    for (more, expected) in [
        (jwt("RS256", "HS256"), "HS256"),
        (jwt("RS256", "none"), "none"),
        (jwt("\"RS256\"", ""), "algorithms"),
        (jwt("https://i", "https://*.i"), "issuer"),
        (jwt("= \"a\"", "= \"\""), "audience"),
        (jwt("jwks_file", "jwks"), "jwks"),
        (jwt("jwks_file = \"j\"", ""), "exactly one"),
        (jwt("jwks_file", "ca_file = \"c\"\njwks_file"), "ca_file"),
        (
            jwt("jwks_file", "jwks_url = \"u\"\njwks_file"),
            "exactly one",
        ),
        (jwt("jwks_file", "max_age = \"2h\"\njwks_file"), "max_age"),
        (JWT.to_owned(), "at least one"),
        (
            format!(
                "{JWT}{}",
                claims("sub = \"repo:a/*\", repository_id = \"1\"")
            ),
            "wildcard",
        ),
        (format!("{JWT}{}", claims("sub = \"\"")), "claims.sub"),
        (format!("{JWT}{}", claims("sub = 7")), "prefix"),
        (
            format!("{JWT}{}", claims("sub = { suffix = \"a\" }")),
            "prefix",
        ),
        (
            format!("{JWT}{}", claims("sub = { prefix = \"a\" }")),
            "must end",
        ),
        (
            format!("{JWT}{}", claims("repository = \"a/b\"")),
            "says who it is",
        ),
        (
            format!("{JWT}{}", claims("sub = \"repo:a/b:x\"")),
            "repository_id",
        ),
        (format!("{JWT}{good}{good}"), "demand the same"),
        (SPIFFE.to_owned(), "at least one"),
        (
            format!("{SPIFFE}{}", spiffe_id("\"spiffe://other.example/a\"")),
            "prod.example",
        ),
        (
            format!(
                "{SPIFFE}{}",
                spiffe_id("{ prefix = \"spiffe://prod.example/\" }")
            ),
            "prod.example",
        ),
        (unix(""), "at least one"),
        ("[unix]\nmode = \"0600\"".to_owned(), "unix.listen"),
        (
            unix("mode = \"0777\"\n[[unix.rule]]\nagent = \"a\"\nuid = 1"),
            "unix.mode",
        ),
        (
            unix("[[unix.rule]]\nagent = \"a\"\nexecutable = \"/a\""),
            "uid",
        ),
        (
            unix("[[unix.rule]]\nagent = \"A b\"\nuid = 1"),
            "rule.agent",
        ),
        (
            unix("[[unix.rule]]\nagent = \"a\"\nuid = 1\nexecutable = \"a\""),
            "rule.executable",
        ),
    ] {
        let message = with(&more);
        assert!(message.contains(expected), "{more}: {message}");
    }
}
