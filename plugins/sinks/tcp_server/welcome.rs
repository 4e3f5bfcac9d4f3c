//! A named client comes: it introduces itself, takes its place, and is served until it leaves.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use aqueduct_framework::error::{Reaction, Result};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::door::{Newcomer, probed};
use super::introduction::{Introduction, Step};
use super::lobby::Place;
use super::named::House;
use super::seats::Claim;
use super::visit::{Leave, Visit};

/// Who has connected is served once it has said who it is.
///
/// # Errors
/// `fatal` when the store has ended.
pub(super) async fn welcome(house: Rc<House>, place: Place, (stream, peer): Newcomer) -> Result<()> {
    let name = tokio::select! {
        biased;
        () = house.store.stopping() => return Ok(()),
        introduced = introduced(&house, &stream) => match introduced {
            Ok(Some(name)) => name,
            Ok(None) => {
                probed(&house.context, &house.probes, peer);
                return Ok(());
            }
            Err(why) => return house.refuse(peer, &why),
        },
        () = place.dismissed() => {
            return house.refuse(peer, "it had not said who it is, and others came; raise max_clients if they are all wanted");
        }
    };
    drop(place);
    let Some(claim) = house.seats.claim(&name) else {
        return house.refuse(peer, "max_clients are there; raise it if they are all wanted");
    };
    let mut away = pin!(called_away(&house, &claim));
    let _turn = tokio::select! {
        biased;
        _ = &mut away => return Ok(()),
        turn = claim.turn() => turn,
    };
    let half_closed = house.terms.is_half_closed(&stream).await;
    let cursor = match house.store.cursor(&name, house.start).await {
        Ok(cursor) => cursor,
        Err(error) if error.reaction() == Reaction::Stop => return Err(error),
        Err(error) => return house.refuse(peer, &format!("{name} cannot be served: {error}")),
    };
    let connection = match house.terms.connection(stream, &name, peer) {
        Ok(connection) if half_closed => connection.reading_on(),
        Ok(connection) => connection,
        Err(gone) => {
            house.terms.farewell(&gone);
            return Ok(());
        }
    };
    house.roll.came(&name, peer, cursor.waiting_frames());
    let mut visit = Visit::new(&house, connection, cursor)?;
    let leave = visit.serve(away.as_mut()).await;
    let ended = visit.leave(leave).await;
    house.roll.left(&name, visit.waiting_frames());
    ended
}

/// The name of the one who is on the other side; none when it left without a word, as health checks do.
///
/// # Errors
/// Why there is none.
async fn introduced(house: &House, stream: &TcpStream) -> Result<Option<String>, String> {
    let (mut introduction, mut buffer, mut silent) = (Introduction::default(), [0; 512], true);
    let said = timeout(house.introduction_timeout, async {
        loop {
            let bytes = match stream.readable().await.and_then(|()| stream.try_read(&mut buffer)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Ok(0) | Err(_) if silent => return Ok(None),
                Ok(0) => return Err("it left without a first line".to_owned()),
                Ok(bytes) => bytes,
                Err(error) => return Err(error.to_string()),
            };
            silent = false;
            match introduction.take(&buffer[..bytes]) {
                Step::More => {}
                Step::Said(line) => return Ok(Some(line)),
                Step::TooLong => return Err("its first line is longer than any token".to_owned()),
            }
        }
    });
    let said = said.await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(house.introduction_timeout);
        Err(format!(
            "it did not introduce itself within introduction_timeout = {limit}"
        ))
    })?;
    said.map(|said| house.guests.name(&said).map_err(str::to_owned))
        .transpose()
}

/// Resolves when the visit has to end, whatever the client does.
async fn called_away(house: &House, claim: &Claim) -> Leave {
    tokio::select! {
        biased;
        () = house.store.stopping() => Leave::Stopping,
        () = claim.superseded() => Leave::CameAnew,
    }
}

impl House {
    /// Counts somebody who is closed, and says why; of many in a row not each. Nothing fails by it.
    fn refuse(&self, peer: SocketAddr, why: &str) -> Result<()> {
        super::door::refuse(&self.context, peer, why);
        Ok(())
    }
}
