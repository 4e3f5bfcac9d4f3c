//! Whole pipelines in memory: a source that is always ready, a processor, a sink that forgets.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aqueduct::framework::batch::{Attributes, Frame};
use aqueduct::framework::config::{LoadOptions, load};
use aqueduct::framework::error::Result;
use aqueduct::framework::pipeline::{Pipeline, RunOptions};
use aqueduct::framework::plugin::{Context, Feed, Output, Processor, Registry, Source};
use criterion::{BenchmarkId, Criterion, Throughput};
use schemars::JsonSchema;
use serde::Deserialize;

const LINE_BYTES: usize = 100;
/// Whole lines, a little less than one read, so that a read is one batch.
const READ_BYTES: usize = 240_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("processor");
    // Starting a pipeline belongs to each sample, so samples are few and long.
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Bytes(READ_BYTES as u64));
    let system = actix_rt::System::new();
    let mut case = |name: &str, settings: String| {
        group.bench_function(BenchmarkId::new(name, ""), |bench| {
            bench.iter_custom(|reads| system.block_on(run(reads, &settings)).expect("the pipeline runs"));
        });
    };
    case(
        "filter that keeps all",
        "type = \"filter\"\ncontains = \"no line contains this\"\nmode = \"drop\"".to_owned(),
    );
    for workers in [1, 2] {
        case(
            &format!("compute, workers {workers}"),
            format!("type = \"compute\"\nworkers = {workers}"),
        );
    }
    group.finish();
}

async fn run(reads: u64, settings: &str) -> std::result::Result<Duration, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("micro.toml");
    std::fs::write(&file, pipeline(reads, settings))?;
    let mut registry = Registry::default();
    aqueduct::plugins::register(&mut registry);
    registry.source::<Pump>().processor::<Compute>();
    let loaded = load(&[file], &LoadOptions::default(), &registry).map_err(|mistakes| format!("{mistakes:?}"))?;
    let began = Instant::now();
    for config in &loaded.pipelines {
        Pipeline::start(config, &registry, &RunOptions::default())?
            .ended()
            .await?;
    }
    Ok(began.elapsed())
}

fn pipeline(reads: u64, settings: &str) -> String {
    format!(
        r#"
flow = ["pump -> process -> nowhere"]

[sources.pump]
type = "pump"
reads = {reads}

[processors.process]
{settings}

[sinks.nowhere]
type = "blackhole"
"#
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PumpConfig {
    /// How often it reads.
    reads: u64,
}

/// A stream that always has a buffer full of lines.
struct Pump {
    reads: u64,
}

impl Source for Pump {
    type Config = PumpConfig;
    const NAME: &'static str = "pump";

    fn new(config: PumpConfig, _: &Context) -> Result<Self> {
        Ok(Self { reads: config.reads })
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let mut lines = vec![b'.'; READ_BYTES];
        lines
            .chunks_exact_mut(LINE_BYTES)
            .for_each(|line| line[LINE_BYTES - 1] = b'\n');
        let mut intake = feed.stream(Attributes::default())?;
        for _ in 0..self.reads {
            intake.ready().await;
            intake.fill(|buffer| {
                buffer[..READ_BYTES].copy_from_slice(&lines);
                Ok(READ_BYTES)
            });
        }
        intake.finish();
        Ok(())
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Computes for about a microsecond per frame.
struct Compute;

impl Processor for Compute {
    type Config = Nothing;
    const NAME: &'static str = "compute";

    fn new(_: Nothing, _: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        let mut hash = 0_u64;
        for _ in 0..8 {
            // A chain of multiplications: nothing a compiler could do at once or leave out.
            hash = frame.bytes().iter().fold(hash, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
            });
        }
        black_box(hash);
        out.keep(frame);
        Ok(())
    }
}
