//! `aqueduct run`: starts pipelines, shows them, and ends them in order.

use crate::say::say;
use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;

use crate::admin::{self, Admin, Clerk};
use crate::cli::Files;
use crate::commands::{FAILED, FORCED, LOST, load};
use crate::framework::config::{Loaded, PipelineConfig};
use crate::framework::pipeline::{ActorStatus, Control, Pipeline, PipelineStatus, Pressure, RunOptions, Sample, View};
use crate::framework::plugin::Registry;
use crate::framework::telemetry::Export;
use crate::framework::telemetry::messages::MessageMatcher;
use crate::live::Screen;
use crate::signals::Signals;
use crate::{log, reports, words};

/// Run pipelines
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    files: Files,
    /// Draw no live lines, also on a terminal
    #[arg(long)]
    no_live: bool,
}

/// A plugin that works on one batch for this long is named by the watchdog.
const HANG: Duration = Duration::from_secs(10);

/// How often rates, pressures and live lines are renewed.
const TICK: Duration = Duration::from_secs(1);

impl Run {
    pub(crate) fn run(&self, registry: &Registry) -> ExitCode {
        match load(&self.files, registry) {
            Ok(loaded) => ExitCode::from(execute(&loaded, registry, !self.no_live).code),
            Err(code) => code,
        }
    }
}

/// How pipelines ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The exit code.
    pub(super) code: u8,
    /// The last there is to know of each pipeline that was started.
    pub(super) statuses: Vec<PipelineStatus>,
}

/// Runs pipelines until they end, or a signal asks for the end; with `live` it draws on a terminal how they do.
pub(super) fn execute(loaded: &Loaded, registry: &Registry, live: bool) -> Ended {
    let process = &loaded.process;
    let started = Screen::start(process.log.queue_bytes.bytes())
        .map_err(|error| format!("the log has no thread: {error}"))
        .and_then(|screen| Ok((log::start(&process.log, &process.telemetry, &screen)?, screen)));
    let (export, screen) = match started {
        Ok(started) => started,
        Err(error) => {
            say!("{error}");
            return Ended {
                code: FAILED,
                statuses: Vec::new(),
            };
        }
    };
    if let Err(error) = aqueduct_sys::process::raise_open_file_limit() {
        tracing::warn!("the limit of open files stays as it is ({error}); many connections may not be accepted");
    }
    let live = Screen::is_live() && live;
    let options = RunOptions {
        deadline: process.shutdown.deadline.duration(),
        spans: export.as_ref().map(Export::spans).unwrap_or_default(),
        ids: process.telemetry.messages.as_ref().map(MessageMatcher::new),
        ..RunOptions::default()
    };
    let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            actix_rt::System::with_tokio_rt(|| runtime).block_on(run_all(loaded, registry, &options, &screen, live))
        }
        Err(error) => {
            tracing::error!("cannot start: no file is left for the runtime: {error}; raise `ulimit -n`");
            Ended {
                code: FAILED,
                statuses: Vec::new(),
            }
        }
    };
    // Spans of the last seconds are still in the exporter's queue.
    drop(export);
    screen.finish();
    ended
}

async fn run_all(loaded: &Loaded, registry: &Registry, options: &RunOptions, screen: &Screen, live: bool) -> Ended {
    // From here on a signal is kept until the pipelines run: the default action would end us without draining.
    let signals = Signals::catch();
    let (mut running, mut code) = (Vec::new(), 0);
    for config in &loaded.pipelines {
        match start(config, loaded, registry, options, screen) {
            Ok(started) => running.push(started),
            Err(error) => {
                tracing::error!(pipeline = %config.name, "cannot start, so none of the pipelines runs: {error}");
                running
                    .iter()
                    .for_each(|one: &Running| one.pipeline.control().shut_down());
                code = FAILED;
                break;
            }
        }
    }
    let controls: Vec<_> = running.iter().map(|one| one.pipeline.control()).collect();
    let latest: Vec<_> = running.iter().map(|one| one.latest.clone()).collect();
    let views: Vec<_> = running.iter().map(|one| one.pipeline.view()).collect();
    let draining = Rc::new(Cell::new(false));
    let watch = actix_rt::spawn(watch(views, latest, live.then(|| screen.clone()), draining.clone()));
    let signals = actix_rt::spawn(obey(signals, controls, draining));
    let mut statuses = Vec::new();
    for one in running {
        let (ended, status) = finish(one).await;
        code = worst(code, ended);
        statuses.push(status);
    }
    watch.abort();
    signals.abort();
    if live {
        screen.show(Vec::new());
    }
    Ended { code, statuses }
}

struct Running {
    pipeline: Pipeline,
    reports: reports::Writer,
    latest: Rc<RefCell<PipelineStatus>>,
    admin: Option<Rc<Admin>>,
}

