//! Threads that load cannot fill.
//!
//! A request takes several turns of its runtime: for its bytes, for its handler, for the answer of the
//! store. Each time it waits behind everything else that is ready to run there, which under load is
//! hundreds of requests. So those who must be heard then take their turns elsewhere:
//!
//! - `operators`: connections of operators, for what is called to revoke.
//! - `ops`: health and metrics over HTTP, which ask nobody who they are: nothing that operators wait for.
//! - `door`: accepting, handshakes, and whoever showed no certificate: enrolment, and health over gRPC.
//!
//! Everything else runs where the server was started, also what an operator calls beside that. Nothing
//! is bounded here: that is the gate's. The room that revocations have in the store is the store's.

use std::io;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};

/// One thread of the door for so many CPUs.
const CPUS_A_DOOR_THREAD: usize = 4;

/// The runtimes of a server.
#[derive(Debug)]
pub(crate) struct Lanes {
    work: Handle,
    operators: Reserved,
    ops: Reserved,
    door: Reserved,
}

/// A runtime that ends with this, without waiting: it is dropped where waiting is forbidden.
#[derive(Debug)]
struct Reserved(Option<Runtime>, Handle);

impl Lanes {
    /// Starts the threads. Where this is called is where the work is done.
    pub(crate) fn start() -> io::Result<Self> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            work: Handle::current(),
            operators: Reserved::start("taskpass-operators", 1)?,
            ops: Reserved::start("taskpass-ops", 1)?,
            door: Reserved::start("taskpass-door", cpus.div_ceil(CPUS_A_DOOR_THREAD))?,
        })
    }

    /// Where requests are worked on.
    pub(crate) const fn work(&self) -> &Handle {
        &self.work
    }

    /// Where operators are heard.
    pub(crate) const fn operators(&self) -> &Handle {
        &self.operators.1
    }

    /// Where health and metrics are asked for.
    pub(crate) const fn ops(&self) -> &Handle {
        &self.ops.1
    }

    /// Where connections are accepted.
    pub(crate) const fn door(&self) -> &Handle {
        &self.door.1
    }
}

impl Reserved {
    fn start(name: &str, threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The same listener, woken by another runtime: one that is busy with work would be late.
pub(crate) fn moved(listener: TcpListener, to: &Handle) -> io::Result<TcpListener> {
    let listener = listener.into_std()?;
    let _entered = to.enter();
    TcpListener::from_std(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    /// On a runtime whose only thread is never free, a listener that was moved answers all the same.
    #[test]
    fn who_is_elsewhere_does_not_wait_for_the_busy() {
        let mut busy = Builder::new_multi_thread();
        let busy = busy.worker_threads(1).enable_all().build().unwrap();
        let (lanes, listener) = busy.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (Lanes::start().unwrap(), listener)
        });
        let at = listener.local_addr().unwrap();
        let listener = {
            let _entered = busy.enter();
            moved(listener, lanes.operators()).unwrap()
        };
        lanes.operators().spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"here").await.unwrap();
        });
        let (free, held) = std::sync::mpsc::channel::<()>();
        lanes.work().spawn(async move {
            let _ = held.recv();
        });
        let said = lanes.door().block_on(async {
            let heard = async {
                let mut said = String::new();
                let mut stream = TcpStream::connect(at).await.unwrap();
                stream.read_to_string(&mut said).await.unwrap();
                said
            };
            tokio::time::timeout(Duration::from_secs(10), heard).await
        });
        drop(free);
        assert_eq!(said.unwrap(), "here");
    }

    /// Whoever asks for metrics without end keeps no operator waiting.
    #[tokio::test]
    async fn operators_share_no_thread_with_whoever_asks_for_metrics() {
        let lanes = Lanes::start().unwrap();
        let (free, held) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        lanes.ops().spawn(async move {
            let _ = begun.send(());
            let _ = held.recv();
        });
        has_begun.await.unwrap();
        let heard = lanes.operators().spawn(async {});
        let heard = tokio::time::timeout(Duration::from_secs(10), heard).await;
        drop(free);
        heard.unwrap().unwrap();
    }

    /// As the last of a server goes within one of its own tasks.
    #[tokio::test]
    async fn lanes_may_end_within_a_runtime() {
        let lanes = Lanes::start().unwrap();
        let operators = lanes.operators().clone();
        operators.spawn(async move { drop(lanes) }).await.unwrap();
        assert!(operators.spawn(async {}).await.is_err(), "it has ended");
    }
}
