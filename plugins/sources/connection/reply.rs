//! Replies to what was read, for peers that expect some: at once, or when what was read is durable or delivered.

mod answers;
mod at_once;
mod quoting;
mod template;
mod waiting;

use std::num::NonZeroU64;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Awaits;
use aqueduct_framework::units::ByteSize;
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use answers::{Answers, Halt};
pub(super) use at_once::Replies;
pub(super) use template::Brought;
use template::Template;
pub(super) use waiting::{Loss, Why};

/// What to answer, how often, and when.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::sources) struct ReplyConfig {
    /// When a frame is answered.
    #[serde(default)]
    when: When,
    /// One reply for each read that brought something, or one for each frame it completed. Unset: for each read; for each frame where the reply waits or
    /// quotes the frame, which needs that.
    per: Option<Per>,
    /// The text. `{bytes}` and `{frames}` are those of the read, `{total}` the bytes of the connection so far. It may quote the frame: `{NAME}` is the group of
    /// that name of `match`, `{peer.address}` its attribute. Other braces stand for themselves.
    template: String,
    /// A regular expression to look for in each frame (syntax of the Rust crate `regex`; `(?-u)` in front for bytes that are no UTF-8), with groups to quote:
    /// `(?<id>[0-9]+)` is `{id}` in the template. It may match anywhere, unless it is anchored.
    #[serde(rename = "match")]
    pattern: Option<String>,
    /// The text for frames that `match` does not find, or whose reply would be longer than `max_reply_bytes`; it cannot quote groups. Unset: the template, with
    /// nothing in place of what it quotes. Either way the frame is counted in `replies_unmatched`.
    #[serde(rename = "else")]
    otherwise: Option<String>,
    /// The longest reply that quotes something, in bytes.
    #[serde(default = "max_reply_bytes")]
    #[schemars(range(min = 1, max = 1_048_576))]
    max_reply_bytes: ByteSize,
    /// Frames of a connection that may wait for their reply, until the peer has taken it; at this bound no more is read of the connection. What one read brings may
    /// pass it. Unset: 1,000. Only where replies wait.
    #[schemars(range(min = 1))]
    window_frames: Option<NonZeroU64>,
}

/// When a frame is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum When {
    /// When it is read. The reply never waits: what the peer does not take is counted in `replies_untaken`.
    #[default]
    Read,
    /// When it lies on disk, synced, in the store behind the source, which needs `persist = "always"`.
    Durable,
    /// When the sinks have it, as their `acknowledge` defines it. One store may be on the way, without `retain_bytes`.
    Delivered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Per {
    /// One for each read.
    Read,
    /// One for each frame.
    Frame,
}

const fn max_reply_bytes() -> ByteSize {
    ByteSize::kib(4)
}

/// Frames that may wait for their reply, unless the config says otherwise.
const WINDOW_FRAMES: u64 = 1_000;

/// A checked [`ReplyConfig`].
#[derive(Debug)]
pub(super) struct Plan {
    when: When,
    per: Per,
    template: Template,
    pattern: Option<Regex>,
    otherwise: Option<Template>,
    max_reply_bytes: usize,
    window_frames: u64,
}

impl Plan {
    /// # Errors
    /// When a template quotes what there is not, or options contradict each other.
    pub(super) fn new(config: &ReplyConfig) -> Result<Self> {
        let pattern = config.pattern.as_deref().map(regex).transpose()?;
        let template = Template::new("template", &config.template, pattern.as_ref())?;
        let otherwise = config.otherwise.as_deref();
        let otherwise = otherwise.map(|text| Template::new("else", text, None)).transpose()?;
        let plan = Self {
            when: config.when,
            per: config.per.unwrap_or(Per::Read),
            template,
            pattern,
            otherwise,
            max_reply_bytes: usize::try_from(config.max_reply_bytes.bytes()).unwrap_or(usize::MAX),
            window_frames: config.window_frames.map_or(WINDOW_FRAMES, NonZeroU64::get),
        };
        let about_frames = plan.looks_at_frames() || plan.when != When::Read;
        if about_frames && config.per == Some(Per::Read) {
            return Err(Error::fatal(
                "`reply.per` = \"read\" cannot wait for frames nor quote them; leave it out, so that each frame has a reply",
            ));
        }
        if plan.otherwise.is_some() && plan.pattern.is_none() {
            return Err(Error::fatal(
                "`reply.else` is for frames that `reply.match` does not find; give a `match`, or leave `else` out",
            ));
        }
        if plan.when == When::Read && config.window_frames.is_some() {
            return Err(Error::fatal(
                "`reply.window_frames` bounds what waits for its reply, and with `when` = \"read\" nothing does; leave it out",
            ));
        }
        let texts = [Some(&plan.template), plan.otherwise.as_ref()];
        let longest = texts.into_iter().flatten().map(Template::text_bytes).max();
        if plan.looks_at_frames() && longest > Some(plan.max_reply_bytes) {
            return Err(Error::fatal(
                "`reply.max_reply_bytes` is less than the reply has without what it quotes; raise it",
            ));
        }
        let per = if about_frames { Per::Frame } else { plan.per };
        Ok(Self { per, ..plan })
    }

    /// What the frames' fate has to do with it.
    pub(super) fn awaits(&self) -> Awaits {
        match self.when {
            When::Read => Awaits::Nothing,
            When::Durable => Awaits::Durable,
            When::Delivered => Awaits::Delivered,
        }
    }

    /// True when the reply differs from frame to frame.
    fn looks_at_frames(&self) -> bool {
        let quotes = |template: &Template| template.quotes();
        self.pattern.is_some() || quotes(&self.template) || self.otherwise.as_ref().is_some_and(quotes)
    }
}

fn regex(pattern: &str) -> Result<Regex> {
    let regex = Regex::new(pattern).map_err(|error| {
        Error::fatal(format!("`reply.match` = {pattern:?} is no regular expression")).because(error)
    })?;
    template::check_groups(&regex)?;
    Ok(regex)
}
