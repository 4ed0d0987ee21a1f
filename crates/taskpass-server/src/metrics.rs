//! Metrics in Prometheus' text format. Names and meanings: `docs/METRICS.md`.

mod drill;
mod page;
mod uses;

use std::fmt::Write as _;

use taskpass_broker::{Broker, Limit};
use taskpass_core::key::{KeyPurpose, KeyState};
use taskpass_issuer::rotation;

use crate::export::ExportState;
use crate::oauth::{Counts, Endpoint, OUTCOMES};
use crate::ops::Health;
use page::{Page, seconds};

/// The page.
pub(crate) fn render(health: &Health) -> String {
    let broker = &health.broker;
    let mut page = Page(String::with_capacity(8 * 1024));
    requests(&mut page, broker);
    ties(&mut page, broker);
    uses::uses(&mut page, broker);
    store(&mut page, broker);
    limits(&mut page, health);
    oauth(&mut page, &health.oauth);
    attestations(&mut page, &health.attestations);
    log(&mut page, broker, &health.export);
    feed(&mut page, broker);
    keys(&mut page, broker);
    rotation(&mut page, broker);
    page.0
}

fn attestations(page: &mut Page, counts: &crate::federation::Counts) {
    page.head(
        "taskpass_attestations_total",
        "counter",
        "Attempts to prove a caller by the word of others, by method and outcome.",
    );
    for (method, attempts) in counts.methods() {
        for (outcome, count) in attempts.read() {
            let _ = writeln!(
                page.0,
                "taskpass_attestations_total{{method=\"{method}\",outcome=\"{outcome}\"}} {count}"
            );
        }
    }
}

/// Tasks that live only as long as their process.
fn ties(page: &mut Page, broker: &Broker) {
    let metrics = broker.metrics();
    page.counter(
        "taskpass_tasks_lost_total",
        "Tasks that ended because their process was gone.",
        metrics.tasks_lost.get(),
    );
    let (tied, away) = broker.tied_tasks();
    page.gauge(
        "taskpass_tied_tasks",
        "Tasks that live only as long as their process.",
        u64::try_from(tied).unwrap_or(u64::MAX),
    );
    page.gauge(
        "taskpass_tied_tasks_away",
        "Of those, the ones whose process is away now.",
        u64::try_from(away).unwrap_or(u64::MAX),
    );
    page.gauge(
        "taskpass_keep_alive_streams",
        "Streams that keep tasks alive now.",
        metrics.keep_alive_streams.get(),
    );
}

fn requests(page: &mut Page, broker: &Broker) {
    let metrics = broker.metrics();
    page.head(
        "taskpass_issued_total",
        "counter",
        "Credentials issued, by kind.",
    );
    for (kind, count) in [
        ("token", &metrics.tokens),
        ("certificate", &metrics.certificates),
    ] {
        let _ = writeln!(
            page.0,
            "taskpass_issued_total{{kind=\"{kind}\"}} {}",
            count.get()
        );
    }
    page.counter(
        "taskpass_tasks_started_total",
        "Tasks started.",
        metrics.tasks.get(),
    );
    page.counter(
        "taskpass_denied_total",
        "Requests denied.",
        metrics.denials.get(),
    );
    page.counter(
        "taskpass_would_deny_total",
        "Allowed only because the target is observed.",
        metrics.would_deny.get(),
    );
    page.counter(
        "taskpass_revocations_total",
        "Revocation rules made.",
        metrics.revocations.get(),
    );
    page.counter(
        "taskpass_decided_again_total",
        "Decisions made again because the registry changed in between.",
        metrics.decided_again.get(),
    );
    page.head(
        "taskpass_policy_reloads_total",
        "counter",
        "Changed policy sets, by what became of them.",
    );
    for (outcome, count) in [
        ("in_force", &metrics.policy_loads),
        ("refused", &metrics.policy_refusals),
    ] {
        let _ = writeln!(
            page.0,
            "taskpass_policy_reloads_total{{outcome=\"{outcome}\"}} {}",
            count.get()
        );
    }
    page.head(
        "taskpass_introspections_total",
        "counter",
        "Introspections, by answer.",
    );
    for (answer, count) in [
        ("active", &metrics.introspected_active),
        ("inactive", &metrics.introspected_inactive),
    ] {
        let _ = writeln!(
            page.0,
            "taskpass_introspections_total{{answer=\"{answer}\"}} {}",
            count.get()
        );
    }
    page.histogram(
        "taskpass_issue_seconds",
        "From the request to the durable credential.",
        &metrics.issue,
    );
    page.histogram(
        "taskpass_revoke_seconds",
        "From the request to the durable rule.",
        &metrics.revoke,
    );
    page.head(
        "taskpass_reaped_total",
        "counter",
        "Expired rows removed, by what they were.",
    );
    for (what, count) in [
        ("credential", &metrics.reaped_credentials),
        ("task", &metrics.reaped_tasks),
        ("rule", &metrics.pruned_rules),
    ] {
        let _ = writeln!(
            page.0,
            "taskpass_reaped_total{{what=\"{what}\"}} {}",
            count.get()
        );
    }
}

