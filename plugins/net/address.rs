//! Addresses in a config.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aqueduct_framework::config::without_secrets;
use aqueduct_framework::error::{Error, Result};

/// An address to connect to, as `key` of the config gives it, checked before anything is opened. Whether the name exists is seen only when it is looked up.
///
/// # Errors
/// `fatal` when it is not host:port with a port of 0 to 65535, or its host can be none.
pub(crate) fn checked(key: &str, address: String) -> Result<String> {
    match fault(&address) {
        None => Ok(address),
        Some(what) => Err(wrong(key, &address, what)),
    }
}

/// An address to listen on, likewise; the host `*` stands for all addresses of both families.
///
/// # Errors
/// Those of [`checked`], and `fatal` when no machine can listen on it.
pub(crate) fn checked_to_listen(key: &str, address: String) -> Result<String> {
    let port = address.strip_prefix("*:").filter(|port| is_port(port));
    let host = address.rsplit_once(':').map_or("", |(host, _)| host);
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let what = match literal {
        _ if port.is_some() => return Ok(address),
        Ok(ip) if ip.is_multicast() => Some("a multicast address, on which TCP cannot listen"),
        Ok(IpAddr::V4(Ipv4Addr::BROADCAST)) => Some("the broadcast address, on which TCP cannot listen"),
        _ => fault(&address),
    };
    match what {
        None => Ok(address),
        Some(what) => Err(wrong(key, &address, what)),
    }
}

fn wrong(key: &str, address: &str, what: &str) -> Error {
    Error::fatal(format!(
        "`{key}` is `{}`, {what}; it must be host:port, such as 127.0.0.1:9000 or [::1]:9000",
        without_secrets(address)
    ))
}

/// What is wrong with an address, to follow it in a sentence.
fn fault(address: &str) -> Option<&'static str> {
    if address.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("with a blank in it");
    }
    if address.contains(',') {
        return Some("with a comma; one address is wanted");
    }
    let Some((host, port)) = address.rsplit_once(':') else {
        return Some("without a port");
    };
    if host.contains('/') {
        return Some("which is no address but a link");
    }
    if !is_port(port) {
        return Some("and its port is no number of 0 to 65535");
    }
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let literal = inside.split_once('%').map_or(inside, |(literal, _)| literal);
        return match literal {
            "" => Some("without a host"),
            literal if literal.parse::<Ipv6Addr>().is_err() => Some("and only an IPv6 address stands in brackets"),
            _ => None,
        };
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or(host);
    match host {
        "" => Some("without a host"),
        host if host.contains(':') => Some("and an IPv6 address stands in brackets"),
        host if !host.chars().all(is_of_names) => Some("and its host is no name and no address"),
        host if last.bytes().all(|digit| digit.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() => {
            Some("and its host is no IPv4 address")
        }
        _ => None,
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Letters of other scripts are the resolver's business.
fn is_of_names(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::{checked, checked_to_listen};

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for right in [
            "127.0.0.1:0",
            "localhost:9000",
            "[::1]:65535",
            "[fe80::1%eth0]:80",
            "db-1.example.org:80",
            "db_1:80",
            "büro:80",
        ] {
            assert_eq!(checked("address", right.to_owned()).unwrap(), right);
            assert_eq!(checked_to_listen("listen", right.to_owned()).unwrap(), right);
        }
    }

    #[test]
    fn what_cannot_be_one_is_told() {
        for (wrong, why) in [
            ("", "without a port"),
            ("9000", "without a port"),
            ("localhost:99999", "no number of 0 to 65535"),
            ("localhost:http", "no number of 0 to 65535"),
            ("localhost:+80", "no number of 0 to 65535"),
            ("localhost:", "no number of 0 to 65535"),
            (":9000", "without a host"),
            ("[]:9000", "without a host"),
            ("tcp://127.0.0.1:9000", "a link"),
            (" 127.0.0.1:9000", "with a blank"),
            ("127.0.0.1:9000\n", "with a blank"),
            ("a,b:1", "with a comma"),
            ("a:1,b:1", "with a comma"),
            ("[localhost]:9000", "only an IPv6 address stands in brackets"),
            ("::1:9000", "an IPv6 address stands in brackets"),
            ("user@host:9000", "no name and no address"),
            ("*.example.org:9000", "no name and no address"),
            ("300.1.2.3:9000", "no IPv4 address"),
            ("127.1:9000", "no IPv4 address"),
        ] {
            for checked in [checked, checked_to_listen] {
                let said = checked("listen", wrong.to_owned()).unwrap_err().to_string();
                let shown = wrong.replace("user@", "***@");
                assert!(
                    said.contains(&format!("`listen` is `{shown}`")) && said.contains(why),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn all_addresses_can_be_listened_on_and_not_connected_to() {
        assert_eq!(checked_to_listen("listen", "*:9000".to_owned()).unwrap(), "*:9000");
        assert!(checked("address", "*:9000".to_owned()).is_err());
        for none in ["*:", "*:x", "224.0.0.1:9000", "[ff02::1]:9000", "255.255.255.255:9000"] {
            assert!(checked_to_listen("listen", none.to_owned()).is_err(), "{none}");
        }
    }
}
