//! A run: floors, then each part, then the floors again.

use std::sync::Arc;

use taskpass_core::Clock;
use taskpass_core::access::TokenAlg;
use taskpass_core::rng::Rng;

use crate::error::BenchError;
use crate::house::{Form, House, Surroundings};
use crate::load::Load;
use crate::outcome::{FloorCall, Outcome, Twice};
use crate::plan::{Plan, Section};
use crate::progress::Progress;
use crate::section;
use crate::sign::Signers;
use crate::station::{Station, Work};
use crate::{floor, machine};

/// A run on its way.
pub(crate) struct Bench<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) around: Surroundings,
    pub(crate) outcome: Outcome,
}

/// What the floors were at one time.
struct Floor {
    commit: f64,
    sync: f64,
    es256: f64,
    eddsa: f64,
}

/// Measures what `plan` says, on a broker of its own.
pub async fn run(
    plan: &Plan,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    progress: &Progress,
) -> Result<Outcome, BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(machine::cores())
        .thread_name("bench-clients")
        .enable_all()
        .build()
        .map_err(BenchError::setup("start the clients"))?;
    let around = Surroundings {
        signers: Arc::new(Signers::new(&*rng)?),
        clients: runtime.handle().clone(),
        data: plan.data.clone(),
        clock,
        rng,
    };
    let mut bench = Bench {
        plan,
        around,
        outcome: Outcome::default(),
    };
    let measured = bench.measure(progress).await;
    // Also where something failed: a runtime cannot be dropped inside another one.
    runtime.shutdown_background();
    measured?;
    Ok(bench.outcome)
}

impl Bench<'_> {
    async fn measure(&mut self, progress: &Progress) -> Result<(), BenchError> {
        progress.begin("floors");
        let before = self.floor()?;
        self.floors(&before, &before);
        progress.advance();
        if let Some(time) = self.plan.soak {
            section::soak(self, time, progress).await?;
        } else {
            self.sections(progress).await?;
        }
        progress.begin("floors once more");
        let after = self.floor()?;
        self.floors(&before, &after);
        progress.advance();
        progress.finish();
        self.outcome.judge();
        Ok(())
    }

    async fn sections(&mut self, progress: &Progress) -> Result<(), BenchError> {
        let wanted = |section: &Section| self.plan.sections.contains(section);
        let (own, shared): (Vec<Section>, Vec<Section>) = Section::ALL
            .iter()
            .copied()
            .filter(wanted)
            .partition(|one| one.is_apart());
        if !shared.is_empty() {
            let house = House::open(&self.around, "main", Form::DURABLE).await?;
            for section in shared {
                progress.begin(section.name());
                section::over(self, &house, section).await?;
                progress.advance();
            }
            house.close().await;
        }
        for section in own {
            progress.begin(section.name());
            section::apart(self, section).await?;
            progress.advance();
        }
        Ok(())
    }

    fn floor(&self) -> Result<Floor, BenchError> {
        let around = &self.around;
        let clock = &*around.clock;
        let sync = floor::sync(&around.data, clock).map_err(BenchError::setup("time a sync"))?;
        Ok(Floor {
            commit: floor::commit(&around.data, clock)?.p50(),
            sync: sync.p50(),
            es256: around.signers.per_second(TokenAlg::Es256, clock),
            eddsa: around.signers.per_second(TokenAlg::EdDsa, clock),
        })
    }

    fn floors(&mut self, before: &Floor, after: &Floor) {
        let floors = &mut self.outcome.floors;
        floors.cores = machine::cores();
        let twice = |of: fn(&Floor) -> f64| Twice::new(of(before), of(after));
        floors.commit_p50_ms = twice(|floor| floor.commit);
        floors.sync_p50_ms = twice(|floor| floor.sync);
        floors.es256_per_second_per_core = twice(|floor| floor.es256);
        floors.eddsa_per_second_per_core = twice(|floor| floor.eddsa);
    }

    /// Calls of one kind over these connections.
    pub(crate) fn load(&self, stations: &Arc<[Station]>, work: Work, in_flight: usize) -> Load {
        self.around.load(stations, work, in_flight)
    }

    /// Remembers what a floor call could do.
    pub(crate) fn floor_call(&mut self, load: &Load, per_second: f64) {
        self.outcome.floors.calls.push(FloorCall {
            name: load.work.to_string(),
            in_flight: load.in_flight,
            per_second,
        });
    }
}