fn start(
    config: &PipelineConfig,
    loaded: &Loaded,
    registry: &Registry,
    options: &RunOptions,
    screen: &Screen,
) -> Result<Running, String> {
    let socket = loaded
        .process
        .admin
        .socket
        .clone()
        .unwrap_or_else(|| admin::path(&config.name));
    if loaded.pipelines.len() > 1 && loaded.process.admin.socket.is_some() {
        return Err(
            "[admin] socket names one socket for several pipelines; leave it out, each is found by its name".into(),
        );
    }
    let (journal, reports) = reports::keep(&config.name, &loaded.process.admin);
    let options = &RunOptions {
        journal,
        ..options.clone()
    };
    let admin = open_admin(config, socket)?.map(Rc::new);
    // Said first, because what follows is the actors' own: where they listen, whom they reach, or what stands in their way.
    match &admin {
        Some(_) => {
            tracing::info!(pipeline = %config.name, "starting; `aqueduct status {}` tells how it is", config.name);
        }
        None => tracing::info!(pipeline = %config.name, "starting"),
    }
    let pipeline = Pipeline::start(config, registry, options).map_err(|error| error.to_string())?;
    let latest = Rc::new(RefCell::new(Sample::default().take(&pipeline.view())));
    let clerk = Clerk::new(latest.clone(), pipeline.view(), pipeline.finder(), screen.clone());
    if let Some(serving) = admin.clone() {
        actix_rt::spawn(async move { serving.serve(Rc::new(clerk)).await });
    }
    Ok(Running {
        pipeline,
        reports,
        latest,
        admin,
    })
}

