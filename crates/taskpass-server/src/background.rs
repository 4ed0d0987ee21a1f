//! What runs beside the requests: the reaper, the archiver and what follows its checkpoints, the
//! settling of rules, the end of tasks whose process is gone, the rotation of keys, changed policies, and the renewal of the server's own certificate.
//!
//! A step that fails is logged and tried again at its next turn; none of them is what makes a
//! credential refused.

mod federation;
mod lists;
mod policies;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use taskpass_broker::{Archiver, AuditLog, Broker, Error};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::export::Exporter;
use crate::ops::Health;
use crate::pressure;
use crate::settings::Settings;
use crate::tls::{ControlTls, FileTls};

pub(crate) use federation::spawn as watch_federation;
pub(crate) use policies::spawn as watch_policies;

/// How often the server's certificate and the denials' windows are looked at.
const SLOW: Duration = Duration::from_secs(10);

/// Starts everything that runs in the background.
pub(crate) fn spawn(
    health: &Arc<Health>,
    tls: Arc<ControlTls>,
    archiver: Archiver,
    settings: &Settings,
    stop: &CancellationToken,
    tracker: &TaskTracker,
) {
    let broker = &health.broker;
    tracker.spawn(reap(
        Arc::clone(broker),
        settings.reap_interval,
        stop.clone(),
    ));
    lists::spawn(broker, stop, tracker);
    tracker.spawn(settle(Arc::clone(broker), stop.clone()));
    tracker.spawn(lose(Arc::clone(broker), stop.clone()));
    tracker.spawn(rotate(Arc::clone(broker), stop.clone()));
    tracker.spawn(upkeep(Arc::clone(broker), tls, stop.clone()));
    tracker.spawn(pressure::watch(Arc::clone(broker), stop.clone()));
    tracker.spawn(index(archiver.log(), stop.clone()));
    let exporter = Exporter {
        to: settings.checkpoint_export.clone(),
        log: archiver.log(),
        state: Arc::clone(&health.export),
        keep_months: settings.keep_months,
    };
    // Set when the archiver has ended, in whatever way.
    let written = CancellationToken::new();
    tracker.spawn(exporter.run(stop.clone(), written.clone()));
    tracker.spawn(archive(
        Arc::clone(health),
        archiver,
        settings.archive_interval,
        stop.clone(),
        written.drop_guard(),
    ));
}

/// Waits for the next turn; `false` when it is time to stop.
async fn turn(ticks: &mut tokio::time::Interval, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        _ = ticks.tick() => true,
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn complain(what: &str, error: &Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}

async fn reap(broker: Arc<Broker>, period: Duration, stop: CancellationToken) {
    let mut ticks = every(period);
    while turn(&mut ticks, &stop).await {
        if let Err(error) = broker.reap().await {
            complain("reaping failed", &error);
        }
    }
}

/// Records what rules have ended, as they are made.
async fn settle(broker: Arc<Broker>, stop: CancellationToken) {
    let mut newest = broker.watch_rules();
    let mut retry = every(Duration::from_secs(1));
    loop {
        if let Err(error) = broker.settle().await {
            complain("settling rules failed", &error);
            if turn(&mut retry, &stop).await {
                continue;
            }
            return;
        }
        if !changed(&mut newest, &stop).await {
            return;
        }
    }
}

/// Waits for something newer; `false` when it is time to stop.
async fn changed<T>(newest: &mut watch::Receiver<T>, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        changed = newest.changed() => changed.is_ok(),
    }
}

/// Ends the tasks whose process is gone.
async fn lose(broker: Arc<Broker>, stop: CancellationToken) {
    let mut ticks = every(Duration::from_secs(1));
    while turn(&mut ticks, &stop).await {
        if let Err(error) = broker.end_lost().await {
            complain("a task whose process is gone could not be ended", &error);
        }
    }
}

/// Does what is due to the signing keys.
async fn rotate(broker: Arc<Broker>, stop: CancellationToken) {
    let mut ticks = every(SLOW);
    while turn(&mut ticks, &stop).await {
        if let Err(error) = broker.rotate_due().await {
            complain("the keys could not be rotated", &error);
        }
    }
}

/// Reads the public listener's certificate again, on schedule and when told to.
pub(crate) async fn reread(tls: Arc<FileTls>, told: Arc<Notify>, stop: CancellationToken) {
    let mut ticks = every(SLOW);
    loop {
        tokio::select! {
            () = told.notified() => {}
            going_on = turn(&mut ticks, &stop) => {
                if !going_on {
                    return;
                }
            }
        }
        let files = Arc::clone(&tls);
        match tokio::task::spawn_blocking(move || files.refresh()).await {
            Ok(Ok(true)) => tracing::info!("the public listener has a new certificate"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the public listener's certificate files cannot be used; the one before stays"
                );
            }
            Err(error) => tracing::error!(%error, "reading the certificate files was cut off"),
        }
    }
}

async fn upkeep(broker: Arc<Broker>, tls: Arc<ControlTls>, stop: CancellationToken) {
    let mut keys = broker.watch_keys();
    let mut ticks = every(SLOW);
    loop {
        // Whom we accept, and by whom we are certified, follows the keys at once.
        let keys_changed = tokio::select! {
            going_on = turn(&mut ticks, &stop) => {
                if !going_on {
                    return;
                }
                false
            }
            changed = keys.changed() => changed.is_ok(),
        };
        if !keys_changed && let Err(error) = broker.record_counted_denials().await {
            complain("counted denials could not be recorded", &error);
        }
        if keys_changed || tls.is_due() {
            match tls.renew(&broker) {
                Ok(()) => tracing::info!("the server's certificate was renewed"),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the server's certificate could not be renewed"
                    );
                }
            }
        }
    }
}

/// Summarises the log for queries, as it grows. Without it queries are slower, and nothing else.
async fn index(log: Arc<AuditLog>, stop: CancellationToken) {
    let mut newest = log.watch();
    let mut failing = false;
    loop {
        newest.mark_unchanged();
        let indexed = tokio::select! {
            () = stop.cancelled() => return,
            indexed = log.index() => indexed,
        };
        match indexed {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                complain("the audit log could not be summarised for queries", &error);
                failing = true;
            }
            Err(_) => {}
        }
        if !changed(&mut newest, &stop).await {
            return;
        }
    }
}

/// Moves entries to the log; once more after everything else has stopped.
async fn archive(
    health: Arc<Health>,
    mut archiver: Archiver,
    period: Duration,
    stop: CancellationToken,
    _written: DropGuard,
) {
    let mut ticks = every(period);
    while turn(&mut ticks, &stop).await {
        drain(&health, &mut archiver).await;
    }
    if let Err(error) = health.broker.record_all_denials().await {
        complain("counted denials could not be recorded", &error);
    }
    if let Err(error) = health.broker.record_stop().await {
        complain("the stop could not be recorded", &error);
    }
    drain(&health, &mut archiver).await;
}

async fn drain(health: &Health, archiver: &mut Archiver) {
    match archiver.drain().await {
        Ok(_) => {
            if health.log_failing.swap(false, Ordering::Relaxed) {
                tracing::info!("the audit log is written again");
            }
        }
        Err(error) => {
            if !health.log_failing.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the audit log cannot be written; issuing stops when the outbox is full"
                );
            }
        }
    }
}
