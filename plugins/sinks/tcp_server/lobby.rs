//! Those who have not said yet who they are. There is room for a few; who comes then takes the place of the one that has been silent for longest,
//! so that strangers who say nothing keep nobody out.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;

/// Who waits, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    waiting: RefCell<VecDeque<Rc<Notify>>>,
}

/// A place in the lobby, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    lobby: Rc<Lobby>,
    dismissed: Rc<Notify>,
}

impl Lobby {
    /// Lets one more in.
    pub(super) fn enter(self: &Rc<Self>) -> Place {
        let dismissed = Rc::new(Notify::new());
        self.waiting.borrow_mut().push_back(dismissed.clone());
        Place {
            lobby: self.clone(),
            dismissed,
        }
    }

    /// Sends the one away that has been here for longest; false when nobody is here.
    pub(super) fn dismiss_oldest(&self) -> bool {
        let oldest = self.waiting.borrow_mut().pop_front();
        oldest.inspect(|oldest| oldest.notify_one()).is_some()
    }
}

impl Place {
    /// Resolves when the place is needed for another. Cancel-safe.
    pub(super) async fn dismissed(&self) {
        self.dismissed.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.lobby.waiting.borrow_mut();
        waiting.retain(|one| !Rc::ptr_eq(one, &self.dismissed));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use futures_util::FutureExt;

    use super::Lobby;

    #[test]
    fn the_oldest_makes_room_and_who_has_left_is_not_asked_to() {
        let lobby = Rc::new(Lobby::default());
        let [first, second, third] = [lobby.enter(), lobby.enter(), lobby.enter()];
        drop(first);
        assert!(lobby.dismiss_oldest());
        assert_eq!(second.dismissed().now_or_never(), Some(()));
        assert_eq!(third.dismissed().now_or_never(), None);
        drop((second, third));
        assert!(!lobby.dismiss_oldest());
    }
}