fn limits(page: &mut Page, health: &Health) {
    page.head(
        "taskpass_limited_total",
        "counter",
        "Requests refused because a limit was reached, by limit.",
    );
    let counts = &health.broker.metrics().limited;
    for (limit, count) in Limit::ALL.iter().zip(counts) {
        let _ = writeln!(
            page.0,
            "taskpass_limited_total{{limit=\"{}\"}} {}",
            limit.as_str(),
            count.get()
        );
    }
    page.counter(
        "taskpass_connections_refused_total",
        "Connections closed because their address had too many.",
        health.refused_connections.get(),
    );
    page.counter(
        "taskpass_requests_refused_total",
        "Requests refused because as many ran as may at one time.",
        health.refused_requests.get(),
    );
}

fn oauth(page: &mut Page, counts: &Counts) {
    page.head(
        "taskpass_oauth_requests_total",
        "counter",
        "Answers of the OAuth front, by endpoint and outcome.",
    );
    for endpoint in Endpoint::ALL {
        for (outcome, count) in OUTCOMES.iter().zip(counts.of(endpoint)) {
            let _ = writeln!(
                page.0,
                "taskpass_oauth_requests_total{{endpoint=\"{}\",outcome=\"{outcome}\"}} {}",
                endpoint.word(),
                count.get()
            );
        }
    }
}

fn log(page: &mut Page, broker: &Broker, export: &ExportState) {
    let (metrics, stats) = (broker.metrics(), broker.store_stats());
    page.gauge(
        "taskpass_outbox_entries",
        "Audit entries waiting for the log.",
        stats.outbox,
    );
    page.gauge(
        "taskpass_outbox_limit",
        "Audit entries that may wait before issuing stops.",
        stats.outbox_limit,
    );
    page.gauge(
        "taskpass_disk_full",
        "1 while the store's disk is nearly full and nothing is issued.",
        u64::from(stats.disk_full),
    );
    page.counter(
        "taskpass_archived_entries_total",
        "Audit entries moved from the outbox to the log.",
        metrics.archived.get(),
    );
    page.counter(
        "taskpass_log_checkpoints_total",
        "Checkpoints published.",
        metrics.checkpoints.get(),
    );
    page.gauge(
        "taskpass_log_entries",
        "Entries of the current log under its newest checkpoint.",
        metrics.log_size.get(),
    );
    page.counter(
        "taskpass_log_failures_total",
        "Times that the log could not be written.",
        metrics.log_failures.get(),
    );
    page.gauge(
        "taskpass_checkpoint_exported_size",
        "Entries under the checkpoint that was exported last.",
        export.exported_size.get(),
    );
    page.counter(
        "taskpass_checkpoint_export_failures_total",
        "Exports of a checkpoint that failed.",
        export.failures.get(),
    );
    page.counter(
        "taskpass_checkpoint_export_conflicts_total",
        "Times that the exported checkpoint was found not to be in the log.",
        export.conflicts.get(),
    );
}

fn store(page: &mut Page, broker: &Broker) {
    let stats = broker.store_stats();
    page.counter("taskpass_commits_total", "Commits made.", stats.commits);
    page.counter(
        "taskpass_commit_groups_total",
        "Groups of commits written; commits divided by groups is the group size.",
        stats.groups,
    );
    page.head(
        "taskpass_commit_group_seconds_total",
        "counter",
        "Time spent writing groups.",
    );
    let _ = writeln!(
        page.0,
        "taskpass_commit_group_seconds_total {}",
        seconds(stats.total_group_micros)
    );
    page.gauge(
        "taskpass_last_group_commits",
        "Commits in the last group.",
        stats.last_group,
    );
    page.gauge(
        "taskpass_last_group_microseconds",
        "How long the last group took.",
        stats.last_group_micros,
    );
    page.gauge("taskpass_commits_queued", "Commits waiting.", stats.queued);
    page.gauge(
        "taskpass_live_credentials",
        "Unexpired credentials, an upper bound on the live ones.",
        stats.live_credentials,
    );
    page.gauge(
        "taskpass_store_bytes",
        "Size of the store's file.",
        stats.file_bytes,
    );
}

