//! Addresses in a config.

use aqueduct_framework::error::{Error, Result};

/// An address as `key` of the config gives it, checked before anything is opened. Whether the name exists is seen only when it is looked up.
///
/// # Errors
/// `fatal` when it is not host:port with a port of 0 to 65535.
pub(crate) fn checked(key: &str, address: String) -> Result<String> {
    let wrong = |what: &str| {
        Error::fatal(format!(
            "`{key}` is `{address}`, {what}; it must be host:port, such as 127.0.0.1:9000 or [::1]:9000"
        ))
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("without a port"))?;
    if port.parse::<u16>().is_err() {
        return Err(wrong("and its port is no number of 0 to 65535"));
    }
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match name.unwrap_or(host) {
        "" => Err(wrong("without a host")),
        host if host.contains('/') => Err(wrong("which is no address but a link")),
        _ => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for right in ["127.0.0.1:0", "localhost:9000", "[::1]:65535", "db-1.example.org:80"] {
            assert_eq!(checked("listen", right.to_owned()).unwrap(), right);
        }
        for (wrong, why) in [
            ("", "without a port"),
            ("9000", "without a port"),
            ("localhost:99999", "no number of 0 to 65535"),
            ("localhost:http", "no number of 0 to 65535"),
            ("localhost:", "no number of 0 to 65535"),
            (":9000", "without a host"),
            ("[]:9000", "without a host"),
            ("tcp://127.0.0.1:9000", "a link"),
        ] {
            let said = checked("listen", wrong.to_owned()).unwrap_err().to_string();
            assert!(
                said.contains(&format!("`listen` is `{wrong}`")) && said.contains(why),
                "{said}"
            );
        }
    }
}
