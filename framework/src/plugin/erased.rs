//! The plugin traits as the actors hold them: without their types, behind a box.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::sync::Notify;

use super::{
    Acknowledgement, Awaits, Confirmed, Delivery, Feed, Frames, HoldLimit, LastAcknowledged, Output, Processor,
    Refusal, Sink, Source, StoreReader, StoreUse,
};
use crate::error::{Error, Result};

/// A boxed [`Source`].
pub trait DynSource {
    /// [`Source::run`]
    fn run<'a>(&'a mut self, feed: &'a Feed) -> LocalBoxFuture<'a, Result<()>>;
    /// [`Source::open_files`]
    fn open_files(&self) -> u64;
    /// [`Source::awaits`]
    fn awaits(&self) -> Awaits;
}

impl<T: Source> DynSource for T {
    fn run<'a>(&'a mut self, feed: &'a Feed) -> LocalBoxFuture<'a, Result<()>> {
        Source::run(self, feed).boxed_local()
    }

    fn open_files(&self) -> u64 {
        Source::open_files(self)
    }

    fn awaits(&self) -> Awaits {
        Source::awaits(self)
    }
}

/// A boxed [`Processor`].
pub trait DynProcessor {
    /// [`Processor::batch`]
    fn batch<'a>(&'a mut self, frames: &'a mut Frames<'_>, out: &'a mut Output) -> LocalBoxFuture<'a, Result<()>>;
    /// [`Processor::portion`]
    fn portion(&mut self, frames: &Frames<'_>) -> usize;
    /// [`Processor::tick_every`]
    fn tick_every(&self) -> Option<Duration>;
    /// [`Processor::tick`]
    ///
    /// # Errors
    /// As there.
    fn tick(&mut self, out: &mut Output) -> Result<()>;
    /// [`Processor::holds`]
    fn holds(&self) -> Option<HoldLimit>;
}

impl<T: Processor> DynProcessor for T {
    fn batch<'a>(&'a mut self, frames: &'a mut Frames<'_>, out: &'a mut Output) -> LocalBoxFuture<'a, Result<()>> {
        Processor::batch(self, frames, out).boxed_local()
    }

    fn portion(&mut self, frames: &Frames<'_>) -> usize {
        Processor::portion(self, frames)
    }

    fn tick_every(&self) -> Option<Duration> {
        Processor::tick_every(self)
    }

    fn tick(&mut self, out: &mut Output) -> Result<()> {
        Processor::tick(self, out)
    }

    fn holds(&self) -> Option<HoldLimit> {
        Processor::holds(self)
    }
}

/// A boxed [`Sink`].
pub trait DynSink {
    /// [`Sink::open`]
    fn open(&mut self) -> LocalBoxFuture<'_, Result<()>>;
    /// [`Sink::write`]
    fn write<'a>(&'a mut self, delivery: &'a mut Delivery) -> LocalBoxFuture<'a, Result<()>>;
    /// [`Sink::watch`]
    fn watch(&mut self) -> LocalBoxFuture<'_, Error>;
    /// [`Sink::store_use`]
    fn store_use(&self) -> StoreUse;
    /// [`Sink::open_files`]
    fn open_files(&self) -> u64;
    /// [`Sink::serve`]
    fn serve<'a>(&'a mut self, store: &'a StoreReader) -> LocalBoxFuture<'a, Result<()>>;
    /// [`Sink::acknowledgement`]
    fn acknowledgement(&self) -> Acknowledgement;
    /// [`Sink::acknowledged_bytes`]
    fn acknowledged_bytes(&self) -> u64;
    /// [`Sink::acknowledged_signal`]
    fn acknowledged_signal(&self) -> Option<Rc<Notify>>;
    /// [`Sink::refused_bytes`]
    fn refused_bytes(&self) -> u64;
    /// [`Sink::take_refusals`]
    fn take_refusals(&mut self) -> Vec<Refusal>;
    /// [`Sink::last_acknowledged`]
    fn last_acknowledged(&mut self) -> LocalBoxFuture<'_, LastAcknowledged>;
    /// [`Sink::confirmed`]
    fn confirmed(&mut self) -> Option<Confirmed>;
    /// [`Sink::finish`]
    fn finish(&mut self) -> LocalBoxFuture<'_, Result<()>>;
    /// [`Sink::close`]
    fn close(&mut self) -> LocalBoxFuture<'_, Result<()>>;
}

impl<T: Sink> DynSink for T {
    fn open(&mut self) -> LocalBoxFuture<'_, Result<()>> {
        Sink::open(self).boxed_local()
    }

    fn write<'a>(&'a mut self, delivery: &'a mut Delivery) -> LocalBoxFuture<'a, Result<()>> {
        Sink::write(self, delivery).boxed_local()
    }

    fn watch(&mut self) -> LocalBoxFuture<'_, Error> {
        Sink::watch(self).boxed_local()
    }

    fn store_use(&self) -> StoreUse {
        Sink::store_use(self)
    }

    fn open_files(&self) -> u64 {
        Sink::open_files(self)
    }

    fn serve<'a>(&'a mut self, store: &'a StoreReader) -> LocalBoxFuture<'a, Result<()>> {
        Sink::serve(self, store).boxed_local()
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Sink::acknowledgement(self)
    }

    fn acknowledged_bytes(&self) -> u64 {
        Sink::acknowledged_bytes(self)
    }

    fn acknowledged_signal(&self) -> Option<Rc<Notify>> {
        Sink::acknowledged_signal(self)
    }

    fn refused_bytes(&self) -> u64 {
        Sink::refused_bytes(self)
    }

    fn take_refusals(&mut self) -> Vec<Refusal> {
        Sink::take_refusals(self)
    }

    fn last_acknowledged(&mut self) -> LocalBoxFuture<'_, LastAcknowledged> {
        Sink::last_acknowledged(self).boxed_local()
    }

    fn confirmed(&mut self) -> Option<Confirmed> {
        Sink::confirmed(self)
    }

    fn finish(&mut self) -> LocalBoxFuture<'_, Result<()>> {
        Sink::finish(self).boxed_local()
    }

    fn close(&mut self) -> LocalBoxFuture<'_, Result<()>> {
        Sink::close(self).boxed_local()
    }
}