fn feed(page: &mut Page, broker: &Broker) {
    let metrics = broker.metrics();
    let (rules, seq) = broker.rules_in_force();
    page.gauge(
        "taskpass_rules",
        "Revocation rules in force.",
        u64::try_from(rules).unwrap_or(u64::MAX),
    );
    page.gauge(
        "taskpass_revocation_seq",
        "The newest revocation's place.",
        seq,
    );
    page.head(
        "taskpass_lists_signed_total",
        "counter",
        "Lists of what was revoked that were signed, by kind.",
    );
    for (kind, count) in [
        ("status", &metrics.signed_status_lists),
        ("crl", &metrics.signed_crls),
    ] {
        let _ = writeln!(
            page.0,
            "taskpass_lists_signed_total{{kind=\"{kind}\"}} {}",
            count.get()
        );
    }
    page.counter(
        "taskpass_list_blocks_leased_total",
        "Blocks of places on the lists that were leased.",
        metrics.leased_blocks.get(),
    );
    page.gauge(
        "taskpass_lists_behind_seconds",
        "How old the newest rules may be that the lists do not contain yet.",
        broker.lists_behind().as_secs(),
    );
    page.gauge(
        "taskpass_feed_subscribers",
        "Streams of the revocation feed.",
        metrics.feed_subscribers.get(),
    );
    page.gauge(
        "taskpass_feed_lag",
        "Rules that the subscriber last looked at has not been told.",
        metrics.feed_lag.get(),
    );
    drill::drill(page, metrics);
    page.gauge(
        "taskpass_clock_safe",
        "Whether the clock is trusted for issuing: 1 or 0.",
        u64::from(broker.clock_is_safe()),
    );
    page.gauge(
        "taskpass_sealed",
        "Whether the broker came out of a backup and nobody has unsealed it: 1 or 0.",
        u64::from(broker.sealed_at().is_some()),
    );
}

fn keys(page: &mut Page, broker: &Broker) {
    let now = broker.now();
    page.head(
        "taskpass_key_age_seconds",
        "gauge",
        "Age of each active signing key, by purpose.",
    );
    for key in broker.issuer().key_views() {
        if key.state == KeyState::Active {
            let since = key.activated_at.unwrap_or(key.created_at);
            let _ = writeln!(
                page.0,
                "taskpass_key_age_seconds{{purpose=\"{}\"}} {}",
                key.purpose,
                now.since(since).as_secs()
            );
        }
    }
}

fn rotation(page: &mut Page, broker: &Broker) {
    let now = broker.now();
    let issuer = broker.issuer();
    page.head(
        "taskpass_key_rotates_in_seconds",
        "gauge",
        "Time until the next key takes over; -1 if none is prepared.",
    );
    for purpose in KeyPurpose::ALL {
        if rotation::period(*purpose).is_none() {
            continue;
        }
        let left = match issuer.takes_over_at(*purpose, now) {
            Some(at) => at.since(now).as_secs().to_string(),
            None => "-1".to_owned(),
        };
        let _ = writeln!(
            page.0,
            "taskpass_key_rotates_in_seconds{{purpose=\"{purpose}\"}} {left}"
        );
    }
    page.counter(
        "taskpass_key_steps_total",
        "Steps in the life of keys that were due and done.",
        broker.metrics().key_steps.get(),
    );
}

#[cfg(test)]
mod tests {
    use taskpass_broker::metrics::Histogram;

    use super::*;

    #[test]
    fn seconds_keep_their_leading_zeros() {
        assert_eq!(seconds(250), "0.000250");
        assert_eq!(seconds(2_500_000), "2.500000");
    }

    #[test]
    fn a_histogram_ends_with_infinity() {
        let mut page = Page(String::new());
        let histogram = Histogram::default();
        histogram.record(std::time::Duration::from_micros(200));
        page.histogram("x", "help", &histogram);
        assert!(page.0.contains("x_bucket{le=\"0.000250\"} 1\n"));
        assert!(page.0.contains("x_bucket{le=\"+Inf\"} 1\n"));
        assert!(page.0.ends_with("x_sum 0.000200\nx_count 1\n"));
    }

    #[test]
    fn every_metric_is_documented() {
        const PREFIX: &str = "taskpass_";
        let source = [include_str!("metrics.rs"), include_str!("metrics/uses.rs")].concat();
        let documented = include_str!("../../../docs/METRICS.md");
        let names = source
            .split('"')
            .filter(|text| text.starts_with(PREFIX) && *text != PREFIX)
            .filter(|text| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        for name in names {
            assert!(
                documented.contains(&format!("`{name}`")),
                "docs/METRICS.md lacks `{name}`"
            );
        }
    }
}
