//! A disk in memory that remembers what was synced, fails on demand, and loses its power: what is left then is an [`Image`].

mod data;
mod fault;
mod image;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use aqueduct::framework::spill::disk::{Disk, DiskFile, Open};

pub(crate) use data::{Data, PAGE};
pub(crate) use fault::{Fault, Kind};
pub(crate) use image::{Image, Loss};

/// A change of a file's content that was not synced yet.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Write { at: u64, bytes: Arc<[u8]> },
    SetLen(u64),
}

/// A change of names that was not synced yet.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    remove: Option<PathBuf>,
    add: Option<(PathBuf, usize)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    /// What a program sees.
    now: Data,
    /// What has been synced.
    durable: Data,
    changes: Vec<Change>,
    locked: bool,
}

type Names = BTreeMap<PathBuf, usize>;
/// Called before every sync: what a power cut would leave at that moment.
type AtSync = Box<dyn FnMut(Loss) + Send>;

#[derive(Default)]
struct State {
    files: Vec<File>,
    names: Names,
    durable_names: Names,
    namings: Vec<Naming>,
    operations: u64,
    fault: Option<Fault>,
    faults_met: u64,
    /// The most bytes that may be allocated.
    capacity: Option<u64>,
    at_sync: Option<AtSync>,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimDisk")
    }
}

impl SimDisk {
    /// A disk with these files, all durable.
    pub(crate) fn of(image: &Image) -> Self {
        let mut state = State::default();
        for (index, (path, data)) in image.files.iter().enumerate() {
            state.files.push(File::synced(data));
            state.names.insert(path.clone(), index);
        }
        state.durable_names = state.names.clone();
        Self(Arc::new(Mutex::new(state)))
    }

