//! The reply to a frame, with what it quotes of it.

use std::rc::Rc;

use aqueduct_framework::batch::Frame;
use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::Counter;
use regex::bytes::CaptureLocations;

use super::Plan;
use super::template::Brought;

/// Writes the replies of one connection.
pub(super) struct Quoting {
    plan: Rc<Plan>,
    /// Where the groups of `match` are found; kept from frame to frame.
    places: Option<CaptureLocations>,
    unmatched: Counter,
}

impl Quoting {
    pub(super) fn new(plan: &Rc<Plan>, context: &Context) -> Self {
        Self {
            plan: plan.clone(),
            places: plan.pattern.as_ref().map(regex::bytes::Regex::capture_locations),
            unmatched: context.counter("replies_unmatched"),
        }
    }

    /// Appends the reply to a frame.
    pub(super) fn render(&mut self, frame: Frame<'_>, brought: Brought, into: &mut Vec<u8>) {
        let (plan, begin) = (&self.plan, into.len());
        let fits = |into: &Vec<u8>| into.len() - begin <= plan.max_reply_bytes;
        let found = match (&plan.pattern, &mut self.places) {
            (Some(pattern), Some(places)) => pattern.captures_read(places, frame.bytes()).is_some(),
            _ => true,
        };
        if found {
            let places = self.places.as_ref();
            let group = |number| {
                let range = places.and_then(|places| places.get(number));
                range.map_or(&[][..], |(start, end)| &frame.bytes()[start..end])
            };
            plan.template.render_frame(brought, frame, group, into);
            if fits(into) {
                return;
            }
        }
        self.unmatched.add(1);
        into.truncate(begin);
        if let Some(otherwise) = &plan.otherwise {
            otherwise.render_frame(brought, frame, |_| &[], into);
            if fits(into) {
                return;
            }
            into.truncate(begin);
        }
        plan.otherwise.as_ref().unwrap_or(&plan.template).render(brought, into);
    }
}
