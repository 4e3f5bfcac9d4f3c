//! The grammar of `flow`: `"a, b -> c -> d"`, `"x.output -> y"`; one text or a list of them.

use serde_json::Value;

use super::pipeline::EdgeConfig;
use super::report::Report;

/// One edge, and the key of the text it stands in.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) edge: EdgeConfig,
    pub(super) key: String,
}

/// Reads a flow. Texts that cannot be read are reported; the edges of the others are given.
pub(super) fn read(flow: &Value, report: &mut Report) -> Vec<Edge> {
    let texts = match flow {
        Value::String(text) => vec![("flow".to_owned(), text.as_str())],
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered
                .filter_map(|(index, item)| Some((format!("flow[{index}]"), item.as_str()?)))
                .collect()
        }
        _ => Vec::new(),
    };
    let mut edges = Vec::new();
    for (key, text) in texts {
        match line(text) {
            Ok(found) => edges.extend(found.into_iter().map(|edge| Edge { edge, key: key.clone() })),
            Err(message) => {
                report
                    .add(&key, message)
                    .expected("arrows such as `a, b -> c -> d` or `c.rejected -> e`");
            }
        }
    }
    edges
}

/// The edges of one text.
fn line(text: &str) -> Result<Vec<EdgeConfig>, String> {
    let steps: Vec<Vec<End<'_>>> = text.split("->").map(step).collect::<Result<_, _>>()?;
    if steps.len() < 2 {
        return Err(format!("`{text}` has no arrow"));
    }
    if let Some(End { name, output }) = steps.last().into_iter().flatten().find(|end| !end.output.is_empty()) {
        return Err(format!("nothing can be sent to the output `{name}.{output}`"));
    }
    let mut edges = Vec::new();
    for pair in steps.windows(2) {
        for from in &pair[0] {
            for to in &pair[1] {
                edges.push(EdgeConfig {
                    from: from.name.into(),
                    output: from.output.into(),
                    to: to.name.into(),
                });
            }
        }
    }
    Ok(edges)
}

/// An actor, and the output behind the dot.
struct End<'t> {
    name: &'t str,
    output: &'t str,
}

/// What stands between two arrows.
fn step(text: &str) -> Result<Vec<End<'_>>, String> {
    text.split(',').map(str::trim).map(end).collect()
}

fn end(text: &str) -> Result<End<'_>, String> {
    let (name, output) = text.split_once('.').unwrap_or((text, ""));
    let blank = name.is_empty() || (text.contains('.') && output.is_empty());
    if text.is_empty() {
        Err("a name is missing beside an arrow or a comma".into())
    } else if blank || text.contains(char::is_whitespace) || output.contains('.') {
        Err(format!("`{text}` is not an actor or `actor.output`"))
    } else {
        Ok(End { name, output })
    }
}
