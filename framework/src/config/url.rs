//! The secrets of a URL: never shown, and sent as HTTP wants them.

use std::fmt;

/// Stands where a secret stood.
const HIDDEN: &str = "***";

/// A URL as a log or a message may show it: without its user and password, and without what follows its `?` or `#`. It need not be a valid one, so
/// rather too much is hidden: all before its last `@` but the scheme.
///
/// ```
/// use aqueduct_framework::config::without_secrets;
///
/// assert_eq!(without_secrets("http://me:hunter2@host:4318/v1?key=7"), "http://***@host:4318/v1?***");
/// assert_eq!(without_secrets("http://host:4318/v1"), "http://host:4318/v1");
/// ```
pub fn without_secrets(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            (&url[..scheme.len() + 3], rest)
        }
        _ => ("", url),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{HIDDEN}@"), rest),
        None => (String::new(), rest),
    };
    let end = rest.find(['?', '#']).map_or(rest.len(), |mark| mark + 1);
    let hidden = if end < rest.len() { HIDDEN } else { "" };
    format!("{scheme}{user}{}{hidden}", &rest[..end])
}

/// The value of the header `Authorization` that a user and a password in a URL stand for (RFC 7617). `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(String);

impl Authorization {
    /// Of `user:password`, where what is not allowed in a URL is written as `%40` (RFC 3986).
    pub(super) fn of(user_info: &str) -> Self {
        let mut plain = decoded(user_info);
        if !plain.contains(&b':') {
            plain.push(b':');
        }
        Self(format!("Basic {}", base64(&plain)))
    }

    /// What is sent.
    pub fn header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Percent-encoding undone; a `%` without two digits is one.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| *first == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    bytes
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(three.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let letter = char::from(LETTERS[bits >> (18 - 6 * at) & 63]);
            text.push(if at > three.len() { '=' } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Authorization, without_secrets};

    #[test]
    fn no_secret_is_shown_however_wrong_the_url_is() {
        for (url, shown) in [
            ("http://a:4318/v1", "http://a:4318/v1"),
            ("http://me@a:4318", "http://***@a:4318"),
            ("http://me:hunter2@[::1]:4318/v1", "http://***@[::1]:4318/v1"),
            ("http://me:hunter2/@?#@a/v1", "http://***@a/v1"),
            ("http://me:hunter 2@a", "http://***@a"),
            ("http://me:hunter2@", "http://***@"),
            ("me:hunter2@a:4318", "***@a:4318"),
            ("me:x://hunter2@a:4318", "***@a:4318"),
            ("http://a/?token=hunter2", "http://a/?***"),
            ("http://a/#hunter2", "http://a/#***"),
            ("http://a/?", "http://a/?"),
            ("a:4318?hunter2", "a:4318?***"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
        }
    }

    /// The example of RFC 7617, and the test vectors of RFC 4648.
    #[test]
    fn a_user_and_a_password_are_sent_as_basic_authentication() {
        for (user_info, header) in [
            ("Aladdin:open%20sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test:123%C2%A3", "Basic dGVzdDoxMjPCow=="),
            ("user", "Basic dXNlcjo="),
            (":%zz%", "Basic OiV6eiU="),
        ] {
            assert_eq!(Authorization::of(user_info).header(), header);
        }
        assert_eq!(format!("{:?}", Authorization::of("me:hunter2")), "***");
    }
}
