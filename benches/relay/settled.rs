//! What the default costs: the same transfer where a frame is delivered once it is settled, and where it is so once it is written.

use super::through::{Passed, through_aqueduct};
use crate::support::Outcome;
use crate::support::figures::{Figures, Series, targets};
use crate::support::programs::Programs;

/// The values of `acknowledge`; the first is what the other is held against.
const MODES: [&str; 2] = ["written", "settled"];

/// Measures `rounds` of `bytes` with each. They take turns at being the first.
///
/// # Errors
/// When a program fails.
pub(crate) fn measure(programs: &Programs, rounds: usize, bytes: u64, figures: &mut Figures) -> Outcome<()> {
    let mut all: Vec<[Passed; 2]> = Vec::new();
    for round in 1..=rounds {
        let transfer = |which: usize| {
            let passed = through_aqueduct(programs, bytes, &format!("acknowledge = {:?}\n", MODES[which]))?;
            println!(
                "settled, round {round}, {}: {:.3} GB/s, {:.3} CPU s/GB",
                MODES[which],
                passed.speed(),
                passed.cpu_per_gigabyte()
            );
            Outcome::Ok(passed)
        };
        all.push(if round % 2 == 0 {
            [transfer(0)?, transfer(1)?]
        } else {
            let settled = transfer(1)?;
            [transfer(0)?, settled]
        });
    }
    let series = |figure: &dyn Fn(&[Passed; 2]) -> f64| Series::new(all.iter().map(figure));
    figures.promised(
        &targets::SETTLED,
        &series(&|[written, settled]| settled.speed() / written.speed()),
    );
    for (which, mode) in MODES.into_iter().enumerate() {
        let speed = series(&|of| of[which].speed());
        figures.seen(&format!("through Aqueduct, {mode}"), "GB/s", &speed);
        let cpu = series(&|of| of[which].cpu_per_gigabyte());
        figures.seen(&format!("CPU of Aqueduct, {mode}"), "s/GB", &cpu);
    }
    Ok(())
}
