//! Explores every state of a model, by playing every sequence of actions that leads to a new one.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// More states than any model here has: beyond them a model is too large to be explored.
const MOST_STATES: usize = 2_000_000;

/// Something in which several things can happen next.
pub(super) trait Model {
    type Action: Copy + Debug;

    /// What can happen now.
    fn actions(&self) -> Vec<Self::Action>;
    /// Does one of them, and checks what must hold behind it.
    fn act(&mut self, action: Self::Action);
    /// Two models with the same text behave the same from here on.
    fn fingerprint(&self) -> String;
    /// Nothing can happen any more: checks that this is the end.
    fn at_rest(&self);
}

/// Explores all of it. Returns the number of states.
pub(super) fn explore<M: Model>(start: impl Fn() -> M) -> u64 {
    let mut seen = HashSet::from([hash(&start().fingerprint())]);
    let mut open: Vec<Path<M::Action>> = vec![Path(Vec::new())];
    while let Some(path) = open.pop() {
        let actions = play(&start, &path).actions();
        if actions.is_empty() {
            play(&start, &path).at_rest();
        }
        for action in actions {
            let mut next = Path(path.0.clone());
            next.0.push(action);
            if seen.insert(hash(&play(&start, &next).fingerprint())) {
                open.push(next);
            }
        }
        assert!(seen.len() <= MOST_STATES, "the model has too many states");
    }
    seen.len() as u64
}

fn play<M: Model>(start: impl Fn() -> M, path: &Path<M::Action>) -> M {
    let mut model = start();
    path.0.iter().for_each(|action| model.act(*action));
    model
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The actions that lead to a state. Should one fail, they are told.
struct Path<A: Debug>(Vec<A>);

impl<A: Debug> Drop for Path<A> {
    fn drop(&mut self) {
        // The path that failed is the longest, and dropped first.
        if std::thread::panicking() && !self.0.is_empty() {
            eprintln!("behind these actions, or one less: {:?}", self.0);
        }
    }
}