/// Only a pipeline that runs already is a reason not to start: without its socket a pipeline delivers all the same.
fn open_admin(config: &PipelineConfig, socket: PathBuf) -> Result<Option<Admin>, String> {
    match Admin::open(socket.clone()) {
        Ok(admin) => Ok(Some(admin)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(format!("admin socket {error}")),
        Err(error) => {
            tracing::warn!(
                pipeline = %config.name,
                "no admin socket at {}: {error}; `status` and `trace` will not find this pipeline; `[admin] socket` or XDG_RUNTIME_DIR names another place",
                socket.display()
            );
            Ok(None)
        }
    }
}

/// Renews the status once a second, tells pressures that changed, and draws the live lines.
async fn watch(
    views: Vec<View>,
    latest: Vec<Rc<RefCell<PipelineStatus>>>,
    screen: Option<Screen>,
    draining: Rc<Cell<bool>>,
) {
    let mut samples: Vec<_> = views.iter().map(|_| Sample::default()).collect();
    let mut draining_ticks: u32 = 0;
    loop {
        draining_ticks += u32::from(draining.get());
        for (index, ((view, sample), latest)) in views.iter().zip(&mut samples).zip(&latest).enumerate() {
            let status = sample.take(view);
            if index == 0 {
                // Once for all pipelines.
                tell_clock(&latest.borrow(), &status);
            }
            if draining_ticks > 0 {
                // The first may follow at once upon the signal.
                tell_drain(&status, draining_ticks - 1);
            } else {
                tell_changes(&latest.borrow(), &status);
                tell_hangs(&latest.borrow(), &status);
            }
            *latest.borrow_mut() = status;
        }
        if let Some(screen) = &screen {
            screen.show(live_lines(&latest));
        }
        tokio::time::sleep(TICK).await;
    }
}

/// One line per actor, of all pipelines.
fn live_lines(latest: &[Rc<RefCell<PipelineStatus>>]) -> Vec<String> {
    let statuses: Vec<_> = latest.iter().map(|status| status.borrow()).collect();
    let actors = || statuses.iter().flat_map(|status| &status.actors);
    let names = words::name_cells(actors(), Some(Screen::columns()));
    actors().map(|actor| words::actor(actor, names)).collect()
}

fn tell_clock(before: &PipelineStatus, now: &PipelineStatus) {
    if let Some(sentence) = words::clock_step(before, now) {
        tracing::warn!("{sentence}");
    }
}

fn tell_changes(before: &PipelineStatus, now: &PipelineStatus) {
    // Saturated comes and goes with every burst; what an operator must hear of is spilling and blocking, and their end.
    let told = |pressure| {
        if pressure == Pressure::Saturated {
            Pressure::Flowing
        } else {
            pressure
        }
    };
    for (edge, old) in now.edges.iter().zip(&before.edges) {
        if told(edge.pressure) == told(old.pressure) {
            continue;
        }
        let only = PipelineStatus {
            edges: vec![edge.clone()],
            ..now.clone()
        };
        for sentence in words::pressure(&only) {
            match told(edge.pressure) {
                Pressure::Flowing => tracing::info!(pipeline = %now.pipeline, "{} flows again", edge.edge),
                _ => tracing::warn!(pipeline = %now.pipeline, "{sentence}"),
            }
        }
    }
}

/// Progress of a drain that lasts: after one second, two, four ...
fn tell_drain(status: &PipelineStatus, ticks: u32) {
    if !ticks.is_power_of_two() {
        return;
    }
    let lasted = words::time((TICK * ticks).as_secs_f64());
    let (in_flight, kept) = (total(status, "in_flight_bytes"), total(status, "waiting_frames"));
    let stores = status.actors.iter().any(|actor| actor.role == "spill store");
    tracing::info!(
        pipeline = %status.pipeline,
        in_flight_bytes = stores.then_some(in_flight),
        kept_in_stores = stores.then_some(kept),
        "still draining after {lasted}{}",
        words::waited_for(status)
    );
}

/// The watchdog: names a plugin that has been at one batch for too long, once per batch.
fn tell_hangs(before: &PipelineStatus, now: &PipelineStatus) {
    for (actor, old) in now.actors.iter().zip(&before.actors) {
        for (gauge, since) in actor
            .meters
            .numbers
            .iter()
            .filter(|(name, _)| name.ends_with("busy_since_ns"))
        {
            let busy = |at: u64| *since != 0 && at.saturating_sub(*since) >= HANG.as_nanos() as u64;
            let told = old.meters.numbers.get(gauge) == Some(since) && busy(before.uptime_ns);
            if busy(now.uptime_ns) && !told {
                let seconds = HANG.as_secs();
                tracing::warn!(pipeline = %now.pipeline, "{} has been busy with one batch for {seconds} s: its plugin `{}` hangs or is slow", actor.name, actor.plugin);
            }
        }
    }
}

/// The first signal that asks for the end drains, the second forces; the others are told and nothing else.
async fn obey(signals: Option<Signals>, controls: Vec<Control>, draining: Rc<Cell<bool>>) {
    let Some(mut signals) = signals else { return };
    signals.next().await;
    tracing::info!(
        "draining: sources stop, what is in flight finishes, stores keep the rest; a second signal forces the end"
    );
    draining.set(true);
    controls.iter().for_each(Control::shut_down);
    signals.next_that_forces().await;
    tracing::warn!("forced: ending now");
    controls.iter().for_each(Control::force);
}

/// Its exit code, and how it was in the end.
async fn finish(running: Running) -> (u8, PipelineStatus) {
    let view = running.pipeline.view();
    let ended = running.pipeline.ended().await;
    drop(running.admin);
    running.reports.finish().await;
    let status = Sample::default().take(&view);
    let lost = total(&status, "lost") + unsettled(&status);
    let kept: u64 = total(&status, "waiting_frames");
    let ends_lost: u64 = total(&status, "ends_lost");
    let unconfirmed: u64 = total(&status, "frames_unconfirmed");
    if ends_lost > 0 {
        tracing::error!(pipeline = %view.name, lost, unconfirmed, kept_in_stores = kept, "ended; besides, an unknown number of frames is lost with the damaged end of a store");
    } else {
        tracing::info!(pipeline = %view.name, lost, unconfirmed, kept_in_stores = kept, "ended");
    }
    for actor in &status.actors {
        tell_end(&view.name, actor);
    }
    let code = match ended {
        Err(_) => FAILED,
        Ok(ending) if ending.failure.is_some() => FAILED,
        Ok(_) if lost > 0 || ends_lost > 0 || unconfirmed > 0 => LOST,
        Ok(ending) if ending.forced => FORCED,
        Ok(_) => 0,
    };
    (code, status)
}

/// What an actor has done, for those who search the log and for machines: whole numbers, each under the name that `status --json` gives it.
fn tell_end(pipeline: &str, actor: &ActorStatus) {
    let number = |key: &str| actor.meters.numbers.get(key).copied().filter(|value| *value > 0);
    let store = actor.role == "spill store";
    let counted = words::counted(actor);
    tracing::info!(
        %pipeline,
        actor = %actor.name,
        role = actor.role,
        frames_in = number("frames_in").unwrap_or(0),
        bytes_in = number("bytes_in").unwrap_or(0),
        frames_out = number("frames_out").unwrap_or(0),
        bytes_out = number("bytes_out").unwrap_or(0),
        waiting_frames = store.then(|| number("waiting_frames").unwrap_or(0)),
        memory_bytes = number("memory_bytes").filter(|_| store),
        disk_bytes = number("disk_bytes").filter(|_| store),
        rejected = number("rejected"),
        dropped = number("dropped"),
        lost = number("lost"),
        frames_unconfirmed = number("frames_unconfirmed"),
        bytes_unconfirmed = number("bytes_unconfirmed"),
        counted = (!counted.is_empty()).then_some(counted),
        trouble = actor.meters.texts.get("trouble").filter(|text| !text.is_empty()),
        "actor ended"
    );
}

/// Frames of which nobody has said what became of them, because the actor that had them was ended by force.
fn unsettled(status: &PipelineStatus) -> u64 {
    let sources = status.actors.iter().filter(|actor| actor.role == "source");
    sources
        .map(|actor| {
            let number = |key: &str| actor.meters.numbers.get(key).copied().unwrap_or(0);
            number("frames_in").saturating_sub(number("settled"))
        })
        .sum()
}

fn total(status: &PipelineStatus, key: &str) -> u64 {
    status
        .actors
        .iter()
        .filter_map(|actor| actor.meters.numbers.get(key))
        .sum()
}

/// Failure outranks loss, loss outranks force.
fn worst(one: u8, other: u8) -> u8 {
    [FAILED, LOST, FORCED]
        .into_iter()
        .find(|code| [one, other].contains(code))
        .unwrap_or(0)
}
