//! What runs beside the requests: the reaper, the archiver, the settling of rules, and the renewal
//! of the server's own certificate.
//!
//! A step that fails is logged and tried again at its next turn; none of them is what makes a
//! credential refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use taskpass_broker::{Archiver, Broker, Error};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ops::Health;
use crate::settings::Settings;
use crate::tls::ControlTls;

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
    tracker.spawn(list(Arc::clone(broker), stop.clone()));
    tracker.spawn(settle(Arc::clone(broker), stop.clone()));
    tracker.spawn(upkeep(Arc::clone(broker), tls, stop.clone()));
    tracker.spawn(archive(
        Arc::clone(health),
        archiver,
        settings.archive_interval,
        stop.clone(),
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

/// Puts revoked certificates onto their lists as rules are made; after an error, again.
async fn list(broker: Arc<Broker>, stop: CancellationToken) {
    let mut newest = broker.watch_rules();
    let mut retry = every(Duration::from_secs(1));
    let mut listed = 0;
    loop {
        match broker.list_revoked(listed).await {
            Ok(reached) => listed = reached,
            Err(error) => {
                complain("the certificate lists could not be derived", &error);
                if turn(&mut retry, &stop).await {
                    continue;
                }
                return;
            }
        }
        if !changed(&mut newest, &stop).await {
            return;
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

/// Waits for a newer rule; `false` when it is time to stop.
async fn changed(newest: &mut tokio::sync::watch::Receiver<u64>, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        changed = newest.changed() => changed.is_ok(),
    }
}

async fn upkeep(broker: Arc<Broker>, tls: Arc<ControlTls>, stop: CancellationToken) {
    let mut ticks = every(SLOW);
    while turn(&mut ticks, &stop).await {
        if let Err(error) = broker.record_counted_denials().await {
            complain("counted denials could not be recorded", &error);
        }
        if tls.is_due() {
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

/// Moves entries to the log; once more after everything else has stopped.
async fn archive(
    health: Arc<Health>,
    mut archiver: Archiver,
    period: Duration,
    stop: CancellationToken,
) {
    let mut ticks = every(period);
    while turn(&mut ticks, &stop).await {
        drain(&health, &mut archiver).await;
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
