//! What goes wrong, and when.

use std::io;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// EIO.
    Io,
    /// ENOSPC.
    Full,
    /// EDQUOT.
    Quota,
    /// EFBIG.
    TooLarge,
    /// Half is written, then ENOSPC.
    Short,
    /// A sync that returns and did nothing.
    Lie,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Io,
        Self::Short,
        Self::Lie,
        Self::Full,
        Self::Quota,
        Self::TooLarge,
    ];

    pub(crate) fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Self::Io | Self::Lie => 5,
            Self::Full | Self::Short => 28,
            Self::Quota => 122,
            Self::TooLarge => 27,
        })
    }
}

/// From which operation on, and for how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) from: u64,
    pub(crate) times: u64,
}

impl Fault {
    pub(crate) fn kind_at(&self, operation: u64) -> Option<Kind> {
        (operation >= self.from && operation - self.from < self.times).then_some(self.kind)
    }
}
