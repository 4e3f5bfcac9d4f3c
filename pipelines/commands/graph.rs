//! `aqueduct graph`: a pipeline drawn as text, DOT (Graphviz) or Mermaid.

use crate::say::{show_as_is, tell};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::Files;
use crate::commands::load;
use crate::framework::config::{EdgeConfig, PipelineConfig, Role};
use crate::framework::plugin::Registry;

/// Draw pipelines
#[derive(Debug, Args)]
pub(crate) struct Graph {
    #[command(flatten)]
    files: Files,
    /// What to draw
    #[arg(long, value_enum, default_value_t = Form::Text)]
    form: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// An indented tree
    Text,
    /// For Graphviz
    Dot,
    /// For Markdown pages
    Mermaid,
}

impl Graph {
    pub(crate) fn run(&self, registry: &Registry) -> ExitCode {
        let loaded = match load(&self.files, registry) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        for pipeline in &loaded.pipelines {
            let drawing = match self.form {
                Form::Text => text(pipeline),
                Form::Dot => dot(pipeline),
                Form::Mermaid => mermaid(pipeline),
            };
            match self.form {
                Form::Text => tell!("{}", drawing.trim_end()),
                Form::Dot | Form::Mermaid => show_as_is!("{drawing}"),
            }
        }
        ExitCode::SUCCESS
    }
}

fn text(pipeline: &PipelineConfig) -> String {
    let mut drawing = format!("{}\n", pipeline.name);
    for source in pipeline.actors.iter().filter(|actor| actor.role == Role::Source) {
        branch(pipeline, &source.name, "", 1, &mut drawing);
    }
    drawing
}

/// The checker has made sure that there is no cycle.
fn branch(pipeline: &PipelineConfig, name: &str, output: &str, depth: usize, drawing: &mut String) {
    let plugin = pipeline.actor(name).map_or("", |actor| actor.plugin.as_str());
    let output = if output.is_empty() {
        String::new()
    } else {
        format!("(.{output}) ")
    };
    let arrow = if depth == 1 { "" } else { "-> " };
    *drawing += &format!("{}{arrow}{output}{name} [{plugin}]\n", "  ".repeat(depth));
    for edge in pipeline.edges.iter().filter(|edge| edge.from == name) {
        branch(pipeline, &edge.to, &edge.output, depth + 1, drawing);
    }
}

fn dot(pipeline: &PipelineConfig) -> String {
    let mut drawing = format!("digraph \"{}\" {{\n  rankdir = LR;\n", pipeline.name);
    for actor in &pipeline.actors {
        let shape = match actor.role {
            Role::Source | Role::Sink => "ellipse",
            Role::Spill => "cylinder",
            Role::Processor => "box",
        };
        drawing += &format!(
            "  {} [shape = {shape}, label = \"{}\\n{}\"];\n",
            actor.name, actor.name, actor.plugin
        );
    }
    for EdgeConfig { from, output, to } in &pipeline.edges {
        drawing += &format!("  {from} -> {to} [label = \"{output}\"];\n");
    }
    drawing + "}\n"
}

fn mermaid(pipeline: &PipelineConfig) -> String {
    let mut drawing = "flowchart LR\n".to_owned();
    for actor in &pipeline.actors {
        let (open, close) = match actor.role {
            Role::Source | Role::Sink => ("([", "])"),
            Role::Spill => ("[(", ")]"),
            Role::Processor => ("[", "]"),
        };
        drawing += &format!("  {}{open}\"{}<br/>{}\"{close}\n", actor.name, actor.name, actor.plugin);
    }
    for EdgeConfig { from, output, to } in &pipeline.edges {
        let label = if output.is_empty() {
            String::new()
        } else {
            format!("|{output}|")
        };
        drawing += &format!("  {from} -->{label} {to}\n");
    }
    drawing
}
