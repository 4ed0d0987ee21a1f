//! Metrics of what verifiers and agents report that credentials were used for.

use std::fmt::Write as _;

use taskpass_broker::Broker;

use super::page::Page;

/// What verifiers and agents report that credentials were used for.
pub(super) fn uses(page: &mut Page, broker: &Broker) {
    let metrics = broker.metrics();
    page.head(
        "taskpass_use_batches_total",
        "counter",
        "Reports of what credentials were used for, by what became of them.",
    );
    for (outcome, count) in [
        ("recorded", &metrics.use_batches),
        ("repeated", &metrics.use_batches_repeated),
    ] {
        let _ = writeln!(
            page.0,
            "taskpass_use_batches_total{{outcome=\"{outcome}\"}} {}",
            count.get()
        );
    }
    page.head(
        "taskpass_use_items_total",
        "counter",
        "Items of these reports, by what became of them.",
    );
    for (outcome, count) in [
        ("recorded", &metrics.uses_recorded),
        ("unknown", &metrics.uses_unknown),
        ("late", &metrics.uses_late),
        ("refused", &metrics.uses_refused),
    ] {
        let _ = writeln!(
            page.0,
            "taskpass_use_items_total{{outcome=\"{outcome}\"}} {}",
            count.get()
        );
    }
    page.counter(
        "taskpass_uses_lost_total",
        "Uses that verifiers saw and could not report.",
        metrics.uses_lost.get(),
    );
}