    /// The same disk after its program was killed.
    pub(crate) fn after_kill(loss: &Loss) -> Self {
        let (files, names) = loss.after_kill();
        let state = State {
            files,
            names,
            durable_names: loss.names.clone(),
            namings: loss.namings.clone(),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whoever looks at each moment at which the power could fail.
    pub(crate) fn at_every_sync(&self, look: impl FnMut(Loss) + Send + 'static) {
        self.state().at_sync = Some(Box::new(look));
    }

    /// Nobody looks any more.
    pub(crate) fn abandon(&self) {
        self.state().at_sync = None;
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// How many bytes fit; none: any number.
    pub(crate) fn limit(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    pub(crate) fn faults_met(&self) -> u64 {
        self.state().faults_met
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.state().allocated()
    }

    /// The names of all files.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// What a kill leaves: everything that was written.
    pub(crate) fn killed(&self) -> Image {
        self.state().loss().everything()
    }

    /// What a power cut leaves now, in all its variants.
    pub(crate) fn power_cut(&self) -> Loss {
        self.state().loss()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Sync,
    Write,
    Other,
}

impl State {
    fn loss(&self) -> Loss {
        Loss::new(&self.files, &self.durable_names, &self.namings)
    }

    fn allocated(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].now.allocated()).sum()
    }

    /// Counts an operation; the fault that is due, if any.
    fn due(&mut self, operation: Operation) -> Option<Kind> {
        self.operations += 1;
        let kind = self.fault.as_ref()?.kind_at(self.operations)?;
        let concerns = match kind {
            Kind::Lie => operation == Operation::Sync,
            Kind::Short => operation == Operation::Write,
            Kind::Io | Kind::Full | Kind::Quota | Kind::TooLarge => true,
        };
        if !concerns {
            return None;
        }
        self.faults_met += 1;
        Some(kind)
    }

    /// Counts an operation that has no way to go half wrong.
    fn pass(&mut self) -> io::Result<()> {
        match self.due(Operation::Other) {
            Some(kind) => Err(kind.error()),
            None => Ok(()),
        }
    }

    fn rename(&mut self, remove: Option<&Path>, add: Option<(&Path, usize)>) {
        if let Some(path) = remove {
            self.names.remove(path);
        }
        if let Some((path, file)) = add {
            self.names.insert(path.to_owned(), file);
        }
        self.namings.push(Naming {
            remove: remove.map(Path::to_owned),
            add: add.map(|(path, file)| (path.to_owned(), file)),
        });
    }

    fn look(&mut self) {
        if let Some(mut look) = self.at_sync.take() {
            look(self.loss());
            self.at_sync = Some(look);
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.pass()?;
        let file = match (state.names.get(path).copied(), how) {
            (Some(file), Open::Read | Open::Write) => file,
            (Some(file), Open::Empty) => {
                state.files[file].change(Change::SetLen(0));
                file
            }
            (None, Open::Read) => return Err(io::Error::from_raw_os_error(2)),
            (None, _) => {
                state.files.push(File::default());
                let file = state.files.len() - 1;
                state.rename(None, Some((path, file)));
                file
            }
        };
        drop(state);
        Ok(Box::new(Handle {
            disk: self.clone(),
            file,
            locks: false.into(),
        }))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.pass()?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        // In the order of nothing in particular, as a folder has it.
        let mut names: Vec<_> = inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.reverse();
        Ok(names)
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.state().pass()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.pass()?;
        let file = state.names.get(from).copied().ok_or(io::Error::from_raw_os_error(2))?;
        state.rename(Some(from), Some((to, file)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.pass()?;
        if !state.names.contains_key(path) {
            return Err(io::Error::from_raw_os_error(2));
        }
        state.rename(Some(path), None);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.look();
        match state.due(Operation::Sync) {
            Some(Kind::Lie) => return Ok(()),
            Some(kind) => return Err(kind.error()),
            None => {}
        }
        let inside = |path: &Option<&Path>| path.is_some_and(|path| path.parent() == Some(folder));
        let (done, kept) = std::mem::take(&mut state.namings)
            .into_iter()
            .partition(|naming: &Naming| {
                let added = naming.add.as_ref().map(|(path, _)| path.as_path());
                inside(&naming.remove.as_deref()) || inside(&added)
            });
        state.namings = kept;
        let done: Vec<Naming> = done;
        for naming in &done {
            naming.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn allocated_bytes(&self, path: &Path) -> io::Result<u64> {
        let state = self.state();
        let file = state.names.get(path).ok_or(io::Error::from_raw_os_error(2))?;
        Ok(state.files[*file].now.allocated())
    }
}

impl Naming {
    pub(crate) fn apply(&self, names: &mut Names) {
        if let Some(path) = &self.remove {
            names.remove(path);
        }
        if let Some((path, file)) = &self.add {
            names.insert(path.clone(), *file);
        }
    }
}

impl File {
    fn synced(data: &Data) -> Self {
        Self {
            now: data.clone(),
            durable: data.clone(),
            ..Self::default()
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.changes.push(change);
    }
}

impl Change {
    pub(crate) fn apply(&self, data: &mut Data) {
        match self {
            Self::Write { at, bytes } => data.write(*at, bytes),
            Self::SetLen(len) => data.set_len(*len),
        }
    }
}

#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    file: usize,
    locks: std::sync::atomic::AtomicBool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if *self.locks.get_mut() {
            self.disk.state().files[self.file].locked = false;
        }
    }
}

impl DiskFile for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].now.len)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.pass()?;
        state.files[self.file].now.read(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.due(Operation::Write);
        let done = match fault {
            Some(Kind::Short) => bytes.len() / 2,
            Some(kind) => return Err(kind.error()),
            None => bytes.len(),
        };
        if let Some(capacity) = state.capacity {
            let mut grown = state.files[self.file].now.clone();
            let before = grown.allocated();
            grown.write(at, &bytes[..done]);
            if grown.allocated() > before && state.allocated() + grown.allocated() - before > capacity {
                return Err(io::Error::from_raw_os_error(28));
            }
        }
        state.files[self.file].change(Change::Write {
            at,
            bytes: bytes[..done].into(),
        });
        match fault {
            Some(Kind::Short) => Err(Kind::Short.error()),
            _ => Ok(()),
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.pass()?;
        state.files[self.file].change(Change::SetLen(bytes));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.look();
        match state.due(Operation::Sync) {
            Some(Kind::Lie) => return Ok(()),
            // After a failed sync the kernel forgets what it could not write (ext4, XFS): nobody will ever write it.
            Some(kind) => {
                state.files[self.file].changes.clear();
                return Err(kind.error());
            }
            None => {}
        }
        let file = &mut state.files[self.file];
        for change in std::mem::take(&mut file.changes) {
            change.apply(&mut file.durable);
        }
        Ok(())
    }

    fn reserve(&self, _: u64) -> io::Result<()> {
        self.disk.state().pass()
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.state();
        state.pass()?;
        let free = !std::mem::replace(&mut state.files[self.file].locked, true);
        self.locks.store(free, std::sync::atomic::Ordering::Relaxed);
        Ok(free)
    }
}
