//! What the last drill of the kill switch measured.

use taskpass_broker::metrics::Metrics;

use super::page::Page;

pub(super) fn drill(page: &mut Page, metrics: &Metrics) {
    page.counter(
        "taskpass_drills_total",
        "Drills of the kill switch.",
        metrics.drills.get(),
    );
    page.gauge(
        "taskpass_drill_silent",
        "Streams that did not confirm in the last drill.",
        metrics.drill_silent.get(),
    );
    page.gauge(
        "taskpass_drill_microseconds",
        "Until everybody who confirmed refused, in the last drill.",
        metrics.drill_micros.get(),
    );
}
