//! Spans as a collector sees them.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// A span that arrived, and who says to have made it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) span: Span,
    pub(super) resource: Attributes,
    pub(super) scope: InstrumentationScope,
    pub(super) schema_url: String,
}

/// Attributes by name, numbers as text.
pub(super) type Attributes = BTreeMap<String, String>;

impl Seen {
    pub(super) fn all(request: ExportTraceServiceRequest) -> impl Iterator<Item = Self> {
        request.resource_spans.into_iter().flat_map(|of_resource| {
            let resource = attributes(&of_resource.resource.unwrap_or_default().attributes);
            of_resource.scope_spans.into_iter().flat_map(move |of_scope| {
                let (resource, scope) = (resource.clone(), of_scope.scope.unwrap_or_default());
                of_scope.spans.into_iter().map(move |span| Self {
                    span,
                    resource: resource.clone(),
                    scope: scope.clone(),
                    schema_url: of_scope.schema_url.clone(),
                })
            })
        })
    }

    pub(super) fn attribute(&self, name: &str) -> String {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(super) fn find(&self, name: &str) -> Option<String> {
        attributes(&self.span.attributes).remove(name)
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.attribute(name).parse().unwrap()
    }

    /// Each event's name and its `error.message`.
    pub(super) fn events(&self) -> Vec<(String, String)> {
        let events = self.span.events.iter().map(|event| {
            let text = attributes(&event.attributes).remove("error.message");
            (event.name.clone(), text.unwrap_or_default())
        });
        events.collect()
    }

    /// The attributes of the events of this name.
    pub(super) fn events_named(&self, name: &str) -> Vec<Attributes> {
        let named = self.span.events.iter().filter(|event| event.name == name);
        named.map(|event| attributes(&event.attributes)).collect()
    }
}

/// All spans that arrived.
#[derive(Debug)]
pub(super) struct Spans(pub(super) Vec<Seen>);

impl Spans {
    pub(super) fn named(&self, name: &str) -> Vec<&Seen> {
        self.0.iter().filter(|seen| seen.span.name == name).collect()
    }

    /// The spans of every batch through all `steps`; nothing else may have arrived. Batches that the disk split share their first spans.
    ///
    /// # Panics
    /// When a span is no child of the one of the step before, in the same trace, or of another kind.
    pub(super) fn journeys(&self, steps: [&str; 4]) -> Vec<[&Seen; 4]> {
        let mut journeys = Vec::new();
        for sent in self.named(steps[3]) {
            let mut journey = [sent; 4];
            for (step, name) in steps.into_iter().enumerate().rev() {
                let span = &journey[step].span;
                assert_eq!((span.name.as_str(), span.kind()), (name, kind_of(name)));
                assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
                if step > 0 {
                    journey[step - 1] = self.parent(span);
                }
            }
            assert_eq!(journey[0].span.parent_span_id, b"", "the first span has no parent");
            journeys.push(journey);
        }
        let on_the_way: BTreeSet<_> = journeys.iter().flatten().map(|seen| &seen.span.span_id).collect();
        assert_eq!(on_the_way.len(), self.0.len(), "{}", self.names());
        journeys
    }

    fn names(&self) -> String {
        self.0.iter().map(|seen| format!("{}\n", seen.span.name)).collect()
    }

    /// The span that this one is linked to, and to no other.
    pub(super) fn link_of(&self, of: &Seen) -> &Seen {
        let [link] = &of.span.links[..] else {
            panic!("one link: {of:?}")
        };
        let linked = self.0.iter().find(|seen| seen.span.span_id == link.span_id);
        linked.unwrap_or_else(|| panic!("what {of:?} is linked to did not arrive"))
    }

    pub(super) fn parent(&self, of: &Span) -> &Seen {
        let is_parent = |seen: &&Seen| seen.span.span_id == of.parent_span_id && seen.span.trace_id == of.trace_id;
        let parent = self.0.iter().find(is_parent);
        parent.unwrap_or_else(|| panic!("the parent of {of:?} did not arrive; these did: {}", self.names()))
    }
}

fn kind_of(name: &str) -> SpanKind {
    match name.split(' ').next() {
        Some("receive") => SpanKind::Consumer,
        Some("send") => SpanKind::Producer,
        _ => SpanKind::Internal,
    }
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |value: &KeyValue| match value.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    list.iter().map(|one| (one.key.clone(), text(one))).collect()
}
