//! Which addresses a `listen` stands for, and whether two of them are in each other's way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands in a config.
#[derive(Debug, PartialEq)]
pub(super) struct Listened {
    pub(super) text: String,
    hosts: Vec<Host>,
    /// None where there is none, or 0: then it is a different one each time.
    port: Option<u16>,
}

#[derive(Debug, PartialEq)]
enum Host {
    /// All addresses of both families.
    All,
    AllOfIpv4,
    Address(IpAddr),
    /// Whatever it stands for.
    Name(String),
}

impl Listened {
    pub(super) fn of(text: String) -> Self {
        let (host, port) = text.rsplit_once(':').unwrap_or((&text, ""));
        Self {
            hosts: hosts(host),
            port: port.parse().ok().filter(|port| *port != 0),
            text,
        }
    }

    /// Whether the second of them cannot be listened on any more.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let meet = |one: &Host| other.hosts.iter().any(|other| one.covers(other) || other.covers(one));
        self.port.is_some() && self.port == other.port && self.hosts.iter().any(meet)
    }
}

fn hosts(host: &str) -> Vec<Host> {
    if host == "*" {
        return vec![Host::All];
    }
    if host.eq_ignore_ascii_case("localhost") {
        return vec![
            Host::Address(Ipv4Addr::LOCALHOST.into()),
            Host::Address(Ipv6Addr::LOCALHOST.into()),
        ];
    }
    vec![match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        // Both families, whatever `net.ipv6.bindv6only` says.
        Ok(IpAddr::V6(address)) if address.is_unspecified() => Host::All,
        Ok(IpAddr::V4(address)) if address.is_unspecified() => Host::AllOfIpv4,
        Ok(address) => Host::Address(address.to_canonical()),
        Err(_) => Host::Name(host.to_ascii_lowercase()),
    }]
}

impl Host {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::AllOfIpv4, Self::Address(address)) => address.is_ipv4(),
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listened;

    #[test]
    fn all_addresses_are_in_the_way_of_each_and_families_only_of_their_own() {
        for (one, other, overlap) in [
            ("*:9000", "127.0.0.1:9000", true),
            ("[::]:9000", "127.0.0.1:9000", true),
            ("*:9000", "[::]:9000", true),
            ("*:9000", "db.example:9000", true),
            ("0.0.0.0:9000", "[::]:9000", true),
            ("0.0.0.0:9000", "127.0.0.1:9000", true),
            ("0.0.0.0:9000", "[::1]:9000", false),
            ("localhost:9000", "127.0.0.1:9000", true),
            ("LOCALHOST:9000", "[::1]:9000", true),
            ("localhost:9000", "127.0.0.2:9000", false),
            ("[::ffff:127.0.0.1]:9000", "127.0.0.1:9000", true),
            ("Db.example:9000", "db.EXAMPLE:9000", true),
            ("db.example:9000", "127.0.0.1:9000", false),
            ("*:9000", "*:9001", false),
            ("*:0", "*:0", false),
            ("*", "*", false),
        ] {
            let (one, other) = (Listened::of(one.to_owned()), Listened::of(other.to_owned()));
            assert_eq!(one.overlaps(&other), overlap, "{one:?} {other:?}");
            assert_eq!(other.overlaps(&one), overlap, "{other:?} {one:?}");
        }
    }
}
