//! Runtimes for a server, for those who load it, and for those who only look: each on its own CPUs.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::cpus::{self, Cpus};
use crate::error::BenchError;
use crate::house::Surroundings;
use crate::machine;

/// The runtimes; they end with it.
pub(super) struct Site {
    /// Whether server and callers have CPUs of their own.
    pub(super) apart: bool,
    ground: Ground,
    server: Option<Runtime>,
    others: [Option<Runtime>; 2],
}

/// What is measured on.
#[derive(Clone)]
pub(super) struct Ground {
    /// With the callers' runtime for clients.
    pub(super) around: Surroundings,
    /// Where those are who only look: what they feel is not what the callers' runtime is late by.
    pub(super) probes: Handle,
}

impl Site {
    pub(super) fn build(around: &Surroundings) -> Result<Self, BenchError> {
        let halves = cpus::halves();
        let (server, callers) = match &halves {
            Some((server, callers)) => (Some(server), Some(callers)),
            None => (None, None),
        };
        let threads = |cpus: Option<&Cpus>| cpus.map_or_else(machine::cores, Cpus::count);
        let server = runtime("bench-server", threads(server), server.cloned())?;
        let loading = runtime("bench-flood", threads(callers), callers.cloned())?;
        let probes = runtime("bench-probes", 1, callers.cloned())?;
        let ground = Ground {
            around: Surroundings {
                clients: loading.handle().clone(),
                ..around.clone()
            },
            probes: probes.handle().clone(),
        };
        Ok(Self {
            apart: halves.is_some(),
            ground,
            server: Some(server),
            others: [Some(loading), Some(probes)],
        })
    }

    /// Does it where the server's CPUs are.
    pub(super) async fn run<F, T>(&self, what: impl FnOnce(Ground) -> F) -> Result<T, BenchError>
    where
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
        T: Send + 'static,
    {
        const RUN: &str = "run a broker on its own CPUs";
        let server = self.server.as_ref();
        let server = server.ok_or_else(|| BenchError::setup(RUN)("it has ended"))?;
        let measuring = server.spawn(what(self.ground.clone()));
        measuring.await.map_err(BenchError::setup(RUN))?
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A runtime cannot be waited for inside another one.
        let all =
            std::iter::once(self.server.take()).chain(self.others.each_mut().map(Option::take));
        for runtime in all.flatten() {
            runtime.shutdown_background();
        }
    }
}

fn runtime(name: &str, threads: usize, cpus: Option<Cpus>) -> Result<Runtime, BenchError> {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .thread_name(name)
        .enable_all();
    if let Some(cpus) = cpus {
        builder.on_thread_start(move || cpus.pin());
    }
    builder.build().map_err(BenchError::setup("start threads"))
}
